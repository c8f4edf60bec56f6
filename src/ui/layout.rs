//! Lines that fit a terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr};

use crate::ui::wrap::parts_of_word;
use crate::ui::{sanitize, sanitize_line};

/// Width of lines that go to no terminal.
pub const COLUMNS: usize = 80;
/// Width of lines that programs read: a text that they search for must not be broken.
pub(super) const UNLIMITED: usize = usize::MAX;
/// Longer lines of text are hard to read.
const MAX_COLUMNS: usize = 200;
/// On a terminal of fewer columns there is no room for columns of names and topics.
pub const NARROW: usize = 60;
/// The widest line with a time or a size at its end: on a wider one nobody sees to which text it belongs.
pub const WIDEST_TABLE: usize = 100;
/// The same of a line about a run: names of derivations and what they write need the room.
pub(super) const WIDEST_RUN: usize = 200;
/// Columns of text behind a label, at least.
const MIN_TEXT_COLUMNS: usize = 24;
/// Columns before further lines of a text that have no room below its first one.
const HANGING: usize = 2;
/// Column at which the text of a list starts there.
const NARROW_INDENT: usize = 4;
/// Columns of a topic.
const TOPIC: usize = 15;
/// Column at which the text of a list starts, after the mark and the topic.
const INDENT: usize = TOPIC + 3;

/// Foreign text on one line of at most `width` columns. Longer text loses its middle, because the ends of names and paths
/// distinguish them.
pub fn fit(text: &str, width: usize) -> String {
    let text = sanitize(text).replace('\n', "\\n");
    if text.width() <= width {
        return text;
    }
    let end = width.saturating_sub(1) / 2;
    let start = width.saturating_sub(1) - end;
    let tail: String = cut(text.chars().rev(), end).chars().rev().collect();
    format!("{}…{tail}", cut(text.chars(), start))
}

/// The longest prefix that fits into `width` columns.
fn cut(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut left = width;
    chars
        .take_while(|c| {
            let wide = c.width().unwrap_or(0);
            let fits = wide <= left;
            left = left.saturating_sub(wide);
            fits
        })
        .collect()
}

/// `text` in `width` columns, padded with spaces on the right.
pub fn column(text: &str, width: usize) -> String {
    let text = fit(text, width);
    let blanks = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(blanks))
}

/// Foreign text broken at spaces into lines of `width` columns. A longer word gets a line of its own and is not broken:
/// commands and addresses must stay copyable.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    filled(sanitize(text).split_whitespace(), width, width)
}

/// The words of `text`; a text in double quotes, or a command in backticks, belongs to one word: with a line break in it, it is
/// another one.
fn code_words(text: &str) -> Vec<&str> {
    // Nix quotes a name `so'.
    let has_commands = text.matches('`').count().is_multiple_of(2);
    let mut is_quoted = false;
    let mut is_command = false;
    let separates = |c: char| {
        is_quoted ^= c == '"';
        is_command ^= c == '`' && has_commands;
        c.is_whitespace() && !is_quoted && !is_command
    };
    let words = text.split(separates).filter(|word| !word.is_empty());
    words.collect()
}

/// `words` in lines: the first one of at most `first` columns, the others of at most `width`. A longer word gets a line of its
/// own.
pub(super) fn filled<'a>(
    words: impl Iterator<Item = &'a str>,
    first: usize,
    width: usize,
) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        let limit = if lines.len() == 1 { first } else { width };
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= limit => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `text`, which is foreign, behind its label in lines of at most `columns` columns: further lines stand below the text, or below
/// the label if there is little room. What fits is unchanged, and a longer word stays whole.
pub fn labelled(label: &str, indent: usize, text: &str, columns: usize) -> Vec<String> {
    let label = match indent.checked_sub(1) {
        Some(width) => format!("{label:<width$} "),
        None => String::new(),
    };
    let text = sanitize_line(text);
    let whole = format!("{label}{text}");
    if whole.width() <= columns {
        return vec![whole];
    }
    let width = |indent: usize| columns.saturating_sub(indent);
    let words = || text.split_whitespace();
    let first = words().next().map_or(0, UnicodeWidthStr::width);
    // A path that is too long for the rest of the line may have room below its label.
    let is_long = (width(label.width()) + 1..=width(HANGING)).contains(&first);
    let is_alone = is_long && !label.trim().is_empty();
    let has_room = columns >= indent + MIN_TEXT_COLUMNS;
    let hang = if has_room && !is_alone {
        indent
    } else {
        HANGING
    };
    let beside = if is_alone { hang } else { label.width() };
    let lines = filled(words(), width(beside), width(hang));
    let (alone, label) = if is_alone {
        (Some(label.trim_end().to_owned()), " ".repeat(hang))
    } else {
        (None, label)
    };
    let margins = std::iter::once(label);
    let margins = margins.chain(std::iter::repeat(" ".repeat(hang)));
    let lines = margins.zip(lines).map(|(margin, line)| margin + &line);
    alone.into_iter().chain(lines).collect()
}

/// The lines of one list item: mark and topic, after them the texts, each of which begins a line, and the remedies below. On a narrow
/// terminal, and where a topic is wider than its column, the texts are below the topic.
pub fn list_item(
    mark: char,
    topic: &str,
    texts: &[&str],
    remedies: &[String],
    columns: usize,
) -> Vec<String> {
    let columns = if columns == UNLIMITED {
        columns
    } else {
        columns.min(MAX_COLUMNS)
    };
    let narrow = columns < NARROW;
    let indent = if narrow { NARROW_INDENT } else { INDENT };
    let texts = texts.iter();
    let texts = texts.flat_map(|text| {
        let width = columns.saturating_sub(indent);
        let text = sanitize(text);
        let words = text.split_whitespace();
        let parts: Vec<String> = words.flat_map(|word| parts_of_word(word, width)).collect();
        filled(parts.iter().map(String::as_str), width, width)
    });
    let remedies = remedies.iter().flat_map(|remedy| {
        let remedy = sanitize(remedy);
        let width = columns.saturating_sub(indent + 2);
        // Several lines are Nix code, to be copied as it is.
        let lines = if remedy.contains('\n') {
            remedy.lines().map(str::to_owned).collect()
        } else {
            filled(code_words(&remedy).into_iter(), width, width)
        };
        let lines = lines.into_iter().enumerate();
        lines.map(|(at, line)| format!("{} {line}", if at == 0 { '→' } else { ' ' }))
    });
    let margin = " ".repeat(indent - 1);
    let is_alone = narrow || topic.width() > TOPIC;
    let title = is_alone.then(|| format!("{mark} {topic}"));
    let first = if is_alone {
        margin.clone()
    } else {
        format!("{mark} {topic:<TOPIC$}")
    };
    let margins = std::iter::once(first).chain(std::iter::repeat(margin));
    let lines = margins.zip(texts.chain(remedies));
    let lines = lines.map(|(margin, line)| format!("{margin} {line}"));
    title.into_iter().chain(lines).collect()
}

/// An age in its largest unit: `5 s`, `3 min`, `7 h`, `12 days`.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("abcdefghij", 5), "ab…ij");
        assert_eq!(fit("漢字漢字", 5).width(), 5);
        assert_eq!(fit("a\nb\x1b", 40), "a\\nb\\u{1b}");
        assert_eq!(column("ab", 4), "ab  ");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_stay_whole() {
        let long = "x".repeat(100);
        let lines = wrapped(&format!("{} {long} end", "word ".repeat(20)), 76);
        assert!(lines.iter().all(|l| l.width() <= 76 || *l == long));
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(wrapped("\x1b[2J", 9), ["\\u{1b}[2J"]);
    }

    #[test]
    fn list_uses_the_width_that_there_is() {
        let text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen";
        let remedy = ["do this and that until it works".to_owned()];
        for columns in [40, 60, 80, 100, 200] {
            let lines = list_item('✗', "topic", &[text], &remedy, columns);
            assert!(lines.iter().all(|l| l.width() <= columns), "{lines:#?}");
        }
        let wide = list_item('✗', "user-cannot-log-in", &["one two"], &[], 80);
        assert_eq!(wide, ["✗ user-cannot-log-in", "                  one two"]);
        let rows = |columns| list_item('✗', "topic", &[text], &remedy, columns).len();
        assert_eq!((rows(80), rows(120)), (3, 2));
        let long = "word ".repeat(60);
        let piped = list_item('✗', "topic", &[&long], &remedy, UNLIMITED);
        assert_eq!(piped.len(), 2, "{piped:#?}");
        let place = "configurations/kitchen/pi/sd-card.nix:9: it is wrong";
        let rows = list_item('✗', "topic", &[place], &[], 24);
        assert_eq!(
            rows[1..],
            [
                "    configurations/",
                "    kitchen/pi/",
                "    sd-card.nix:9: it is",
                "    wrong"
            ]
        );
        let narrow = list_item('✗', "topic", &["some text"], &[], 40);
        assert_eq!(narrow, ["✗ topic", "    some text"]);
    }

    #[test]
    fn a_command_to_copy_stays_on_one_line() {
        let remedy = ["let root enable it: `echo 1 | sudo tee /proc/sys/fs/status`".to_owned()];
        let lines = list_item('✗', "topic", &["off"], &remedy, 40);
        assert_eq!(lines[2], "    → let root enable it:");
        assert_eq!(lines[3], "      `echo 1 | sudo tee /proc/sys/fs/status`");
        assert_eq!(
            code_words("the `name' of it"),
            ["the", "`name'", "of", "it"]
        );
    }

    #[test]
    fn labelled_text_is_broken_below_itself() {
        let text = "all that the boot needs is there for a board with a long name";
        assert_eq!(
            labelled("boards", 14, text, 60),
            [
                "boards        all that the boot needs is there for a board",
                "              with a long name"
            ]
        );
        assert_eq!(
            labelled("boards", 21, text, 40),
            [
                "boards               all that the boot",
                "  needs is there for a board with a long",
                "  name"
            ]
        );
        assert_eq!(labelled("a", 4, "b  c", 40), ["a   b  c"]);
        assert_eq!(labelled("long", 4, "b", 40), ["long b"]);
        assert_eq!(labelled("", 0, "b", 40), ["b"]);
        let path = "x".repeat(50);
        assert_eq!(labelled("a", 4, &path, 40), [format!("a   {path}")]);
        let path = "x".repeat(30);
        assert_eq!(
            labelled("output", 20, &format!("{path} and more words"), 40),
            ["output", &format!("  {path} and"), "  more words"]
        );
    }

    #[test]
    fn ages_have_one_unit() {
        assert_eq!(
            [age(59), age(3599), age(7200), age(172_800)],
            ["59 s", "59 min", "2 h", "2 days"]
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_wider_than_its_column(text in "(?s).{0,60}", width in 1usize..40) {
            proptest::prop_assert!(fit(&text, width).width() <= width);
            proptest::prop_assert_eq!(column(&text, width).width(), width);
        }
    }
}
