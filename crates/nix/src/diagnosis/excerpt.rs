//! Lines that a failure shows beside its message: of the user's files, as Nix quotes source, or of Nix's message. Pure.

use super::evidence::{ExitContext, Findings, TAIL_LINES};
use super::explanation::Explanation;
use super::message::with_own_paths;
use crate::layout;
use crate::log::NixError;
use sdbuild_core::failure::Failure;
use sdbuild_core::redact::{
    self, is_option_of_secret, redacted, redacted_with, without_private_keys,
};

/// Characters of a line; of a longer one the part around its caret is shown.
const MAX_CHARS: usize = 240;

/// `failure` with the last lines of the failed build's output, else an excerpt of the explained error, else the last lines of other
/// programs. No secrets are in them or in its texts.
pub(super) fn with_lines(
    context: &ExitContext<'_>,
    findings: &Findings,
    explained: Option<(&NixError, &Explanation)>,
    mut failure: Failure,
) -> Failure {
    let failed = findings
        .failed
        .as_ref()
        .filter(|failed| !failed.tail.is_empty());
    let mut secrets = Vec::new();
    let lines: Vec<String> = match (failed, explained) {
        (Some(failed), _) => failed.tail.iter().map(|line| redacted(line)).collect(),
        (None, Some((error, explanation))) => {
            let lines = excerpt(context, error, explanation, &failure.to_string());
            let option = explanation.cause.option();
            let (shown, hidden) = redact::excerpt(&lines, option.is_some_and(is_option_of_secret));
            secrets = hidden;
            narrowed(shown)
        }
        (None, None) => findings
            .other_lines
            .iter()
            .map(|line| redacted(line))
            .collect(),
    };
    let skip = lines.len().saturating_sub(TAIL_LINES);
    failure.log_tail = lines.into_iter().skip(skip).collect();
    let message = format!("{:#}", failure.error);
    let shown = redacted_with(&message, &secrets);
    if shown != message {
        failure.error = anyhow::Error::msg(shown);
    }
    for hint in &mut failure.hints {
        *hint = redacted_with(hint, &secrets);
    }
    failure
}

/// The lines of the user's file around the place of the error, else those that Nix quotes.
fn excerpt(
    context: &ExitContext<'_>,
    error: &NixError,
    explanation: &Explanation,
    message: &str,
) -> Vec<String> {
    let place = explanation.place.as_ref();
    let text = place.and_then(|place| Some((place, place.text(context)?)));
    if let Some((place, text)) = text {
        return around(&without_private_keys(&text), place.line, place.column);
    }
    let position = error.position.as_ref();
    // What sdbuild made of a flag says nothing to a user, who sees the flag itself.
    let is_of_flag = position.is_some_and(|position| position.file == layout::CLI_MODULE);
    let cause = &explanation.cause;
    if is_of_flag || cause.is_refused_package() || cause.is_reported_elsewhere() {
        return Vec::new();
    }
    quoted(context, error, message)
}

/// Line `at` of `text` with those around it, as Nix quotes source, and a caret below its `column`.
fn around(text: &str, at: usize, column: Option<usize>) -> Vec<String> {
    let numbered = (1_usize..).zip(text.lines());
    let near = numbered.filter(|(line, _)| line.abs_diff(at) <= 1);
    let width = (at + 1).to_string().len();
    let lines = near.flat_map(|(line, text)| {
        let source = format!("{line:>width$}| {text}");
        let blanks = column
            .filter(|_| line == at)
            .map(|column| column.saturating_sub(1));
        let caret = blanks.map(|blanks| format!("{:width$}| {:blanks$}^", "", ""));
        std::iter::once(source).chain(caret)
    });
    lines.collect()
}

/// The end of Nix's message: the reason, which comes last, with the source around it; without what `message` says already.
fn quoted(context: &ExitContext<'_>, error: &NixError, message: &str) -> Vec<String> {
    let lines: Vec<&str> = error
        .text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let starts_reason = |line: &&str| line.trim_start().starts_with("error:");
    let reason = lines.iter().rposition(starts_reason).unwrap_or(0);
    let (_, lines) = lines.split_at_checked(reason).unwrap_or_default();
    // The first word is `error:`.
    let text = lines.join(" ");
    if text
        .split_whitespace()
        .skip(1)
        .eq(error.summary.split_whitespace())
    {
        return Vec::new();
    }
    let is_repeated = |line: &String| {
        let line = line.trim();
        let line = line.strip_prefix("error:").unwrap_or(line).trim();
        let place = line.strip_prefix("at ").and_then(|l| l.strip_suffix(':'));
        message.contains(place.unwrap_or(line)) || line.starts_with("Did you mean ")
    };
    let lines = lines.iter().map(|line| with_own_paths(context, line));
    let lines: Vec<String> = lines.filter(|line| !is_repeated(line)).collect();
    // Where sdbuild asks for the configuration says nothing about what is wrong with it.
    if lines.iter().any(|line| line.contains(layout::EXPRESSIONS)) {
        return Vec::new();
    }
    let indent_of = |line: &String| line.len() - line.trim_start().len();
    let indent = lines.iter().map(indent_of).min().unwrap_or(0);
    let without_indent = |line: &String| line.get(indent..).unwrap_or(line).to_owned();
    lines.iter().map(without_indent).collect()
}

/// `lines`, of which a very long one has only what is around the caret below it.
fn narrowed(lines: Vec<String>) -> Vec<String> {
    let mut narrow = Vec::new();
    let mut lines = lines.into_iter().peekable();
    while let Some(line) = lines.next() {
        if line.chars().nth(MAX_CHARS).is_none() {
            narrow.push(line);
            continue;
        }
        let is_caret = |below: &String| below.trim_start().starts_with('|') && below.ends_with('^');
        let caret = lines.next_if(is_caret);
        let number = line.find("| ").map_or(0, |at| at + 2);
        let (number, source) = line.split_at_checked(number).unwrap_or(("", line.as_str()));
        let width = number.chars().count();
        let column = caret.map(|caret| caret.chars().count().saturating_sub(width + 1));
        let begin = column.unwrap_or(0).saturating_sub(MAX_CHARS / 2);
        let part: String = source.chars().skip(begin).take(MAX_CHARS).collect();
        let before = if begin > 0 { "…" } else { "" };
        let is_cut = begin + MAX_CHARS < source.chars().count();
        let behind = if is_cut { "…" } else { "" };
        narrow.push(format!("{number}{before}{part}{behind}"));
        if let Some(column) = column {
            let blanks = column - begin + before.chars().count();
            narrow.push(format!("{:>width$}{:blanks$}^", "| ", ""));
        }
    }
    narrow
}
