//! Sets in place of overlays, which are functions.

use rnix::SyntaxKind::{NODE_ATTR_SET, NODE_IDENT, TOKEN_REC};
use rnix::SyntaxNode;

use super::evidence::ExitContext;
use super::written_values::sets_in_list;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::defined_path;
use crate::nixos::nix_syntax::parse;

/// Longest set that a hint repeats, in characters.
const MAX_CHARS: usize = 60;

/// What to write in place of a set in `overlays` that nixpkgs calls, and where.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let is_call = error
        .summary
        .starts_with("attempt to call something which is not a function but a set");
    let is_own = error
        .position
        .as_ref()
        .is_some_and(|place| place.file.starts_with(CONFIG_DIR));
    let files = context.files.filter(|_| is_call && !is_own)?;
    let (place, set) = files.only_place(|text| {
        let found = sets_in_list(text, "overlays").into_iter();
        found.map(|set| (set.line, set)).collect()
    })?;
    let function = as_function(&set.written)?;
    Some(format!("{}{place}: {function}", context.shown_dir))
}

/// How the set `written` becomes an overlay; `None` for what is no set, or none with plain names.
pub(super) fn as_function(written: &str) -> Option<String> {
    let set: SyntaxNode = parse(written).syntax().first_child()?;
    let is_recursive = set
        .children_with_tokens()
        .any(|part| part.kind() == TOKEN_REC);
    let is_set = set.kind() == NODE_ATTR_SET && !is_recursive;
    let mut names = set.children().filter_map(|part| defined_path(&part));
    let name = names.next().filter(|_| is_set)?;
    let is_short = written.chars().count() <= MAX_CHARS && !written.contains('\n');
    let is_pkgs = |node: SyntaxNode| node.kind() == NODE_IDENT && node.text() == "pkgs";
    let has_pkgs = set.descendants().any(is_pkgs);
    let body = if is_short && !has_pkgs {
        written.to_owned()
    } else {
        format!("{{ {name} = …; }}")
    };
    // The packages with the overlay would need themselves.
    let inside = if has_pkgs {
        ", and prev in place of pkgs inside of it"
    } else {
        ""
    };
    Some(format!(
        "an overlay is a function of two sets of packages: write (final: prev: {body}) in place of the set{inside}"
    ))
}
