//! Breaks messages for a terminal at spaces; the terminal itself would break words.

use unicode_width::UnicodeWidthStr as _;

use super::report::QUOTE;

/// On a terminal of fewer columns a hanging indent leaves no room.
const MIN_COLUMNS: usize = 24;
/// Of what follows a line's first words: further lines are indented by this much more.
const HANGING: usize = 2;
/// Columns that an answer gets behind its question.
const ANSWER_COLUMNS: usize = 8;
/// Labels of lines, behind which a sentence begins, even one whose first word is that of a command.
const LABELS: [&str; 3] = ["error:", "warning:", "hint:"];
/// First words of commands. Behind a colon they begin a command to copy, which must stay one line.
const PROGRAMS: [&str; 12] = [
    "chmod",
    "docker",
    "git",
    "mkdir",
    "podman",
    "rm",
    "sdbuild",
    "ssh",
    "ssh-add",
    "ssh-keygen",
    "sudo",
    "systemctl",
];

/// `text`, whose lines are sanitized, with lines of at most `columns` columns. Lines that quote a log (`  > `), long words,
/// and commands stay whole.
pub(super) fn wrap_message(text: &str, columns: usize) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            let (content, end) = match line.strip_suffix('\n') {
                Some(content) => (content, "\n"),
                None => (line, ""),
            };
            let fits = content.width() <= columns || columns < MIN_COLUMNS;
            if fits || content.starts_with(QUOTE) {
                return line.to_owned();
            }
            broken(content, columns) + end
        })
        .collect()
}

/// A question in lines of at most `columns` columns with room for an answer. The blank at its end stays.
pub(super) fn wrap_question(text: &str, columns: usize) -> String {
    let asked = text.trim_end();
    let end = text.get(asked.len()..).unwrap_or_default();
    wrap_message(asked, columns.saturating_sub(ANSWER_COLUMNS)) + end
}

/// `line` as several lines, all but the first indented.
fn broken(line: &str, columns: usize) -> String {
    let indent = line.len() - line.trim_start().len();
    let (start, rest) = line.split_at(indent);
    let width = columns.saturating_sub(indent);
    let pieces = pieces(rest);
    let whole = pieces.len().saturating_sub(1);
    let lines = filled(&pieces, width, width.saturating_sub(HANGING), whole);
    let margin = format!("\n{}", " ".repeat(indent + HANGING));
    format!("{start}{}", lines.join(&margin))
}

/// A part of the header in lines of at most `columns` columns, all of them indented. Nobody copies a path from there.
pub(super) fn wrap_part(part: &str, columns: usize) -> Vec<String> {
    let width = columns.saturating_sub(HANGING);
    // The last column of the terminal stays free.
    if part.width() <= width || columns + 1 < MIN_COLUMNS {
        return vec![format!("  {part}")];
    }
    let words: Vec<&str> = part.split_whitespace().collect();
    let lines = filled(&words, width, width.saturating_sub(HANGING), words.len());
    let margins = std::iter::once("  ").chain(std::iter::repeat("    "));
    let lines = margins
        .zip(lines)
        .map(|(margin, line)| format!("{margin}{line}"));
    lines.collect()
}

/// `pieces` in lines: the first one of at most `first` columns, the others of at most `width`. A longer piece gets a line of its own;
/// a path is broken in parts, but not from the piece `whole` on: one at the end of a text is there to be copied.
fn filled(pieces: &[&str], first: usize, width: usize, whole: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let parts = if at < whole {
            parts_of_word(piece, width)
        } else {
            vec![(*piece).to_owned()]
        };
        for (part, text) in parts.into_iter().enumerate() {
            let limit = if lines.len() == 1 { first } else { width };
            match lines.last_mut() {
                Some(line) if part == 0 && line.width() + 1 + text.width() <= limit => {
                    line.push(' ');
                    line.push_str(&text);
                }
                Some(_) | None => lines.push(text),
            }
        }
    }
    lines
}

/// Whether `piece` is a path, or the long name of a file, and neither an address nor a command.
fn is_path(piece: &str) -> bool {
    let has = |text: &str| piece.contains(text);
    (has("/") || has("-")) && !has("://") && !has(" ") && !has("`")
}

/// The parts of at most `width` columns of the `word` of a sentence that is wider and a path; other words are whole.
pub(super) fn parts_of_word(word: &str, width: usize) -> Vec<String> {
    if word.width() > width && is_path(word) {
        parts_of_path(word, width)
    } else {
        vec![word.to_owned()]
    }
}

/// `path` in parts of at most `width` columns, which end with a slash, or inside a longer name with a hyphen.
fn parts_of_path(path: &str, width: usize) -> Vec<String> {
    let names = path.split_inclusive('/');
    let parts = names.flat_map(|name| {
        let is_long = name.width() > width;
        name.split_inclusive(move |c| c == '-' && is_long)
    });
    joined(parts, width)
}

/// The same, with parts that may also end with a hyphen: names of images are long.
pub(super) fn path_in_parts(path: &str, width: usize) -> Vec<String> {
    joined(path.split_inclusive(['/', '-']), width)
}

/// `names` joined to parts of at most `width` columns; a longer one is a part of its own.
fn joined<'a>(names: impl Iterator<Item = &'a str>, width: usize) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for name in names {
        match parts.last_mut() {
            Some(part) if part.width() + name.width() <= width => part.push_str(name),
            Some(_) | None => parts.push(name.to_owned()),
        }
    }
    parts
}

/// Whether `word` is no word, and says nothing at the beginning of a line.
fn is_punctuation(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| ":;,.!?)".contains(c))
}

/// The words of `line`, and what must stay on one line like a word.
fn pieces(line: &str) -> Vec<&str> {
    let mut rest = line.trim();
    // What clap calls the usage of a command is not a command to copy.
    let is_usage = rest.starts_with("Usage: ");
    let mut after_colon = false;
    let next = move || {
        let length = with_punctuation(rest, piece(rest, after_colon));
        let (piece, more) = rest.split_at_checked(length)?;
        rest = more.trim_start();
        after_colon = piece.ends_with(':') && !is_usage && !LABELS.contains(&piece);
        (!piece.is_empty()).then_some(piece)
    };
    std::iter::from_fn(next).collect()
}

/// The `length` of the first piece of `text`, with a word of punctuation behind it.
fn with_punctuation(text: &str, length: usize) -> usize {
    let behind = text.get(length..).unwrap_or_default();
    let word = behind.strip_prefix(' ').unwrap_or_default();
    let word = word.split(' ').next().unwrap_or_default();
    if is_punctuation(word) {
        length + 1 + word.len()
    } else {
        length
    }
}

/// The length of the first piece of `text`.
fn piece(text: &str, after_colon: bool) -> usize {
    let word_end = |text: &str| text.find(' ').unwrap_or(text.len());
    let word = text.get(..word_end(text)).unwrap_or(text);
    if after_colon && PROGRAMS.contains(&word) {
        return text.len();
    }
    // A command in backticks; not a name that Nix quotes: `name'.
    let is_name = word
        .rsplit('`')
        .next()
        .is_some_and(|end| end.contains('\''));
    let opens = word.matches('`').count() % 2 == 1 && !is_name;
    let closed = text
        .get(word.len()..)
        .filter(|_| opens)
        .and_then(|more| more.find('`'));
    closed.map_or(word.len(), |at| {
        let close = word.len() + at;
        close + text.get(close..).map_or(0, word_end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_below_the_first_word() {
        let text = "error: evaluate the configuration: the option does not exist\nhint: check it\n";
        assert_eq!(
            wrap_message(text, 40),
            "error: evaluate the configuration: the\n  option does not exist\nhint: check it\n"
        );
        assert_eq!(wrap_message(text, 200), text);
        assert_eq!(
            wrap_message(
                "the option `services.ssh.enable' is not of type `boolean'",
                40
            ),
            "the option `services.ssh.enable' is not\n  of type `boolean'"
        );
        assert_eq!(wrap_message(text, 10), text);
        assert_eq!(
            wrap_message("  - In `a/b/c/d/e/f/g/h': \"a long value\"", 30),
            "  - In `a/b/c/d/e/f/g/h': \"a\n    long value\""
        );
    }

    #[test]
    fn questions_leave_room_for_the_answer() {
        let question = "User besides root, with sudo (empty for none): ";
        assert_eq!(
            wrap_question(question, 40),
            "User besides root, with sudo\n  (empty for none): "
        );
        assert_eq!(wrap_question(question, 80), question);
        assert_eq!(
            wrap_question("Time zone [Etc/UTC]: ", usize::MAX),
            "Time zone [Etc/UTC]: "
        );
    }

    #[test]
    fn commands_stay_one_line() {
        let hint = "hint: debug it where it failed: sdbuild shell /nix/store/0123456789-hello.drv";
        assert_eq!(
            wrap_message(hint, 40),
            "hint: debug it where it failed:\n  sdbuild shell /nix/store/0123456789-hello.drv"
        );
        let login =
            "the machine's console; Ctrl-A X ends it. Log in with: ssh -p 43451 root@127.0.0.1";
        assert!(wrap_message(login, 80).ends_with("\n  ssh -p 43451 root@127.0.0.1"));
        let quoted = "hint: install it and start it with `sudo systemctl start docker`; then again";
        assert_eq!(
            wrap_message(quoted, 40),
            "hint: install it and start it with\n  `sudo systemctl start docker`; then\n  again"
        );
        // A backtick that is never closed is a character like others.
        let open = "hint: the option ` is not closed in this long line of text";
        assert_eq!(wrap_message(open, 40).lines().count(), 2);
    }

    #[test]
    fn a_sentence_behind_a_label_is_no_command() {
        let warning = "warning: the flake contains only files that git tracks, so it lacks news.nix. Run `git add` on \
                       what belongs to it";
        assert_eq!(
            wrap_message(warning, 80),
            "warning: the flake contains only files that git tracks, so it lacks news.nix.\n  \
             Run `git add` on what belongs to it"
        );
        let hint = "  hint: sdbuild inspect shows which boards the image can boot on, and what is missing for the others";
        assert!(
            wrap_message(hint, 60)
                .lines()
                .all(|line| line.width() <= 60)
        );
    }

    #[test]
    fn usage_is_broken_like_text() {
        assert_eq!(
            wrap_message("Usage: sdbuild flash --yes [IMAGE] [DEVICE]\n", 40),
            "Usage: sdbuild flash --yes [IMAGE]\n  [DEVICE]\n"
        );
    }

    #[test]
    fn quoted_logs_and_long_words_are_not_broken() {
        let log = format!("  > {}\n", "word ".repeat(30));
        assert_eq!(wrap_message(&log, 40), log);
        let path = format!("error: {}", "x".repeat(90));
        assert_eq!(
            wrap_message(&path, 40),
            format!("error:\n  {}", "x".repeat(90))
        );
    }

    #[test]
    fn a_path_in_a_sentence_is_broken_after_slashes() {
        let path = "/home/somebody/configurations/kitchen/raspberry/sd-card.nix";
        assert_eq!(
            wrap_message(&format!("error: could not read {path}: No such file"), 40),
            "error: could not read\n  /home/somebody/configurations/kitchen/\n  raspberry/sd-card.nix: No such file"
        );
        let image = "nixos-pi-sd-card-26.05-aarch64-linux.img.zst";
        assert_eq!(
            wrap_message(&format!("error: could not flash /x/{image}: no"), 40),
            "error: could not flash\n  /x/nixos-pi-sd-card-26.05-aarch64-\n  linux.img.zst: no"
        );
        // At the end of a line it is what users copy.
        let log = format!("the whole log: {path}");
        assert_eq!(wrap_message(&log, 40), format!("the whole log:\n  {path}"));
        let url = format!("error: fetch https:/{path} : no answer");
        assert!(wrap_message(&url, 40).contains(&format!("https:/{path} :\n")));
    }

    #[test]
    fn punctuation_is_never_alone() {
        for columns in 24..60 {
            let text = "error: could not read the configuration of this machine : it is not there";
            let lines = wrap_message(text, columns);
            assert!(
                lines.lines().all(|line| !line.trim().starts_with(':')),
                "{lines}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_word_is_lost_and_no_line_begins_at_the_margin(text in "[a-z`:é漢 ]{0,200}", columns in 0usize..120) {
            let lines = wrap_message(&text, columns);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            proptest::prop_assert_eq!(words(&lines), words(&text));
            proptest::prop_assert!(lines.lines().skip(1).all(|line| line.starts_with("  ")));
        }
    }
}
