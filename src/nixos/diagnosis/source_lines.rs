//! Lines of the user's files, where Nix quotes none.

use super::evidence::ExitContext;
use super::missing_files::missing_path;
use super::nixpkgs_file;
use crate::nixos::log::NixError;

/// Line `at` of `text`, counted from 1, with those around it, and a caret below the first `word` in it, as Nix quotes source.
pub(super) fn around(text: &str, at: usize, word: &str) -> Vec<String> {
    let numbered = (1_usize..).zip(text.lines());
    let near = numbered.filter(|(line, _)| line.abs_diff(at) <= 1);
    let width = (at + 1).to_string().len();
    let quoted = near.flat_map(|(line, text)| {
        let source = format!("{line:>width$}| {text}");
        let caret = text.find(word).filter(|_| line == at);
        let caret = caret.map(|column| format!("{:width$}| {:column$}^", "", ""));
        std::iter::once(source).chain(caret)
    });
    quoted.collect()
}

/// The lines of the user's file that name the file of which `error` speaks, if Nix does not quote any.
pub(super) fn naming_a_file(context: &ExitContext<'_>, error: &NixError) -> Option<Vec<String>> {
    let summary = error.summary.as_str();
    let path = nixpkgs_file::missing(summary)
        .or_else(|| missing_path(summary))
        .or_else(|| summary.strip_prefix("expected a list but found a path: "))?;
    // Nix has a place `«none»`, too.
    let place = error.position.as_ref();
    let is_quoted = place.is_some_and(|place| place.file.starts_with('/'));
    let files = context.files.filter(|_| !is_quoted)?;
    let name = path.rsplit('/').next()?;
    let (text, line) = files.text_that_names(name)?;
    // The path as it is written: up to the name, from the last blank, bracket or quote before it.
    let written = text.lines().nth(line - 1)?;
    let end = written.find(&format!("/{name}"))?;
    let begin = written.get(..end)?.rfind([' ', '\t', '[', '(', '<', '"']);
    let begin = begin.map_or(0, |at| at + 1);
    Some(around(&text, line, written.get(begin..end + 1)?))
}
