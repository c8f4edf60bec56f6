//! Lines of the user's files, where Nix quotes none.

use super::evidence::ExitContext;
use super::missing_files::missing_path;
use super::nixpkgs_file;
use crate::nixos::log::NixError;

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
