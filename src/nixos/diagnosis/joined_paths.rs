//! A path and the rest of it that `++` joins, which takes two lists: `modulesPath ++ "/a.nix"`.

use rnix::SyntaxKind::{NODE_ATTRPATH_VALUE, NODE_IDENT, NODE_PAREN, NODE_STRING};
use rnix::{Root, SyntaxNode};

use super::evidence::ExitContext;
use super::source_lines;
use super::syntax_at::is_joined;
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::defines;

/// The argument of modules that is a path.
const PATH: &str = "modulesPath";

/// What Nix says of it in place of a list, which ends with the directory of nixpkgs' modules.
const NO_LIST: &str = "expected a list but found a string: \"";
const END: &str = "/nixos/modules\"";

/// What is joined.
struct Joined {
    /// The text of the file.
    text: String,
    line: usize,
    column: usize,
    /// What is to be written.
    instead: String,
}

/// What to write in place of the only `++` behind a path, and where.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let (place, Joined { instead, .. }) = find(context, error)?;
    let shown_dir = context.shown_dir;
    Some(format!(
        "{shown_dir}{place}: a path and the rest of it are joined by `+`: {instead}"
    ))
}

/// The lines of the user's file with it, as Nix quotes source.
pub(super) fn excerpt(context: &ExitContext<'_>, error: &NixError) -> Option<Vec<String>> {
    let (_, joined) = find(context, error)?;
    let column = Some(joined.column);
    Some(source_lines::around(&joined.text, joined.line, column))
}

fn find(context: &ExitContext<'_>, error: &NixError) -> Option<(String, Joined)> {
    let is_meant = error.summary.starts_with(NO_LIST) && error.summary.ends_with(END);
    context.files.filter(|_| is_meant)?.only_place(|text| {
        let root = Root::parse(text).syntax();
        let found = root.descendants().filter_map(|node| joined(text, &node));
        found.map(|joined| (joined.line, joined)).collect()
    })
}

fn joined(text: &str, node: &SyntaxNode) -> Option<Joined> {
    let (first, last) = (node.first_child()?, node.last_child()?);
    let is_path = first.kind() == NODE_IDENT && first.text() == PATH;
    if !is_joined(node) || !is_path || last.kind() != NODE_STRING {
        return None;
    }
    let before = text.get(..usize::from(node.text_range().start()))?;
    let outer = node.ancestors().skip(1);
    let outer = outer.take_while(|outer| outer.kind() == NODE_PAREN).last();
    let is_in_parentheses = outer.is_some();
    let around = outer.as_ref().unwrap_or(node).parent()?;
    let sum = format!("{PATH} + {}", last.text());
    let is_imports = || defines(node).rsplit('.').next() == Some("imports");
    let instead = if around.kind() == NODE_ATTRPATH_VALUE && is_imports() {
        format!("imports = [ ({sum}) ];")
    } else if is_in_parentheses {
        format!("({sum})")
    } else {
        sum
    };
    Some(Joined {
        text: text.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.rsplit('\n').next()?.chars().count(),
        instead,
    })
}
