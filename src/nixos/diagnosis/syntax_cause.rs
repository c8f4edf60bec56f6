//! The mistake behind a syntax error, which Nix notices only later in the file. Pure.

use super::brackets::{Imbalance, imbalance, open_brackets};
use super::closing_in_comment::not_closed;
use super::line_end::{missing_body, missing_end, missing_semicolon, missing_value};
use super::second_set::SecondSet;
use super::shell_length;
use super::source_lines::with_semicolon;
use super::wrong_token;
use crate::common::nix_name::is_of_path;
use crate::nixos::log::Position;
use sdbuild_core::text::line_of;

/// The mistake that Nix noticed only later.
pub(super) struct Cause {
    /// The line that it is in, counted from 1.
    pub(super) line: u64,
    /// What to do about it.
    pub(super) hint: String,
}

/// The mistake behind the syntax error `summary` at `position` of `text`, if the text shows it.
pub(super) fn cause(text: &str, position: &Position, summary: &str) -> Option<Cause> {
    let has = |text: &str| summary.contains(text);
    if let Some((line, hint)) = shell_length::hint(text, position.line) {
        return Some(Cause { line, hint });
    }
    let found = imbalance(text).filter(|found| found.line() <= position.line);
    let open = found.filter(|_| !is_half_a_sum(text, position, summary));
    if let Some(cause) = open.and_then(|found| open_text(text, found)) {
        return Some(cause);
    }
    let there = || wrong_there(text, position, summary);
    if let Some(cause) = without_body(text, position, summary).or_else(there) {
        return Some(cause);
    }
    if has("unexpected end of file")
        && let Some(mut cause) = found.and_then(|found| wrong_bracket(text, found))
    {
        cause.hint.extend(missing_end(text));
        return Some(cause);
    }
    if has("unexpected ']'")
        && let Some(cause) = list_without_bracket(text, position)
    {
        return Some(cause);
    }
    if let Some(cause) = with_without_semicolon(text, position.line)
        && (has("expecting ';'")
            || has("unexpected end of file")
            || has("unexpected '}'") && is_last_definition(text, cause.line, position))
    {
        return Some(cause);
    }
    if has("expecting ';'") {
        let Some(line) = line_without_semicolon(text, position) else {
            return semicolon_in_line(text, position, summary).filter(|_| found.is_none());
        };
        let hint = missing_semicolon(line_of(text, line)?, line);
        return Some(Cause { line, hint });
    }
    if has("unexpected ';', expecting end of file") && is_end_of_file(text, position) {
        let line = position.line;
        let hint = "remove the `;`. Nothing may follow the last `}` of a file".to_owned();
        return Some(Cause { line, hint });
    }
    if has("expecting end of file") {
        let line = line_that_closes(text_before(text, position)?)?;
        if let Some(cause) = behind_the_end(text, line) {
            return Some(cause);
        }
        let hint = format!(
            "line {line} closes the {{ … }} of the whole file. There is one closing bracket too many, or an opening one \
             is missing before it"
        );
        return Some(Cause { line, hint });
    }
    let list = || has("unexpected '='").then(|| open_list(text_before(text, position)?))?;
    list().or_else(|| found.and_then(|found| wrong_bracket(text, found)))
}

/// The list that is open at the end of `before`, where Nix reads a definition, however many others are not closed.
fn open_list(before: &str) -> Option<Cause> {
    let Some(Imbalance::NotClosed { bracket: '[', line }) = imbalance(before) else {
        return None;
    };
    let hint = not_closed(before, '[', line);
    Some(Cause { line, hint })
}

/// Whether a value is missing after the `+` at `position` that follows a string: that is closed, if in a later line.
fn is_half_a_sum(text: &str, position: &Position, summary: &str) -> bool {
    let before = text_before(text, position).unwrap_or_default();
    let sum = before.trim_end().strip_suffix(" +");
    summary.contains("unexpected ';'") && sum.is_some_and(|sum| sum.ends_with(['"', '\'']))
}

/// The mistake at the place itself.
fn wrong_there(text: &str, position: &Position, summary: &str) -> Option<Cause> {
    // Behind the arguments of a function, the set is its body.
    let second = position
        .offset(text)
        .filter(|_| !summary.contains("expecting ':'"));
    if let Some(second) = second.and_then(|at| SecondSet::unexpected(text, at)) {
        let (line, hint) = (second.line, second.hint());
        return Some(Cause { line, hint });
    }
    let is_list = summary.contains("unexpected '['");
    let without_with = || name_without_with(text, position).filter(|_| is_list);
    without_with().or_else(|| {
        let hint = wrong_token::hint(text, position, summary)?;
        let line = position.line;
        Some(Cause { line, hint })
    })
}

/// The definitions after `last`, the line that closes the whole file, if their own brackets match: they were appended to the file.
fn behind_the_end(text: &str, last: u64) -> Option<Cause> {
    let lines = (1..).zip(text.lines()).filter(|(line, _)| *line > last);
    let rest: Vec<&str> = lines.clone().map(|(_, text)| text).collect();
    let is_code = |text: &str| !text.trim().is_empty() && !text.trim().starts_with('#');
    let mut code = lines.filter(|(_, text)| is_code(text));
    let (line, first) = code.next()?;
    let (end, last_text) = code.last().unwrap_or((line, first));
    let is_definition = first.contains('=') && last_text.trim_end().ends_with(';');
    let closes = line_of(text, last)?.trim();
    if !is_definition || closes != "}" || imbalance(&rest.join("\n")).is_some() {
        return None;
    }
    let hint = if end == line {
        format!("line {line} is after the last `}}` of the file. Move it above line {last}")
    } else {
        format!(
            "lines {line} to {end} are after the last `}}` of the file. Move them above line {last}"
        )
    };
    Some(Cause { line, hint })
}

/// Whether the character at `position` follows a `}`, and nothing but comments follows it.
fn is_end_of_file(text: &str, position: &Position) -> bool {
    let Some(before) = text_before(text, position) else {
        return false;
    };
    let rest = text.get(before.len() + 1..).unwrap_or_default();
    let mut lines = rest.lines().map(str::trim);
    let is_blank = |line: &str| line.is_empty() || line.starts_with('#');
    before.trim_end().ends_with('}') && lines.all(is_blank)
}

/// Whether at most the definition of `line` ends before `position`.
fn is_last_definition(text: &str, line: u64, position: &Position) -> bool {
    let before = text_before(text, position).unwrap_or_default();
    let from_line = (1..)
        .zip(before.lines())
        .filter(|(number, _)| *number >= line);
    let ends = from_line.map(|(_, text)| text.matches(';').count());
    ends.sum::<usize>() <= 1
}

/// The string or the comment that goes on to the end of the file.
fn open_text(text: &str, found: Imbalance) -> Option<Cause> {
    let line = found.line();
    let hint = match found {
        Imbalance::OpenString { .. } if has_doubled_quote(line_of(text, line)?) => {
            format!("there is one `\"` too many in line {line}. \"\" is a complete, empty string")
        }
        Imbalance::OpenString { .. } => {
            format!("the string that begins in line {line} has no closing quote")
        }
        Imbalance::OpenComment { .. } => {
            format!("the comment that begins in line {line} is not closed. End it with `*/`")
        }
        Imbalance::OpenIndentedString { .. } => {
            format!(
                "the string that begins with `''` in line {line} is not closed. End it with another `''`"
            )
        }
        Imbalance::EndInWord { .. } => format!(
            "the `''` in a word of line {line} ends the string. Write one `'` there, or `'''` for two of them"
        ),
        Imbalance::Wildcard { .. } => format!(
            "Nix has no wildcards (`*`). Name each file of line {line}, as in [ ./a.nix ./b.nix ]"
        ),
        Imbalance::NotClosed { .. } | Imbalance::NotOpened { .. } => return None,
    };
    Some(Cause { line, hint })
}

/// Whether `line` has two quotes, one after the other, at the begin or the end of a text, in place of one.
fn has_doubled_quote(line: &str) -> bool {
    let is_text = |c: char| c.is_alphanumeric() || "./-_$".contains(c);
    let mut found = line.match_indices("\"\"").filter(|(start, quotes)| {
        let (before, behind) = (line.get(..*start), line.get(start + quotes.len()..));
        before.is_some_and(|before| before.ends_with(is_text))
            || behind.is_some_and(|behind| behind.starts_with(is_text))
    });
    found.next().is_some() && found.next().is_none() && !line.contains("''")
}

/// The bracket that has no counterpart.
fn wrong_bracket(text: &str, found: Imbalance) -> Option<Cause> {
    let line = found.line();
    let hint = match found {
        Imbalance::NotClosed { bracket: '$', .. } => {
            format!("the `${{` of line {line} is not closed")
        }
        Imbalance::NotClosed { bracket, .. } => not_closed(text, bracket, line),
        Imbalance::NotOpened { bracket, .. } => format!(
            "nothing is open at the `{bracket}` of line {line}. Remove it, or add the opening bracket that is missing \
             before it"
        ),
        Imbalance::OpenString { .. }
        | Imbalance::OpenComment { .. }
        | Imbalance::OpenIndentedString { .. }
        | Imbalance::EndInWord { .. }
        | Imbalance::Wildcard { .. } => return None,
    };
    Some(Cause { line, hint })
}

/// The definition whose list has a `]` at `position`, and no `[`.
fn list_without_bracket(text: &str, position: &Position) -> Option<Cause> {
    let before = text_before(text, position)?;
    // Another bracket may be open inside it.
    let is_in_list = open_brackets(before).contains(&'[');
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
        "the `]` of line {} closes a list that line {line} does not begin. Write `= [` there",
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
        let name = rest.trim_start().split(|c| !is_of_path(c)).next()?;
        let after = rest.trim_start().strip_prefix(name)?.trim_start();
        let is_set = ["pkgs", "lib"].contains(&name.split('.').next()?);
        let is_wrong = is_set && (after.starts_with('[') || after.starts_with(':'));
        let hint = format!("write `with {name};` in line {line}, with a `;`");
        is_wrong.then_some(Cause { line, hint })
    });
    found.last()
}

/// The name of a package set in front of the list at `position`, as in `= pkgs; [ vim ]`, which lacks its `with`.
fn name_without_with(text: &str, position: &Position) -> Option<Cause> {
    let before = text_before(text, position)?.trim_end();
    let value = before.strip_suffix(';')?.trim_end();
    let start = value.trim_end_matches(is_of_path);
    let name = value.strip_prefix(start)?;
    // Other values, such as a package, are no sets of packages.
    let is_set =
        ["pkgs", "lib"].contains(&name) || name.starts_with("pkgs.") && name.ends_with("Packages");
    let is_value = start.trim_end().ends_with('=');
    let line = u64::try_from(value.matches('\n').count() + 1).ok()?;
    let hint = format!("write `with {name};` instead of `{name};` in line {line}");
    (is_set && is_value).then_some(Cause { line, hint })
}

/// The line after which a `;` is missing, where Nix met something else at `position`: the last one with code, if nothing but
/// the name of the next definition is in front of the place.
fn line_without_semicolon(text: &str, position: &Position) -> Option<u64> {
    let lines: Vec<(u64, &str)> = (1..).zip(text.lines()).collect();
    let (_, at) = lines.iter().find(|(line, _)| *line == position.line)?;
    let column = usize::try_from(position.column).ok()?;
    let before = at.get(..column.saturating_sub(1))?.trim();
    if !before.chars().all(|c| is_of_path(c) || c == '"') {
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

/// The braces to put around the definitions after the arguments of a function in parentheses, which end the `line` that is `written`,
/// if every bracket of the file has its other one.
fn missing_braces(text: &str, line: u64, written: &str) -> Option<String> {
    let code = written.split('#').next()?.trim_end();
    if !code.ends_with(':') || imbalance(text).is_some() {
        return None;
    }
    let lines = text.split_inclusive('\n').take(usize::try_from(line).ok()?);
    let (before, rest) = text.split_at_checked(lines.map(str::len).sum())?;
    let open = open_brackets(before);
    let is_end = |at: &usize| {
        let up_to = text.get(..=before.len() + at);
        up_to.is_some_and(|up_to| open_brackets(up_to).len() < open.len())
    };
    let mut closing = rest.match_indices(')').map(|(at, _)| at);
    let end = closing.find(is_end).filter(|_| open.last() == Some(&'('))?;
    let last = line + u64::try_from(rest.get(..end)?.matches('\n').count()).ok()? + 1;
    Some(format!(
        "put the definitions in braces: `{{` at the end of line {line}, `}}` before the `)` of line {last}"
    ))
}

/// The line in front of the definition at `position` that ends before an expression.
fn without_body(text: &str, position: &Position, summary: &str) -> Option<Cause> {
    // The `=` of `let = …` is no definition's.
    let is_definition =
        summary.contains("unexpected '=', expecting ") && !summary.contains("expecting IN");
    if !is_definition {
        return None;
    }
    let too_many = imbalance(text);
    let is_closed = matches!(too_many, Some(Imbalance::NotOpened { bracket: '}', .. }));
    let next = line_of(text, position.line)?;
    if let Some(line) = line_without_semicolon(text, position) {
        let written = line_of(text, line)?;
        let value = || missing_value(written, next, line, is_closed);
        let braces = || missing_braces(text, line, written);
        let body = || missing_body(written, line);
        let hint = braces().or_else(body).or_else(value)?;
        return Some(Cause { line, hint });
    }
    // In the same line, a name that is a value may be the mistake.
    let line = position.line;
    let before = text_before(text, position).filter(|_| is_closed)?;
    let written = before.rsplit('\n').next()?.trim_end();
    let hint = missing_value(written.trim_end_matches(is_of_path), next, line, is_closed)?;
    Some(Cause { line, hint })
}

/// The place in the line of `position` where a `;` is missing: before the name of the next definition, or before the end of the set.
fn semicolon_in_line(text: &str, position: &Position, summary: &str) -> Option<Cause> {
    let before = text_before(text, position)?;
    let line = before.rsplit('\n').next()?.trim_end();
    let (value, next) = if summary.contains("unexpected '=', expecting ';'") {
        let value = line.trim_end_matches(is_of_path);
        (value, line.strip_prefix(value)?)
    } else if summary.contains("unexpected '}', expecting ';'") {
        (line, "}")
    } else {
        return None;
    };
    let is_value = |c: char| c.is_alphanumeric() || "\")]}".contains(c);
    let is_definition = value.contains('=') && value.trim_end().ends_with(is_value);
    let next = Some(next).filter(|next| is_definition && !next.is_empty())?;
    let missing = format!("a `;` is missing before `{next}`");
    let line = position.line;
    let whole = line_of(text, line).and_then(|line| with_semicolon(line, value.trim_end().len()));
    let hint = whole.map_or_else(|| missing.clone(), |line| format!("{missing}: {line}"));
    Some(Cause { line, hint })
}

/// Lines before a syntax error that are looked at for the end of the file's outermost brackets.
const MAX_LINES_BEFORE: usize = 50;

/// The text in front of `position`.
fn text_before<'a>(text: &'a str, position: &Position) -> Option<&'a str> {
    text.get(..position.offset(text)?)
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

#[cfg(test)]
mod tests;
