//! Names of a `let` or a `rec { … }` that are defined by themselves: `let system = system; in …`. Pure.

use rnix::SyntaxKind::{NODE_ATTRPATH, NODE_ATTRPATH_VALUE, NODE_IDENT, NODE_LAMBDA, NODE_LET_IN};
use rnix::SyntaxNode;

use super::evidence::ExitContext;
use super::scopes::{binds, is_bound};
use super::syntax_at::node_at;
use crate::nixos::log::{NixError, Position};
use crate::nixos::nix_definitions::{defined_path, line_number_of};
use crate::nixos::nix_syntax::parse;

/// Longest definition that a hint repeats, in characters.
const MAX_CHARS: usize = 60;

/// What to do about the definition that reads its own name: the one at the place of `error`, or else the only one in the user's files.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let files = context.files?;
    let position = error.position.as_ref();
    let at = |position: &Position| {
        let text = files.text(&position.file)?;
        let around = node_at(&text, position)?.ancestors().collect::<Vec<_>>();
        around
            .iter()
            .find_map(|node| recursive_variable(&text, node))
    };
    let (place, own) = if let Some(own) = position.and_then(at) {
        (String::new(), own)
    } else {
        let (place, own) = files.only_place(|text| {
            let found = recursive_variables(text).into_iter();
            found.map(|own| (own.line, own)).collect()
        })?;
        (format!("{}{place}: ", context.shown_dir), own)
    };
    let RecursiveVariable {
        name,
        written,
        is_let,
        is_bound,
        ..
    } = own;
    let scope = if is_let { "a let" } else { "rec { … }" };
    let change = if is_let {
        " or give the variable another name than the value that it is made of"
    } else if is_bound {
        " or leave out rec"
    } else {
        ""
    };
    Some(format!(
        "{place}{written} refers to itself: inside {scope} the name {name} means this definition, also on the right. Write its \
         value there, such as {name} = \"…\";{change}"
    ))
}

/// A definition that reads its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RecursiveVariable {
    /// Its line, counted from 1.
    line: usize,
    name: String,
    /// The definition, if it is short; otherwise its name.
    written: String,
    is_let: bool,
    /// Whether the name is known around the set, too.
    is_bound: bool,
}

/// The definitions in `text` that read their own name.
fn recursive_variables(text: &str) -> Vec<RecursiveVariable> {
    let root = parse(text).syntax();
    let found = root.descendants();
    found
        .filter_map(|node| recursive_variable(text, &node))
        .collect()
}

/// What `node` defines by itself.
fn recursive_variable(text: &str, node: &SyntaxNode) -> Option<RecursiveVariable> {
    let name = defined_path(node).filter(|_| node.kind() == NODE_ATTRPATH_VALUE)?;
    let scope = node.parent().filter(|scope| binds(scope, &name))?;
    let value = node.last_child()?;
    let mut names = value.descendants();
    names.find(|used| reads(used, node, &name))?;
    let whole = node.text().to_string();
    let is_short = whole.chars().count() <= MAX_CHARS && !whole.contains('\n');
    Some(RecursiveVariable {
        line: line_number_of(text, node),
        written: if is_short { whole } else { name.clone() },
        is_let: scope.kind() == NODE_LET_IN,
        is_bound: is_bound(&scope, &name),
        name,
    })
}

/// Whether `used` is the variable `name`, and is evaluated with the `definition`: inside of a function it need not be, and a scope in between
/// may bind the name anew.
fn reads(used: &SyntaxNode, definition: &SyntaxNode, name: &str) -> bool {
    let around = used.parent().map(|parent| parent.kind());
    let is_variable = used.kind() == NODE_IDENT && used.text() == name;
    let mut between = used
        .ancestors()
        .skip(1)
        .take_while(|node| node != definition);
    is_variable
        && around != Some(NODE_ATTRPATH)
        && !between.any(|node| node.kind() == NODE_LAMBDA || binds(&node, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_defined_by_themselves_are_found() {
        for (text, name, is_let) in [
            ("let a = a; in a", "a", true),
            ("let a = a + \"x\"; in a", "a", true),
            ("let b = 1; a = f { x = a.y; }; in a", "a", true),
            ("{ x = rec { a = a; }; }", "a", false),
        ] {
            let found = recursive_variables(text);
            let [own] = found.as_slice() else {
                panic!("{text}: {found:?}");
            };
            assert_eq!((own.name.as_str(), own.is_let), (name, is_let), "{text}");
        }
        for text in [
            "{ a = a; }",
            "let a = b.a; in a",
            "let a = x: a x; in a",
            "let a = let a = 1; in a; in a",
            "let a = { a = 1; }; in a",
            "rec { a = 1; b = a; }",
            "let inherit (x) a; in a",
        ] {
            assert_eq!(recursive_variables(text), [], "{text}");
        }
    }
}
