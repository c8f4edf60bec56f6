//! A path and the rest of it that `++` joins, which takes two lists: `modulesPath ++ "/a.nix"`.

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTRPATH_VALUE, NODE_BIN_OP, NODE_IDENT, NODE_LIST, NODE_PAREN,
};
use rnix::SyntaxNode;

use super::evidence::ExitContext;
use super::source_lines;
use super::syntax_at::is_joined;
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::defines;
use crate::nixos::nix_syntax::parse;

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
    /// Whether it is in the `imports` of the file.
    is_import: bool,
    /// What is to be written.
    instead: String,
}

/// What to write in place of the only `++` after a path, or of the first one in `imports`, and where.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let (place, Joined { instead, .. }) = find(context, error)?;
    let shown_dir = context.shown_dir;
    Some(format!(
        "{shown_dir}{place}: join a path and the rest of it with `+`: {instead}"
    ))
}

/// What to write in place of a path that the rest of it follows as an argument: `(modulesPath "/a.nix")`.
pub(super) fn called(node: &SyntaxNode) -> Option<String> {
    let call = node.ancestors().find(|node| node.kind() == NODE_APPLY)?;
    let rest = rest_of_path(&call.last_child()?.text().to_string())?;
    let is_path = call.first_child()?.text() == PATH;
    is_path.then(|| format!("join a path and the rest of it with `+`: ({PATH} + {rest})"))
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
        let root = parse(text).syntax();
        let found = root.descendants().filter_map(|node| joined(text, &node));
        let mut found: Vec<_> = found.map(|joined| (joined.line, joined)).collect();
        // Nix evaluates all of them, in order.
        if found.iter().all(|(_, joined)| joined.is_import) {
            found.truncate(1);
        }
        found
    })
}

fn joined(text: &str, node: &SyntaxNode) -> Option<Joined> {
    let (first, last) = (node.first_child()?, node.last_child()?);
    let is_path = first.kind() == NODE_IDENT && first.text() == PATH;
    if !is_joined(node) || !is_path {
        return None;
    }
    let rest = rest_of_path(&last.text().to_string())?;
    let before = text.get(..usize::from(node.text_range().start()))?;
    let outer = node.ancestors().skip(1);
    let outer = outer.take_while(|outer| outer.kind() == NODE_PAREN).last();
    let around = outer.as_ref().unwrap_or(node).parent()?;
    let sum = format!("{PATH} + {rest}");
    let is_import = defines(node) == "imports";
    let instead = if around.kind() == NODE_ATTRPATH_VALUE && is_import {
        format!("imports = [ ({sum}) ];")
    } else if is_joined(&around) {
        format!("[ ({sum}) ]")
    } else if around.kind() == NODE_BIN_OP {
        return None;
    } else if outer.is_some() || around.kind() == NODE_LIST {
        format!("({sum})")
    } else {
        sum
    };
    Some(Joined {
        text: text.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.rsplit('\n').next()?.chars().count(),
        is_import,
        instead,
    })
}

/// The string that is meant by `written` after a directory, which begins with a slash: `"/a.nix"`, `"a.nix"` or `/a.nix`. `None` if
/// that is not certain.
fn rest_of_path(written: &str) -> Option<String> {
    if written.starts_with("\"/") {
        return Some(written.to_owned());
    }
    if written.starts_with('/') {
        return (!written.contains('$')).then(|| format!("\"{written}\""));
    }
    let rest = written.strip_prefix('"')?;
    let is_name = rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    is_name.then(|| format!("\"/{rest}"))
}
