//! Lines of the user's files, where Nix quotes none.

use super::evidence::{ExitContext, MAX_SHOWN};
use super::missing_files::missing_path;
use super::nixpkgs_file;
use crate::common::nix_name::is_of_name;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;
use crate::nixos::nix_syntax::parse;
use sdbuild_core::failure::Failure;

/// Line `at` of `text`, counted from 1, with those around it, and a caret below the character after the first `column` ones, as Nix
/// quotes source.
pub(super) fn around(text: &str, at: usize, column: Option<usize>) -> Vec<String> {
    let numbered = (1_usize..).zip(text.lines());
    let near = numbered.filter(|(line, _)| line.abs_diff(at) <= 1);
    let width = (at + 1).to_string().len();
    let quoted = near.flat_map(|(line, text)| {
        let source = format!("{line:>width$}| {text}");
        let caret = column.filter(|_| line == at);
        let caret = caret.map(|column| format!("{:width$}| {:column$}^", "", ""));
        std::iter::once(source).chain(caret)
    });
    quoted.collect()
}

/// The `line` with a `;` after its first `end` bytes, if that makes definitions of it.
pub(super) fn with_semicolon(line: &str, end: usize) -> Option<String> {
    let (value, rest) = line.split_at_checked(end)?;
    let line = format!("{};{rest}", value.trim_start());
    let is_nix = parse(&format!("{{ {line}\n}}")).errors().is_empty();
    (is_nix && line.len() <= MAX_SHOWN).then_some(line)
}

/// Longer lines of an excerpt are shown in part.
const MAX_CHARS: usize = 240;

/// The `lines` of an excerpt, of which a very long one has only what is around the place that a caret below it marks.
pub(super) fn narrowed(lines: Vec<String>) -> Vec<String> {
    let mut narrow = Vec::new();
    let mut lines = lines.into_iter().peekable();
    while let Some(line) = lines.next() {
        if line.chars().nth(MAX_CHARS).is_none() {
            narrow.push(line);
            continue;
        }
        let is_marked =
            |below: &String| below.trim_start().starts_with('|') && below.ends_with('^');
        let mark = lines.next_if(is_marked);
        let number = line.find("| ").map_or(0, |at| at + 2);
        let (number, source) = line.split_at_checked(number).unwrap_or(("", line.as_str()));
        let width = number.chars().count();
        let column = mark.map(|mark| mark.chars().count().saturating_sub(width + 1));
        let begin = column.unwrap_or(0).saturating_sub(MAX_CHARS / 2);
        let part: String = source.chars().skip(begin).take(MAX_CHARS).collect();
        let (before, behind) = (
            if begin > 0 { "…" } else { "" },
            begin + MAX_CHARS < source.chars().count(),
        );
        let behind = if behind { "…" } else { "" };
        narrow.push(format!("{number}{before}{part}{behind}"));
        if let Some(column) = column {
            let blanks = column - begin + before.chars().count();
            narrow.push(format!("{:>width$}{:blanks$}^", "| ", ""));
        }
    }
    narrow
}

/// The lines of the user's file that name the file of which `error` speaks, if Nix does not quote any.
pub(super) fn naming_a_file(context: &ExitContext<'_>, error: &NixError) -> Option<Vec<String>> {
    let summary = error.summary.as_str();
    let path = nixpkgs_file::missing(summary).or_else(|| missing_path(summary))?;
    // Nix has a place `«none»`, too.
    let place = error.position.as_ref();
    let is_quoted = place.is_some_and(|place| place.file.starts_with('/'));
    let files = context.files.filter(|_| !is_quoted)?;
    let written = files.naming(path)?;
    Some(around(&written.text, written.line, Some(written.column)))
}

/// The lines of the user's file around the first place that `failure` names, such as `pi.nix:3` or `pi.nix:3:7`.
pub(super) fn of_told_place(context: &ExitContext<'_>, failure: &Failure) -> Option<Vec<String>> {
    let message = format!("{:#}", failure.error);
    let texts = std::iter::once(&message).chain(&failure.hints);
    let mut words = texts.flat_map(|text| text.split([' ', '\n', '\'', '`', ',']));
    words.find_map(|word| {
        let (file, place) = word.strip_prefix(context.shown_dir)?.split_once(':')?;
        let (line, column) = place.split_once(':').unwrap_or((place, ""));
        let line = line.trim_end_matches('.').parse().ok()?;
        let column: Option<usize> = column.trim_end_matches(':').parse().ok();
        let text = context.files?.text(&format!("{CONFIG_DIR}{file}"))?;
        let lines = around(&text, line, column.map(|column| column.saturating_sub(1)));
        (!lines.is_empty()).then_some(lines)
    })
}

/// The lines of `text`, counted from 1, that have `name` outside of comments, as a whole name.
pub(super) fn with_name(text: &str, name: &str) -> Vec<(usize, ())> {
    let has_name = |line: &str| {
        let code = line.split('#').next().unwrap_or_default();
        code.split(|c| !is_of_name(c)).any(|word| word == name)
    };
    let lines = (1..).zip(text.lines());
    let found = lines.filter(|(_, line)| has_name(line));
    found.map(|(line, _)| (line, ())).collect()
}

#[cfg(test)]
mod tests {
    use super::narrowed;

    #[test]
    fn a_long_line_is_shown_around_its_mark() {
        let line = format!("7| {}bc{}", "a".repeat(9000), "d".repeat(9000));
        let mark = format!(" | {}^", " ".repeat(9001));
        let shown = narrowed(vec!["6| e".to_owned(), line, mark, "8| f".to_owned()]);
        let [first, line, mark, last] = &shown[..] else {
            panic!("{shown:?}")
        };
        assert_eq!((first.as_str(), last.as_str()), ("6| e", "8| f"));
        assert!(line.starts_with("7| …aa") && line.ends_with("d…"), "{line}");
        let at = mark.chars().position(|c| c == '^').unwrap();
        assert_eq!(line.chars().nth(at), Some('c'), "{line}\n{mark}");
        let short = vec!["1| { a b }".to_owned(), " |   ^".to_owned()];
        assert_eq!(narrowed(short.clone()), short);
        let without = narrowed(vec!["x".repeat(9000)]);
        assert_eq!(without, ["x".repeat(240) + "…"]);
    }
}
