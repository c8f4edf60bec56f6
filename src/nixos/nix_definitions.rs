//! What a file of Nix defines, as it is written. Pure.

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTRPATH, NODE_ATTRPATH_VALUE, NODE_IDENT, NODE_LEGACY_LET, NODE_LET_IN,
    NODE_LITERAL, NODE_STRING,
};
use rnix::{Root, SyntaxNode};

use crate::common::attribute_path;

/// Functions of `lib` that keep the paths of what is defined in their argument.
pub(super) const MODIFIERS: [&str; 8] = [
    "mkAfter",
    "mkBefore",
    "mkDefault",
    "mkForce",
    "mkIf",
    "mkMerge",
    "mkOrder",
    "mkOverride",
];

/// A definition of an option in a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrittenDefinition {
    /// The option's attribute path.
    pub(super) path: Vec<String>,
    /// How many names of the path are those of the definitions around it: 1 in `networking = { hostName = …; }`.
    pub(super) outer: usize,
    /// Its line, counted from 1.
    pub(super) line: usize,
    /// Its value, if that is a number, a Boolean or a string without variables, also behind `lib.mkForce`.
    pub(super) literal: Option<String>,
}

/// The definitions in `text`, in order, also those inside others; without variables, and without those whose names have variables.
pub(super) fn definitions(text: &str) -> Vec<WrittenDefinition> {
    let root = Root::parse(text).syntax();
    let found = root
        .descendants()
        .filter_map(|node| definition(text, &node));
    found.collect()
}

fn definition(text: &str, node: &SyntaxNode) -> Option<WrittenDefinition> {
    let own = attribute_path::parse(&defined_path(node)?).ok()?;
    if is_variable(node) || is_argument(node) {
        return None;
    }
    let whole = attribute_path::parse(&defines(node)).ok()?;
    let before = text.get(..usize::from(node.text_range().start()))?;
    let outer = whole.len().checked_sub(own.len())?;
    let around = names_around_module(&whole);
    Some(WrittenDefinition {
        outer: outer.saturating_sub(around),
        line: before.matches('\n').count() + 1,
        literal: literal(&node.last_child()?),
        path: whole.into_iter().skip(around).collect(),
    })
}

/// Whether `node` is in a variable of a `let`, which need not be part of the module.
pub(super) fn is_variable(node: &SyntaxNode) -> bool {
    let definitions = node.ancestors().filter(|n| n.kind() == NODE_ATTRPATH_VALUE);
    let mut around = definitions.filter_map(|definition| definition.parent());
    around.any(|around| [NODE_LET_IN, NODE_LEGACY_LET].contains(&around.kind()))
}

/// Whether `node` is in the argument of a function that need not give it back, but for a list of modules.
fn is_argument(node: &SyntaxNode) -> bool {
    let is_modules = |around: &SyntaxNode| defined_path(around).as_deref() == Some("modules");
    let mut around = node.ancestors().skip(1).take_while(|n| !is_modules(n));
    around.any(|call| called(&call).is_some_and(|name| !MODIFIERS.contains(&name.as_str())))
}

/// How many names at the start of `path` only lead to a module: `config`, and those to a list of modules that are written out.
fn names_around_module(path: &[String]) -> usize {
    let is_config = path.first().is_some_and(|name| name == "config");
    let around = usize::from(is_config);
    let is_import = path.get(around).is_some_and(|name| name == "imports");
    let of_list = path.iter().rposition(|name| name == "modules");
    match of_list {
        Some(at) => at + 1,
        None => around + usize::from(is_import),
    }
}

/// The text of `value`, if it says what the value is.
fn literal(value: &SyntaxNode) -> Option<String> {
    let called = value.first_child().filter(|_| value.kind() == NODE_APPLY);
    let sets_priority = called.is_some_and(|function| {
        let name = function.text().to_string();
        ["mkDefault", "mkForce"].contains(&name.rsplit('.').next().unwrap_or_default())
    });
    let value = value
        .last_child()
        .filter(|_| sets_priority)
        .unwrap_or_else(|| value.clone());
    let written = value.text().to_string();
    let kind = value.kind();
    let is_boolean = kind == NODE_IDENT && ["true", "false"].contains(&written.as_str());
    let is_plain = written.starts_with('"') && !written.contains(['$', '\\', '\n']);
    let is_string = kind == NODE_STRING && is_plain;
    (kind == NODE_LITERAL || is_boolean || is_string).then_some(written)
}

/// The function that the call `node` calls.
pub(super) fn called(node: &SyntaxNode) -> Option<String> {
    let is_call = node.kind() == NODE_APPLY;
    let mut function = node.first_child().filter(|_| is_call)?;
    // `f a b` is `(f a) b`: the function of the outer call is a call itself.
    while function.kind() == NODE_APPLY {
        function = function.first_child()?;
    }
    Some(function.text().to_string().rsplit('.').next()?.to_owned())
}

/// The path that the definitions around `node` define.
pub(super) fn defines(node: &SyntaxNode) -> String {
    let paths = node.ancestors().filter_map(|node| defined_path(&node));
    let paths: Vec<String> = paths.collect();
    let paths: Vec<&str> = paths.iter().rev().map(String::as_str).collect();
    paths.join(".")
}

/// The path that `node` defines, if it is a definition.
pub(super) fn defined_path(node: &SyntaxNode) -> Option<String> {
    let is_definition = node.kind() == NODE_ATTRPATH_VALUE;
    let path = node.first_child().filter(|_| is_definition)?;
    (path.kind() == NODE_ATTRPATH).then(|| path.text().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_have_their_whole_path_and_line() {
        let text = "{ lib, ... }:\n{\n  a = {\n    b.\"c d\" = true;\n  };\n  config.e = lib.mkForce \"f\";\n  \
                    imports = [ { g = f 1; } ];\n  ${x}.y = 1;\n}\n";
        let found = definitions(text).into_iter().map(|found| {
            let path = found.path.join("/");
            (path, found.outer, found.line, found.literal)
        });
        let literal = |text: &str| Some(text.to_owned());
        let expected = [
            ("a", 0, 3, None),
            ("a/b/c d", 1, 4, literal("true")),
            ("e", 0, 6, literal("\"f\"")),
            ("", 0, 7, None),
            ("g", 0, 7, None),
        ]
        .map(|(path, outer, line, literal)| (path.to_owned(), outer, line, literal));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn modules_of_a_flake_are_written_in_lists() {
        let text = "{ outputs = i: { nixosConfigurations.pi = i.n.lib.nixosSystem { modules = [ ./a.nix { a.b = 1; } ]; }; }; }";
        let mut found = definitions(text).into_iter();
        let found = found.find(|found| found.path == ["a", "b"]).unwrap();
        assert_eq!((found.outer, found.line), (0, 1));
        assert_eq!(definitions("{ a = \"${b}\"; }")[0].literal, None);
        for text in [
            "let a.b = 1; c = { d = 2; }; in { e = 3; }",
            "lib.mkMerge [ (f { a = 1; }) { e = lib.mkIf b (lib.f { c = 1; }); } ]",
        ] {
            let found = definitions(text).into_iter().map(|found| found.path);
            assert_eq!(found.collect::<Vec<_>>(), [["e"]], "{text}");
        }
    }
}
