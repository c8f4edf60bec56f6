//! Lines that fit a terminal.

use std::borrow::Cow;

use textwrap::core::Word;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};
use unicode_width::UnicodeWidthStr as _;

use crate::ui::report::QUOTE;
use crate::ui::sanitize::{sanitize, sanitize_line};

/// Width of lines that go to no terminal.
pub const COLUMNS: usize = 80;
/// On a terminal of fewer columns there is no room for columns of names and topics.
pub const NARROW: usize = 60;
/// On a terminal of fewer columns a message is left to the terminal.
const MIN_COLUMNS: usize = 24;
/// Further lines of a message are indented by this much more.
const HANGING: usize = 2;
/// A line of a message with this indent is a command or code to copy, which stays one line.
const CODE_INDENT: usize = 4;
/// Columns of a topic.
const TOPIC: usize = 15;
/// What separates the parts of a line.
pub(super) const SEPARATOR: &str = " · ";

/// `text` broken at spaces into lines of at most `columns` columns: the first begins with `first`, the others with `rest`. Words, and
/// commands in backticks, stay whole: they must stay copyable.
pub(super) fn fill(text: &str, first: &str, rest: &str, columns: usize) -> Vec<String> {
    let options = Options::new(columns)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let lines = textwrap::wrap(text, options).into_iter();
    lines.map(Cow::into_owned).collect()
}

/// The words of `line`; a command in backticks is one word.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    // Nix quotes a name `so'.
    let has_code = line.matches('`').count().is_multiple_of(2);
    let mut rest = line;
    Box::new(std::iter::from_fn(move || {
        let mut is_code = false;
        let ends_word = |c| {
            is_code ^= c == '`' && has_code;
            c == ' ' && !is_code
        };
        let end = rest.find(ends_word).unwrap_or(rest.len());
        let behind = rest.get(end..)?;
        let blanks = behind.len() - behind.trim_start_matches(' ').len();
        let (word, more) = rest.split_at_checked(end + blanks)?;
        rest = more;
        (!word.is_empty()).then(|| Word::from(word))
    }))
}

/// Foreign text broken at spaces into lines of `width` columns. A longer word gets a line of its own and is not broken:
/// commands and addresses must stay copyable.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    fill(&on_one_line(text), "", "", width)
}

/// Foreign text with a blank for each piece of white space.
pub(super) fn on_one_line(text: &str) -> String {
    let text = sanitize(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text`, which is foreign, behind its label in lines of at most `columns` columns: further lines stand below the text, or below
/// the label if there is little room. A longer word stays whole.
pub fn labelled(label: &str, indent: usize, text: &str, columns: usize) -> Vec<String> {
    let label = match indent.checked_sub(1) {
        Some(width) => format!("{label:<width$} "),
        None => String::new(),
    };
    let has_room = columns >= indent + MIN_COLUMNS;
    let hanging = " ".repeat(if has_room { indent } else { HANGING });
    fill(&sanitize_line(text), &label, &hanging, columns)
}

/// `texts` behind `name`, which stands before the first of them.
pub fn entry(name: &str, indent: usize, texts: &[String], columns: usize) -> Vec<String> {
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    let rows = names.zip(texts);
    rows.flat_map(|(name, text)| labelled(name, indent, text, columns))
        .collect()
}

/// The lines of one list item: mark and topic, beside them the texts, each of which begins a line, and the remedies below.
pub fn list_item(
    mark: char,
    topic: &str,
    texts: &[&str],
    remedies: &[String],
    columns: usize,
) -> Vec<String> {
    let margin = " ".repeat(TOPIC + 3);
    let mut lines = Vec::new();
    let mut first = format!("{mark} {topic:<TOPIC$} ");
    for text in texts {
        lines.extend(fill(&on_one_line(text), &first, &margin, columns));
        first.clone_from(&margin);
    }
    let (arrow, below) = (format!("{margin}→ "), format!("{margin}  "));
    for remedy in remedies {
        let remedy = sanitize(remedy);
        if remedy.contains('\n') {
            // Nix code, to be copied as it is.
            let starts = std::iter::once(&arrow).chain(std::iter::repeat(&below));
            let code = starts.zip(remedy.lines());
            lines.extend(code.map(|(start, line)| format!("{start}{line}")));
        } else {
            lines.extend(fill(&remedy, &arrow, &below, columns));
        }
    }
    lines
}

/// `text`, whose lines are sanitized, with lines of at most `columns` columns. Lines that quote a log (`  > `), code, and long
/// words stay whole.
pub(super) fn wrap_message(text: &str, columns: usize) -> String {
    let lines = text.split('\n').map(|line| {
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        let is_whole = line.width() <= columns
            || columns < MIN_COLUMNS
            || indent >= CODE_INDENT
            || line.starts_with(QUOTE);
        if is_whole {
            return line.to_owned();
        }
        let (first, hanging) = (" ".repeat(indent), " ".repeat(indent + HANGING));
        fill(rest, &first, &hanging, columns).join("\n")
    });
    lines.collect::<Vec<_>>().join("\n")
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
    fn messages_break_at_spaces_below_their_first_word() {
        let text = "error: evaluate the configuration: the option does not exist\nhint: check it\n";
        assert_eq!(
            wrap_message(text, 40),
            "error: evaluate the configuration: the\n  option does not exist\nhint: check it\n"
        );
        for columns in [10, 200] {
            assert_eq!(wrap_message(text, columns), text);
        }
    }

    #[test]
    fn code_and_quoted_logs_stay_whole() {
        for whole in ["  > ", "    sudo "] {
            let line = format!("{whole}{}\n", "word ".repeat(30));
            assert_eq!(wrap_message(&line, 40), line);
        }
        let quoted = "hint: install it and start it with `sudo systemctl start docker`; then again";
        assert_eq!(
            wrap_message(quoted, 40),
            "hint: install it and start it with\n  `sudo systemctl start docker`; then\n  again"
        );
        let name = "the option `services.ssh.enable' is not of type `boolean";
        assert_eq!(wrap_message(name, 40).lines().count(), 2);
    }

    #[test]
    fn labels_and_lists_hang() {
        assert_eq!(
            labelled("image", 8, "one two three four five six", 32),
            ["image   one two three four five", "        six"]
        );
        let remedies = ["start it".to_owned(), "a = 1;\n  b = 2;".to_owned()];
        assert_eq!(
            list_item('✗', "engine", &["does not run"], &remedies, 80),
            [
                "✗ engine          does not run",
                "                  → start it",
                "                  → a = 1;",
                "                      b = 2;"
            ]
        );
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
