//! Functions of the user's own files that are called with other arguments than they name, and sets that are called. Pure.

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTR_SET, NODE_IDENT, NODE_LAMBDA, NODE_PAREN, NODE_PAT_ENTRY, NODE_SELECT,
};
use rnix::SyntaxNode;

use super::evidence::{ExitContext, MAX_SHOWN};
use super::names::quoted_after;
use super::syntax_at::node_at;
use super::written_values::{all, given_to};
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::{NixError, Position};
use sdbuild_core::text::listed;

/// How Nix calls a function without a name.
const ANONYMOUS: &str = "anonymous lambda";

/// What to do about a function with a name in the user's files that is called with other arguments than it names.
pub(super) fn wrong_argument(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let function = quoted_after(&error.summary, "function")?;
    let function = Some(function).filter(|name| *name != ANONYMOUS)?;
    let unexpected = quoted_after(&error.summary, "called with unexpected argument");
    let required = quoted_after(&error.summary, "called without required argument");
    let place = error.position.as_ref()?;
    let text = context.files?.text(&place.file)?;
    let named = arguments_at(&text, place)?;
    let call = place_of_call(context, function);
    let line = place.line;
    let with = |name: &str| {
        let all: Vec<&str> = named.iter().map(String::as_str).chain([name]).collect();
        format!("{{ {} }}:", all.join(", "))
    };
    match (unexpected, required) {
        (Some(name), _) => Some(format!(
            "the function {function} takes only {}. Leave {name} out {call}, or write {} in line {line}",
            listed(&named),
            with(name)
        )),
        (None, Some(name)) => Some(format!(
            "the function {function} needs the argument {name}. Give it {call}: {name} = …;"
        )),
        (None, None) => None,
    }
}

/// What to write in place of the call of the file that is a function, and is not given an argument: `(import ./pi.nix { })`.
pub(super) fn called_file(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let rest = error.summary.strip_prefix("function '")?;
    let (_, rest) = rest.split_once("' called without required argument '")?;
    let name = rest.strip_suffix('\'')?;
    let file = error.position.as_ref()?.file.strip_prefix(CONFIG_DIR)?;
    let end = format!("/{}", file.rsplit('/').next()?);
    let (place, call) = context.files?.only_place(|text| {
        let calls = all(text, |node| {
            let function = node
                .first_child()
                .map(|function| function.text().to_string());
            let imported = function.as_deref().and_then(|f| f.strip_prefix("import "));
            node.kind() == NODE_APPLY && imported.is_some_and(|path| path.ends_with(&end))
        });
        calls.into_iter().map(|call| (call.line, call)).collect()
    })?;
    let place = format!("{}{place}", context.shown_dir);
    let (path, given) = call.written.strip_prefix("import ")?.split_once(' ')?;
    let attribute = call.defines.rsplit('.').next().unwrap_or_default();
    if !["imports", "modules"].contains(&attribute) {
        return Some(format!(
            "{place}: the function in {file} needs {name}. Add inherit {name}; to what it is given"
        ));
    }
    let passed = if given.contains(|c: char| c.is_ascii_alphabetic()) {
        ". What modules are to get besides belongs to specialArgs of nixosSystem"
    } else {
        ""
    };
    Some(format!(
        "{place}: NixOS calls a module itself, with {name} and more. Write {path} instead of (import {path} …){passed}"
    ))
}

/// The arguments of the function at `place` of `text`.
fn arguments_at(text: &str, place: &Position) -> Option<Vec<String>> {
    let node = node_at(text, place)?;
    let function = node.ancestors().find(|node| node.kind() == NODE_LAMBDA)?;
    let entries = function.first_child()?.children();
    let entries = entries.filter(|entry| entry.kind() == NODE_PAT_ENTRY);
    Some(entries.map(|entry| entry.text().to_string()).collect())
}

/// Where `function` is called with a set, in words.
fn place_of_call(context: &ExitContext<'_>, function: &str) -> String {
    let place = context.files.and_then(|files| {
        files.only_place(|text| {
            let calls = given_to(text, function, &[NODE_ATTR_SET]).into_iter();
            calls.map(|call| (call.line, ())).collect()
        })
    });
    place.map_or_else(
        || "where it is called".to_owned(),
        |(place, ())| format!("in {}{place}, where it is called", context.shown_dir),
    )
}

/// What to write in place of a set that the call at `place` of `text` takes for a function.
pub(super) fn called_set(text: &str, place: &Position) -> Option<String> {
    let node = node_at(text, place)?;
    let is_call = |node: &SyntaxNode| {
        let called = node.first_child();
        let is_named =
            called.is_some_and(|called| [NODE_IDENT, NODE_SELECT].contains(&called.kind()));
        node.kind() == NODE_APPLY && is_named
    };
    let call = node.ancestors().find(is_call)?;
    let (set, given) = (call.first_child()?, call.last_child()?);
    let (set, given) = (set.text().to_string(), given);
    if set.len() > MAX_SHOWN || set.contains('\n') {
        return None;
    }
    let written = given.text().to_string();
    if set.ends_with("lib") && written.contains("modules") {
        return Some(format!(
            "{set} is a set of functions. Write {set}.nixosSystem {{ … }}"
        ));
    }
    let is_empty = given.kind() == NODE_ATTR_SET && given.first_child().is_none();
    let is_nothing = is_empty || given.kind() == NODE_PAREN && written == "( )";
    if is_nothing {
        return Some(format!(
            "{set} is a set, not a function. Write {set} without the {written} after it"
        ));
    }
    set.contains("legacyPackages").then(|| {
        format!(
            "{set} is a set of packages, not a function. Packages with settings are import nixpkgs {{ system = \
             \"aarch64-linux\"; … }}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, needle: &str) -> Position {
        let before = text.split(needle).next().unwrap();
        Position {
            file: String::new(),
            line: 1,
            column: before.len() as u64 + 1,
        }
    }

    #[test]
    fn a_set_that_is_called_is_named() {
        for (text, told) in [
            (
                "{ a = n.lib { modules = [ ]; }; }",
                "n.lib.nixosSystem { … }",
            ),
            (
                "{ a = n.legacyPackages.x { }; }",
                "n.legacyPackages.x without the { }",
            ),
            (
                "{ a = n.legacyPackages.x { y = 1; }; }",
                "n.legacyPackages.x is a set of packages",
            ),
        ] {
            let hint = called_set(text, &place(text, "n.")).unwrap();
            assert!(hint.contains(told), "{text}: {hint}");
        }
        for other in ["{ a = n.x { y = 1; }; }", "{ a = n.x; }"] {
            assert_eq!(called_set(other, &place(other, "n.")), None, "{other}");
        }
    }

    #[test]
    fn the_arguments_of_a_function_are_read() {
        let text = "let f = { a, b ? 1 }: a; in f { }";
        let named = arguments_at(text, &place(text, "{ a"));
        assert_eq!(named.unwrap(), ["a", "b ? 1"]);
    }
}
