//! What to do about a syntax error: Nix notices most of them only after the place of the mistake.

use super::brackets::{Imbalance, imbalance};
use super::evidence::ExitContext;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::log::{NixError, Position};

/// What some editors write in front of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The mistake that Nix noticed only later.
struct Cause {
    /// The line that it is in, counted from 1.
    line: u64,
    /// What to do about it.
    hint: String,
}

/// What to do about the syntax error in `error`, if the file shows more of it than Nix says.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let position = error.position.as_ref()?;
    let files = context.files?;
    if files.is_utf_16(&position.file) {
        return Some("the file is in UTF-16, which Nix does not read: save it as UTF-8".to_owned());
    }
    let text = files.text(&position.file)?;
    if text.trim().is_empty() {
        let hint = match position.file.rsplit('/').next() {
            Some(FLAKE_FILE) => {
                "the file is empty: remove it, then `sdbuild init --flake` writes one"
            }
            Some(_) | None => "the file is empty: remove it, then `sdbuild init` writes one",
        };
        return Some(hint.to_owned());
    }
    if error.summary.contains("invalid token")
        && let Some(hint) = invisible_character(&text, position)
    {
        return Some(hint);
    }
    if is_without_braces(&text, &error.summary) {
        return Some("definitions stand in braces, after the arguments: { ... }: { … }".to_owned());
    }
    if is_byte_order_mark(&text, position) {
        let hint = "the file begins with a byte order mark, which Nix does not read: save it as UTF-8 without one";
        return Some(hint.to_owned());
    }
    cause(&text, position, &error.summary).map(|cause| cause.hint)
}

/// The line with the mistake of a syntax error, as Nix quotes source, if Nix quotes only later ones of the file; with an
/// ellipsis for what is between them.
pub(super) fn earlier_lines(context: &ExitContext<'_>, error: &NixError) -> Vec<String> {
    let quoted = earlier_line(context, error);
    let lines = quoted.map(|(line, is_next)| {
        let ellipsis = (!is_next).then(|| "…".to_owned());
        std::iter::once(line).chain(ellipsis).collect()
    });
    lines.unwrap_or_default()
}

/// That line, and whether the next one is quoted by Nix.
fn earlier_line(context: &ExitContext<'_>, error: &NixError) -> Option<(String, bool)> {
    if !error.summary.starts_with("syntax error, ") {
        return None;
    }
    let position = error.position.as_ref()?;
    let text = context.files?.text(&position.file)?;
    let Cause { line, .. } = cause(&text, position, &error.summary)?;
    // Nix quotes the line before the place, too.
    if line + 1 >= position.line {
        return None;
    }
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    let quoted = format!("{line}| {}", text.lines().nth(index)?);
    Some((quoted, line + 2 == position.line))
}

/// A blank of another kind in the line of `position`, as web pages have them, which Nix takes for no blank.
fn invisible_character(text: &str, position: &Position) -> Option<String> {
    let index = usize::try_from(position.line).ok()?.checked_sub(1)?;
    let line = text.lines().nth(index)?;
    let is_other = |c: &char| {
        *c != BYTE_ORDER_MARK && (c.is_whitespace() && !c.is_ascii() || *c == '\u{200b}')
    };
    let found = line.chars().find(is_other)?;
    let code = u32::from(found);
    Some(format!(
        "line {} has a blank of another kind (U+{code:04X}), which looks like a space: write a plain one in its place",
        position.line
    ))
}

/// Whether the file begins with a definition: what Nix takes for a whole expression ends at its `=`.
fn is_without_braces(text: &str, summary: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let name = first.split('=').next().unwrap_or_default().trim();
    let is_name = |c: char| c.is_alphanumeric() || "_-'.\"".contains(c);
    summary.contains("unexpected '=', expecting end of file")
        && first.contains('=')
        && name.chars().all(is_name)
}

fn is_byte_order_mark(text: &str, position: &Position) -> bool {
    text.starts_with(BYTE_ORDER_MARK) && (position.line, position.column) == (1, 1)
}

fn cause(text: &str, position: &Position, summary: &str) -> Option<Cause> {
    let has = |text: &str| summary.contains(text);
    let found = imbalance(text);
    if let Some(cause) = found.and_then(unclosed_text) {
        return Some(cause);
    }
    if let Some(Imbalance::LongText { line }) = found
        && line <= position.line
    {
        let hint = format!(
            "a quote is missing: the string that begins in line {line} continues past the end of that line"
        );
        return Some(Cause { line, hint });
    }
    if has("unexpected ']'")
        && let Some(cause) = list_without_bracket(text, position)
    {
        return Some(cause);
    }
    if let Some(Cause { line, hint }) = with_without_semicolon(text, position.line)
        && (has("expecting ';'") || has("unexpected end of file"))
    {
        return Some(Cause { line, hint });
    }
    if has("expecting ';'") {
        let line = line_without_semicolon(text, position)?;
        let hint = format!("a `;` is missing at the end of line {line}");
        return Some(Cause { line, hint });
    }
    if has("expecting end of file") {
        let line = line_that_closes(text_before(text, position)?)?;
        let hint = format!(
            "line {line} closes the {{ … }} of the whole file: one bracket too many, or one that opens is missing before"
        );
        return Some(Cause { line, hint });
    }
    // A definition where Nix still reads a list, however many are not closed.
    if has("unexpected '='")
        && let Some(Imbalance::NotClosed { bracket: '[', line }) =
            imbalance(text_before(text, position)?)
    {
        let hint = format!("the `[` of line {line} is not closed");
        return Some(Cause { line, hint });
    }
    by_brackets(found?, position)
}

fn by_brackets(found: Imbalance, position: &Position) -> Option<Cause> {
    match found {
        Imbalance::NotClosed { bracket, line } if line <= position.line => {
            let bracket = if bracket == '$' {
                "${".to_owned()
            } else {
                bracket.to_string()
            };
            let hint = format!("the `{bracket}` of line {line} is not closed");
            Some(Cause { line, hint })
        }
        Imbalance::NotOpened { bracket, line } => {
            let hint = format!(
                "there is one `{bracket}` too many, or one is missing that opens: nothing is open at the `{bracket}` of line {line}"
            );
            Some(Cause { line, hint })
        }
        Imbalance::LongText { .. }
        | Imbalance::Comment { .. }
        | Imbalance::Lines { .. }
        | Imbalance::NotClosed { .. } => None,
    }
}

/// The comment or the text in `''` that goes on to the end of the file.
fn unclosed_text(found: Imbalance) -> Option<Cause> {
    match found {
        Imbalance::Comment { line } => {
            let hint =
                format!("the comment that begins in line {line} is not closed: `*/` ends it");
            Some(Cause { line, hint })
        }
        Imbalance::Lines { line } => {
            let hint = format!("the `''` of line {line} is not closed: another `''` ends the text");
            Some(Cause { line, hint })
        }
        Imbalance::LongText { .. } | Imbalance::NotClosed { .. } | Imbalance::NotOpened { .. } => {
            None
        }
    }
}

/// The definition whose list has a `]` at `position`, and no `[`.
fn list_without_bracket(text: &str, position: &Position) -> Option<Cause> {
    let before = text_before(text, position)?;
    // Another bracket may be open inside of it.
    let is_in_list = before.matches('[').count() > before.matches(']').count();
    let lines: Vec<(u64, &str)> = (1..).zip(before.lines()).collect();
    let begins = |line: &str| {
        line.split('#')
            .next()
            .unwrap_or_default()
            .trim_end()
            .ends_with('=')
    };
    let definition = lines.iter().rev().find(|(_, line)| begins(line));
    let (line, _) = definition.filter(|_| !is_in_list)?;
    let hint = format!(
        "the `]` of line {} closes a list that line {line} does not begin: write `= [` there",
        position.line
    );
    Some(Cause { line: *line, hint })
}

/// The last `with` of a package set or of `lib`, up to the line `end`, that a list follows in place of a `;`. Other names may be
/// functions, which take a list.
fn with_without_semicolon(text: &str, end: u64) -> Option<Cause> {
    let lines = (1..).zip(text.lines()).filter(|(line, _)| *line <= end);
    let found = lines.filter_map(|(line, text)| {
        let code = text.split('#').next()?;
        let (_, rest) = code.rsplit_once(" with ")?;
        let is_name = |c: char| c.is_alphanumeric() || "_-'.".contains(c);
        let name = rest.trim_start().split(|c| !is_name(c)).next()?;
        let after = rest.trim_start().strip_prefix(name)?.trim_start();
        let is_set = ["pkgs", "lib"].contains(&name.split('.').next()?);
        let is_wrong = is_set && after.starts_with('[');
        is_wrong.then(|| {
            (
                line,
                format!("write `with {name};` in line {line}, with a `;`"),
            )
        })
    });
    let (line, hint) = found.last()?;
    Some(Cause { line, hint })
}

/// The line behind which a `;` is missing, where Nix met something else at `position`: the last one with code, if nothing but
/// the name of the next definition is in front of the place.
fn line_without_semicolon(text: &str, position: &Position) -> Option<u64> {
    let lines: Vec<(u64, &str)> = (1..).zip(text.lines()).collect();
    let (_, at) = lines.iter().find(|(line, _)| *line == position.line)?;
    let column = usize::try_from(position.column).ok()?;
    let before = at.get(..column.saturating_sub(1))?.trim();
    let is_name = |c: char| c.is_alphanumeric() || "_-'.\"".contains(c);
    if !before.chars().all(is_name) {
        return None;
    }
    let is_code = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let mut earlier = lines
        .iter()
        .rev()
        .skip_while(|(line, _)| *line >= position.line);
    let (line, _) = earlier.find(|(_, text)| is_code(text))?;
    Some(*line)
}

/// Lines before a syntax error that are looked at for the end of the file's outermost brackets.
const MAX_LINES_BEFORE: usize = 50;

/// The text in front of `position`.
fn text_before<'a>(text: &'a str, position: &Position) -> Option<&'a str> {
    let line = usize::try_from(position.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(position.column).ok()?.checked_sub(1)?;
    let lines: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    text.get(..lines + column)
}

/// The last line of `text` with which everything is closed that was open.
fn line_that_closes(text: &str) -> Option<u64> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut last = (1..=lines.len()).rev().take(MAX_LINES_BEFORE);
    let line = last.find(|count| {
        let (before, _) = lines.split_at_checked(*count).unwrap_or_default();
        let has_bracket = before
            .last()
            .is_some_and(|line| line.contains(['}', ']', ')']));
        has_bracket && imbalance(&before.concat()).is_none()
    })?;
    u64::try_from(line).ok()
}

/// What to look for, by what the parser met and what it expected.
pub(super) fn general_hint(summary: &str) -> &'static str {
    let has = |text: &str| summary.contains(text);
    if has("expecting ';'") {
        "a `;` is missing there or at the end of the line before, or a quote before it is not closed"
    } else if has("unexpected ','") {
        "remove the comma: the elements of a list are separated by spaces, and definitions end with `;`"
    } else if has("expecting ':'") {
        "the { … } with the module's arguments ends with a colon: { pkgs, ... }:"
    } else if has("unexpected ':', expecting '.' or '='") {
        "write `=` in place of `:`"
    } else if has("unexpected ID, expecting '.' or '='") {
        "a `,` between two arguments, or a `=` or a bracket is missing before it"
    } else if has("unexpected UPDATE") {
        "a comment begins with `#`; `//` joins two sets"
    } else if has("unexpected '@'") {
        "a string such as a key needs double quotes: \"…\""
    } else if has("unexpected invalid token") {
        "a string needs double quotes, the straight ones: \"…\""
    } else if has("unexpected end of file") {
        "a bracket or a quote is not closed, or the file is empty"
    } else {
        "a bracket, a quote or a `;` is missing there or before it"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_with_without_its_semicolon_is_found() {
        let line = |text: &str| with_without_semicolon(text, 3).map(|cause| cause.line);
        assert_eq!(line("{\n  a = with pkgs [ vim ];\n  b = 1;\n}"), Some(2));
        assert_eq!(line("{\n  a = with pkgs; [ vim ];\n  b = 1;\n}"), None);
        assert_eq!(line("{\n  # with pkgs [\n  b = 1;\n}"), None);
        assert_eq!(line("{\n\n\n  a = with pkgs [ vim ];\n}"), None, "later");
        assert_eq!(line("{\n  a = with f [ 1 ]; x;\n  b = 1;\n}"), None);
        assert_eq!(line("{\n  a = with pkgs { };\n}"), None);
    }

    #[test]
    fn a_list_that_does_not_begin_is_found() {
        let text = "{\n  keys =\n    \"a\"\n  ];\n}\n";
        let at = |line, column| Position {
            file: String::new(),
            line,
            column,
        };
        let summary = "syntax error, unexpected ']', expecting ';'";
        let found = cause(text, &at(4, 3), summary).unwrap();
        assert_eq!(found.line, 2);
        assert!(found.hint.contains("`]` of line 4"), "{}", found.hint);
        for list in [
            "{\n  a =\n    [ 1 ( ];\n}\n",
            "{\n  a =\n    [ 1 + ];\n}\n",
            "{ a = [ { b =\n  1\n          ];\n}\n",
        ] {
            assert!(list_without_bracket(list, &at(3, 11)).is_none(), "{list}");
        }
    }

    #[test]
    fn definitions_without_braces_are_recognised() {
        let end = "syntax error, unexpected '=', expecting end of file";
        assert!(is_without_braces("services.openssh.enable = true;\n", end));
        let inside = "syntax error, unexpected '=', expecting ';'";
        assert!(!is_without_braces("a = 1;\n", inside));
        for other in [
            "let a = 1; in { }\n",
            "pkgs: { }\na = 1;\n",
            "{ ... }: { a = 1; }\n",
        ] {
            assert!(!is_without_braces(other, end), "{other}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_recognised() {
        let mut position = Position {
            file: "/build/config/c.nix".into(),
            line: 1,
            column: 1,
        };
        assert!(is_byte_order_mark("\u{feff}{ ... }:\n{ }\n", &position));
        assert!(!is_byte_order_mark("'pi'\n", &position));
        position.line = 2;
        assert!(!is_byte_order_mark("\u{feff}{ ... }:\n{ }\n", &position));
    }
}
