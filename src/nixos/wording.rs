//! Nix's errors in our messages: one sentence, the user's own places, the reason without its trace.

use super::diagnosis::ExitContext;
use super::eval_error::EvalError;
use super::log::NixError;
use crate::common::text::truncate;

/// The longest message that is made of Nix's words; the log has the rest.
const MAX_SENTENCE_CHARS: usize = 600;

/// An error of Nix in one line, with its place when that is the user's own.
pub(super) fn sentence(ending: &ExitContext<'_>, complaint: &NixError) -> String {
    let lines = complaint
        .summary
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty());
    // What nixpkgs says of it after the first line is for other tools than this one.
    let lines = lines.take(if is_unfree(complaint) { 1 } else { usize::MAX });
    let text = theirs(ending, &lines.collect::<Vec<_>>().join(" "));
    let text = truncate(&text, MAX_SENTENCE_CHARS);
    match &complaint.position {
        Some((file, line, column)) if file.starts_with("/build/config/") => {
            format!("{}:{line}:{column}: {text}", theirs(ending, file))
        }
        _ => text.into_owned(),
    }
}

fn is_unfree(complaint: &NixError) -> bool {
    EvalError::of(&complaint.summary) == Some(EvalError::Unfree)
}

/// Places in the builder become the user's own.
fn theirs(ending: &ExitContext<'_>, text: &str) -> String {
    text.replace("/build/config/", ending.shown_dir)
}

/// The last part of an error that came with a trace: the trace comes first, the reason last, with
/// the lines of source around it. Nothing, when there is no more to it than the message has.
pub(super) fn around(ending: &ExitContext<'_>, complaint: &NixError) -> Vec<String> {
    if is_unfree(complaint) {
        return Vec::new();
    }
    let lines: Vec<&str> = complaint
        .text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let says = |line: &&str| {
        line.trim_start()
            .strip_prefix("error:")
            .is_some_and(|l| !l.is_empty())
    };
    let from = lines.iter().rposition(says).unwrap_or(0);
    let lines = lines.get(from..).unwrap_or_default();
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    if words(&lines.join(" ")).get(1..) == Some(&words(&complaint.summary)) {
        return Vec::new();
    }
    let blank = |line: &&str| line.len() - line.trim_start().len();
    let indent = lines.iter().map(blank).min().unwrap_or(0);
    lines
        .iter()
        .map(|line| theirs(ending, line.get(indent..).unwrap_or(line)))
        .collect()
}
