//! The slip behind a syntax error, which Nix notices only later in the file. Pure.

use super::place::Place;
use super::table::{Advice, Row};
use crate::brackets::{Imbalance, imbalance, open_brackets};
use crate::log::Position;
use crate::nix_name::is_of_path;
use sdbuild_core::invisible_chars::is_format_char;
use sdbuild_core::text::line_of;

/// Lines before a syntax error that are searched for the end of the file's outermost brackets.
const MAX_LINES_BEFORE: usize = 50;

/// A slip, with its line from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slip {
    pub(super) line: u64,
    pub(super) advice: Advice,
}

impl Slip {
    fn new(line: u64, row: Row) -> Self {
        let advice = row.with("line", line);
        Self { line, advice }
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.advice = self.advice.and(name, value);
        self
    }

    /// The place of the slip in the file of Nix's `position`; Nix's own place if it is in that line.
    pub(super) fn place(&self, position: &Position) -> Option<Place> {
        let place = Place::of(position)?;
        if self.line == position.line {
            return Some(place);
        }
        Some(Place {
            line: usize::try_from(self.line).ok()?,
            column: None,
            ..place
        })
    }
}

/// The slip behind the syntax error `summary` at `position` of `text`.
pub(super) fn find(text: &str, position: &Position, summary: &str) -> Slip {
    of_file(text, position)
        .or_else(|| in_line(text, position, summary))
        .or_else(|| before(text, position, summary))
        .unwrap_or_else(|| Slip::new(position.line, Row::OtherSyntax))
}

/// What is wrong with the file as a whole.
fn of_file(text: &str, position: &Position) -> Option<Slip> {
    if !text.lines().any(is_code) {
        return Some(Slip::new(position.line, Row::EmptyFile));
    }
    let has_mark = text.starts_with('\u{feff}') && position.line == 1;
    has_mark.then(|| Slip::new(1, Row::Encoding))
}

/// Whether `line` has more than blanks and a comment.
fn is_code(line: &str) -> bool {
    !line.trim().is_empty() && !line.trim_start().starts_with('#')
}

/// A slip in the line that Nix names.
fn in_line(text: &str, position: &Position, summary: &str) -> Option<Slip> {
    let line = position.line;
    let has = |words: &str| summary.contains(words);
    let at = text.get(position.offset(text)?..)?;
    let is_other_quote = |c: char| "“”„‘’«»'".contains(c);
    let row = if has(", expecting '.' or '='") && !has("unexpected ','") {
        Row::Definition
    } else if has("unexpected ','") {
        Row::Comma
    } else if at.starts_with(is_other_quote)
        || at.starts_with(is_format_char)
        || has("invalid token") && line_of(text, line)?.contains(is_format_char)
    {
        Row::StraightQuotes
    } else if at.starts_with('$') || at.starts_with("!/") {
        Row::ShellVariable
    } else if has("expecting IN_KW") || has("expecting ELSE") || has("expecting THEN") {
        Row::Keywords
    } else if has("unexpected ';', expecting ')'")
        || has("unexpected ';', expecting end of file")
            && !at.strip_prefix(';')?.lines().any(is_code)
    {
        Row::ExtraSemicolon
    } else {
        return None;
    };
    Some(Slip::new(line, row))
}

/// A slip before the place that Nix names.
fn before(text: &str, position: &Position, summary: &str) -> Option<Slip> {
    let has = |words: &str| summary.contains(words);
    let before = text.get(..position.offset(text)?)?;
    let found = imbalance(text).filter(|found| found.line <= position.line);
    let is_text = found.is_some_and(|found| ["\"", "''", "/*"].contains(&found.token));
    if is_text || has("unexpected end of file") {
        return found.map(unbalanced);
    }
    if has("expecting ';'") {
        let line = line_without_semicolon(text, position);
        let line = line.or_else(|| found.is_none().then_some(position.line))?;
        return Some(Slip::new(line, Row::Semicolon));
    }
    if has("expecting end of file") {
        let line = line_that_closes(before)?;
        return Some(Slip::new(line, Row::ClosedTooEarly));
    }
    if has("unexpected '='")
        && let Some(open) = imbalance(before).filter(|open| open.token == "[")
    {
        return Some(unbalanced(open));
    }
    if has("unexpected ']'") && !open_brackets(before).contains(&"[") {
        return Some(Slip::new(position.line, Row::NotOpened).with("bracket", ']'));
    }
    let value = before.trim_end();
    if value.ends_with('=') {
        let line = u64::try_from(value.matches('\n').count() + 1).ok()?;
        return Some(Slip::new(line, Row::Definition));
    }
    found.map(unbalanced)
}

/// The bracket, quote or comment that has no counterpart.
fn unbalanced(found: Imbalance) -> Slip {
    let row = if found.opens {
        Row::NotClosed
    } else {
        Row::NotOpened
    };
    Slip::new(found.line, row).with("bracket", found.token)
}

/// The last line of code before `position`, if only the name of the next definition is between them.
fn line_without_semicolon(text: &str, position: &Position) -> Option<u64> {
    let column = usize::try_from(position.column).ok()?;
    let at = line_of(text, position.line)?;
    let before = at.get(..column.saturating_sub(1))?.trim();
    if !before.chars().all(|c| is_of_path(c) || c == '"') {
        return None;
    }
    let lines = (1..).zip(text.lines());
    let earlier = lines.take_while(|(line, _)| *line < position.line);
    let code = earlier.filter(|(_, line)| is_code(line));
    code.map(|(line, _)| line).last()
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

/// What the token is in a file that Nix's parser calls `name`.
fn token(name: &str) -> Option<&'static str> {
    Some(match name {
        "FLOAT" | "FLOAT_LIT" | "INT" | "INT_LIT" => "number",
        "HPATH" | "PATH" | "SPATH" => "path",
        "PATH_END" => "end of path",
        "ID" => "name",
        "URI" => "address",
        "IND_STR" => "text",
        "STR" | "IND_STRING_OPEN" => "string",
        "IND_STRING_CLOSE" => "end of string",
        "AND" => "'&&'",
        "OR" => "'||'",
        "IMPL" => "'->'",
        "EQ" => "'=='",
        "NEQ" => "'!='",
        "GEQ" => "'>='",
        "LEQ" => "'<='",
        "CONCAT" => "'++'",
        "UPDATE" => "'//'",
        "DOLLAR_CURLY" => "'${'",
        "ELLIPSIS" => "'...'",
        "ASSERT" => "'assert'",
        "ELSE" => "'else'",
        "IF" => "'if'",
        "IN" | "IN_KW" => "'in'",
        "INHERIT" => "'inherit'",
        "LET" => "'let'",
        "OR_KW" => "'or'",
        "REC" => "'rec'",
        "THEN" => "'then'",
        "WITH" => "'with'",
        _ => return None,
    })
}

/// The message of a syntax error with tokens as a file has them.
pub(super) fn with_known_tokens(summary: &str) -> String {
    let words = summary.split(' ').map(|word| {
        let name = word.strip_suffix(',').unwrap_or(word);
        token(name).map_or(word.to_owned(), |shown| word.replace(name, shown))
    });
    words.collect::<Vec<_>>().join(" ")
}
