//! Functions of the user's that `callPackage` calls, and that take an argument which nixpkgs does not have.

use rnix::SyntaxKind::NODE_PAT_ENTRY;

use super::evidence::{ExitContext, Findings};
use super::flake_form::quoting;
use super::names::{is_name, quoted_after};
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::{NixError, Position};
use crate::nixos::nix_definitions::line_number_of;
use crate::nixos::nix_syntax::parse;

/// What nixpkgs says of such an argument, before its name.
const MISSING: &str = "Function called without required argument ";

/// The error about an argument that `callPackage` does not find, at its place in the user's file, which nixpkgs has only in its
/// message: `Function called without required argument "foo" at /build/config/foo.nix:1, did you mean "fop"?`.
pub(super) fn located(
    context: &ExitContext<'_>,
    findings: &Findings,
    error: &NixError,
) -> Option<NixError> {
    let (_, rest) = error.summary.split_once(MISSING)?;
    let (name, rest) = rest.strip_prefix('"')?.split_once("\" at ")?;
    let (place, proposed) = rest.split_once(", did you mean ").unwrap_or((rest, ""));
    let (file, line) = place.trim_end_matches('\'').rsplit_once(':')?;
    let line: u64 = line.parse().ok()?;
    // The user's flake is in the store, too.
    let of_flake = || Some(file.strip_prefix("/nix/store/")?.split_once("-source/")?.1);
    let below = file.strip_prefix(CONFIG_DIR).or_else(of_flake)?;
    let file = format!("{CONFIG_DIR}{below}");
    let text = context.files.filter(|_| is_name(name))?.text(&file)?;
    let column = column_of_argument(&text, line, name)?;
    let of_nixpkgs = || {
        let names = proposed.split_once('?')?.0.replace('"', "");
        names
            .split([' ', ','])
            .all(|word| word.is_empty() || is_name(word))
            .then_some(names)
    };
    let similar = findings.packages.similar(name).or_else(of_nixpkgs);
    let similar = similar.map_or_else(String::new, |names| format!(", did you mean {names}?"));
    let words = format!("{MISSING}\"{name}\"{similar}");
    quoting(&words, &text, Position { file, line, column })
}

/// The column of the only argument `name` of a function in the line of `text`, counted from 1 in bytes as Nix does.
fn column_of_argument(text: &str, line: u64, name: &str) -> Option<u64> {
    let root = parse(text).syntax();
    let is_in_line = |at: usize| u64::try_from(at).is_ok_and(|at| at == line);
    let mut found = root.descendants().filter(|node| {
        let own = node.first_child().is_some_and(|first| first.text() == name);
        node.kind() == NODE_PAT_ENTRY && own && is_in_line(line_number_of(text, node))
    });
    let argument = found.next().filter(|_| found.next().is_none())?;
    let before = text.get(..usize::from(argument.text_range().start()))?;
    let start = before.rsplit('\n').next()?;
    u64::try_from(start.len() + 1).ok()
}

/// What to do about an argument that is called like no package.
pub(super) fn hint(error: &NixError) -> Option<String> {
    let is_own = |place: &Position| place.file.starts_with(CONFIG_DIR);
    let is_located = error.position.as_ref().is_some_and(is_own);
    let name = quoted_after(&error.summary, MISSING).filter(|_| is_located)?;
    Some(format!(
        "nixpkgs has no package {name}. Correct the name, remove the argument, or give it where the function is called: \
         callPackage … {{ {name} = …; }}"
    ))
}
