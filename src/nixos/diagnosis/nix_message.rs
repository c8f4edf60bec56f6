//! Nix's errors in messages: one sentence with the user's own paths, and an excerpt without the trace.

use super::eval_error::EvalError;
use crate::common::text::truncate;
use crate::nixos::log::NixError;

/// Longest sentence in characters; the log has the whole message.
const MAX_SENTENCE_CHARS: usize = 600;

/// The configuration's directory in the builder, as Nix's messages name it.
const CONFIG_DIR: &str = "/build/config/";

/// `error` in one line, with its position when that is in the configuration. `shown_dir` replaces the
/// configuration's directory in the builder.
pub(super) fn sentence(shown_dir: &str, error: &NixError) -> String {
    let lines = error
        .summary
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty());
    // The first line of nixpkgs' message about a license; the rest proposes commands that sdbuild does not have.
    let lines = lines.take(if is_unfree(error) { 1 } else { usize::MAX });
    let text = lines.collect::<Vec<_>>().join(" ");
    let text = text.replace(CONFIG_DIR, shown_dir);
    let text = truncate(&text, MAX_SENTENCE_CHARS);
    match &error.position {
        Some((file, line, column)) if file.starts_with(CONFIG_DIR) => {
            let file = file.replace(CONFIG_DIR, shown_dir);
            format!("{file}:{line}:{column}: {text}")
        }
        _ => text.into_owned(),
    }
}

fn is_unfree(error: &NixError) -> bool {
    EvalError::find(&error.summary) == Some(EvalError::Unfree)
}

/// The end of an error with a trace: the reason, which comes last, with the lines of source around it. Empty
/// when it has no more text than [`sentence`] returns.
pub(super) fn excerpt(shown_dir: &str, error: &NixError) -> Vec<String> {
    if is_unfree(error) {
        return Vec::new();
    }
    let mut lines: Vec<&str> = error
        .text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let starts_reason = |line: &&str| {
        line.trim_start()
            .strip_prefix("error:")
            .is_some_and(|l| !l.is_empty())
    };
    let reason = lines.iter().rposition(starts_reason).unwrap_or(0);
    lines.drain(..reason);
    // The first word is `error:`.
    let text = lines.join(" ");
    if text
        .split_whitespace()
        .skip(1)
        .eq(error.summary.split_whitespace())
    {
        return Vec::new();
    }
    let indent_of = |line: &&str| line.len() - line.trim_start().len();
    let indent = lines.iter().map(indent_of).min().unwrap_or(0);
    lines
        .iter()
        .map(|line| line.get(indent..).unwrap_or(line))
        .map(|line| line.replace(CONFIG_DIR, shown_dir))
        .collect()
}
