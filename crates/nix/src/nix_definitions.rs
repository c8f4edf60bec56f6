//! What a file of Nix defines, as it is written. Pure.

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ASSERT, NODE_ATTR_SET, NODE_ATTRPATH, NODE_ATTRPATH_VALUE, NODE_BIN_OP,
    NODE_IDENT, NODE_IF_ELSE, NODE_LAMBDA, NODE_LEGACY_LET, NODE_LET_IN, NODE_LIST, NODE_LITERAL,
    NODE_PAREN, NODE_ROOT, NODE_STRING, NODE_WITH,
};
use rnix::SyntaxNode;

use crate::attribute_path;
use crate::nix_syntax::parse;

/// Functions of `lib` that keep the paths of what is defined in their argument.
const MODIFIERS: [&str; 8] = [
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
pub struct WrittenDefinition {
    /// The option's attribute path.
    pub path: Vec<String>,
    /// How many names of the path are those of the definitions around it: 1 in `networking = { hostName = …; }`.
    pub outer: usize,
    /// Its line, counted from 1.
    pub line: usize,
    /// Its value, if that is a number, a Boolean or a string without variables, also behind `lib.mkForce`.
    pub literal: Option<String>,
    /// The elements of its value, if that is a list of only numbers.
    pub numbers: Option<Vec<String>>,
    /// Whether its value is written as it is: there is no `lib.mkForce` and no other function in front of it.
    pub is_plain: bool,
    /// Whether it may have no effect: it is in an `if`, or in a `mkIf` with another condition than `true`.
    pub is_conditional: bool,
}

/// The definitions in `text`, in order, also those inside others; without variables, and without those whose names have variables.
pub fn definitions(text: &str) -> Vec<WrittenDefinition> {
    let root = parse(text).syntax();
    let found = root
        .descendants()
        .filter_map(|node| definition(text, &node));
    found.collect()
}

fn definition(text: &str, node: &SyntaxNode) -> Option<WrittenDefinition> {
    let own = names_of(node)?;
    let option = option_at(node, None)?;
    let path: Option<Vec<String>> = option.iter().map(|name| plain_name(name)).collect();
    let path = path?;
    let value = node.last_child()?;
    Some(WrittenDefinition {
        outer: path.len().saturating_sub(own.len()),
        line: line_number_of(text, node),
        literal: literal(&value),
        numbers: numbers(&value),
        is_plain: value.kind() != NODE_APPLY,
        is_conditional: is_conditional(node),
        path,
    })
}

/// The names of the option that the definitions around `node` define, as they are written, without those that only lead to the module
/// that they are in: of the whole file, or of the function `module`. `None` where they need not be part of it: in a variable, in the
/// argument of a function, or in an element of a list.
pub fn option_at(node: &SyntaxNode, module: Option<&SyntaxNode>) -> Option<Vec<String>> {
    let inside = || node.ancestors().take_while(|n| Some(n) != module);
    let is_modules = |around: &SyntaxNode| defined_path(around).as_deref() == Some("modules");
    let around = inside().skip(1).take_while(|n| !is_modules(n));
    let mut sets = around.filter(|around| around.kind() == NODE_ATTR_SET);
    if inside().any(|n| binds_variable(&n)) || !sets.all(|set| is_merged(&set, module)) {
        return None;
    }
    let definitions: Vec<Vec<String>> = inside().filter_map(|n| names_of(&n)).collect();
    let names: Vec<String> = definitions.into_iter().rev().flatten().collect();
    let around = names_around_module(&names, module.is_some());
    Some(names.into_iter().skip(around).collect())
}

/// Whether the definitions in `set` are those of the definition, the module or the file around it.
fn is_merged(set: &SyntaxNode, module: Option<&SyntaxNode>) -> bool {
    let is_end = |node: &SyntaxNode| {
        [NODE_ATTRPATH_VALUE, NODE_ROOT].contains(&node.kind()) || Some(node) == module
    };
    let mut around = set.ancestors().skip(1).take_while(|node| !is_end(node));
    around.all(|node| {
        let kind = node.kind();
        if kind == NODE_LIST {
            let list_argument = node.parent().and_then(|parent| called(&parent));
            return list_argument.as_deref() == Some("mkMerge") || has_modules(&node);
        }
        let keeps = [
            NODE_ASSERT,
            NODE_BIN_OP,
            NODE_IF_ELSE,
            NODE_LAMBDA,
            NODE_LET_IN,
            NODE_PAREN,
            NODE_WITH,
        ];
        keeps.contains(&kind) || is_modifier(&node)
    })
}

/// Whether the elements of `list` are modules.
fn has_modules(list: &SyntaxNode) -> bool {
    let definition = list.ancestors().find_map(|node| names_of(&node));
    let option = definition.and_then(|names| names.into_iter().next_back());
    option.is_some_and(|name| ["imports", "modules"].contains(&name.as_str()))
}

/// Whether `node` is in a variable of a `let`, which need not be part of the module.
pub fn is_variable(node: &SyntaxNode) -> bool {
    node.ancestors().any(|around| binds_variable(&around))
}

/// Whether `node` is a definition of a `let`.
fn binds_variable(node: &SyntaxNode) -> bool {
    let around = node.parent().filter(|_| node.kind() == NODE_ATTRPATH_VALUE);
    around.is_some_and(|around| [NODE_LET_IN, NODE_LEGACY_LET].contains(&around.kind()))
}

/// How many of `names`, in front of the others, only lead to a module: `config`, `imports` and, unless they begin in a module, those to
/// a list of modules that are written out.
fn names_around_module(names: &[String], is_in_module: bool) -> usize {
    let is_config = names.first().is_some_and(|name| name == "config");
    let around = usize::from(is_config);
    let is_import = names.get(around).is_some_and(|name| name == "imports");
    let of_list = names.iter().rposition(|name| name == "modules");
    match of_list.filter(|_| !is_in_module) {
        Some(at) => at + 1,
        None => around + usize::from(is_import),
    }
}

/// The name that `written` in an attribute path stands for, unless it has variables.
pub fn plain_name(written: &str) -> Option<String> {
    attribute_path::parse(written).ok()?.into_iter().next()
}

fn is_conditional(definition: &SyntaxNode) -> bool {
    let mut around = definition.ancestors();
    let is_inside = around.any(|node| node.kind() == NODE_IF_ELSE || is_optional_call(&node));
    is_inside || definition.last_child().is_some_and(|v| is_optional(&v))
}

/// Whether `value` may be none.
fn is_optional(value: &SyntaxNode) -> bool {
    let mut parts = value.children();
    let content = value
        .last_child()
        .filter(|_| is_modifier(value) || value.kind() == NODE_PAREN);
    is_optional_call(value)
        || content.is_some_and(|content| is_optional(&content))
        || value.kind() == NODE_LIST && parts.any(|part| is_optional(&part))
}

/// Whether `node` is a whole call of `mkIf`, whose condition need not hold.
fn is_optional_call(node: &SyntaxNode) -> bool {
    let with_condition = node
        .first_child()
        .filter(|function| function.kind() == NODE_APPLY);
    let condition = with_condition.and_then(|call| call.last_child());
    called(node).as_deref() == Some("mkIf") && condition.is_some_and(|c| c.text() != "true")
}

/// The elements of `value`, if it is a list of only numbers.
fn numbers(value: &SyntaxNode) -> Option<Vec<String>> {
    let is_list = value.kind() == NODE_LIST;
    let number = |node: SyntaxNode| (node.kind() == NODE_LITERAL).then(|| node.text().to_string());
    is_list
        .then(|| value.children().map(number).collect())
        .flatten()
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
    let is_word = kind == NODE_IDENT && ["true", "false", "null"].contains(&written.as_str());
    let is_plain = written.starts_with('"') && !written.contains(['$', '\\', '\n']);
    let is_string = kind == NODE_STRING && is_plain;
    (kind == NODE_LITERAL || is_word || is_string).then_some(written)
}

/// The function that the call `node` calls.
pub fn called(node: &SyntaxNode) -> Option<String> {
    let is_call = node.kind() == NODE_APPLY;
    let mut function = node.first_child().filter(|_| is_call)?;
    // `f a b` is `(f a) b`: the function of the outer call is a call itself.
    while function.kind() == NODE_APPLY {
        function = function.first_child()?;
    }
    Some(function.text().to_string().rsplit('.').next()?.to_owned())
}

/// Whether the call `node` keeps the paths of what is defined in its argument.
pub fn is_modifier(node: &SyntaxNode) -> bool {
    called(node).is_some_and(|name| MODIFIERS.contains(&name.as_str()))
}

/// The path that the definitions around `node` define.
pub fn defines(node: &SyntaxNode) -> String {
    let paths = node.ancestors().filter_map(|node| defined_path(&node));
    let paths: Vec<String> = paths.collect();
    let paths: Vec<&str> = paths.iter().rev().map(String::as_str).collect();
    paths.join(".")
}

/// The path that `node` defines, if it is a definition.
pub fn defined_path(node: &SyntaxNode) -> Option<String> {
    Some(attribute_path_of(node)?.text().to_string())
}

/// The names in that path, as they are written.
fn names_of(node: &SyntaxNode) -> Option<Vec<String>> {
    let names = attribute_path_of(node)?.children();
    Some(names.map(|name| name.text().to_string()).collect())
}

fn attribute_path_of(node: &SyntaxNode) -> Option<SyntaxNode> {
    let is_definition = node.kind() == NODE_ATTRPATH_VALUE;
    let path = node.first_child().filter(|_| is_definition);
    path.filter(|path| path.kind() == NODE_ATTRPATH)
}

/// The line of `node` in `text`, counted from 1.
pub fn line_number_of(text: &str, node: &SyntaxNode) -> usize {
    let before = text.as_bytes().iter();
    let before = before.take(node.text_range().start().into());
    before.filter(|byte| **byte == b'\n').count() + 1
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

    #[test]
    fn a_definition_that_need_not_hold_is_conditional() {
        for (text, is_conditional) in [
            ("{ a = 1; }", false),
            ("{ a = lib.mkForce 1; }", false),
            ("{ a = lib.mkIf true 1; }", false),
            ("{ config = lib.mkMerge [ { a = 1; } ]; }", false),
            ("{ a = if b then 1 else 2; }", false),
            ("{ a = lib.mkIf false 1; }", true),
            ("{ a = lib.mkForce (mkIf b 1); }", true),
            ("{ a = lib.mkMerge [ 1 (lib.mkIf b 2) ]; }", true),
            ("{ config = lib.mkIf b { a = 1; }; }", true),
            (
                "{ config = lib.mkMerge [ (lib.mkIf b { a = 1; }) ]; }",
                true,
            ),
            ("if b then { a = 1; } else { }", true),
        ] {
            let mut found = definitions(text).into_iter();
            let found = found.find(|found| found.path == ["a"]).unwrap();
            assert_eq!(found.is_conditional, is_conditional, "{text}");
        }
    }

    #[test]
    fn elements_of_lists_are_no_options_unless_they_are_modules() {
        for (text, paths) in [
            ("{ a = [ { b = 1; } ]; }", vec![vec!["a"]]),
            ("{ a = f (x: { b = 1; }); }", vec![vec!["a"]]),
            (
                "{ a = { config, ... }: { b = 1; }; }",
                vec![vec!["a"], vec!["a", "b"]],
            ),
            (
                "{ imports = [ ({ ... }: { b = 1; }) ]; }",
                vec![vec![], vec!["b"]],
            ),
        ] {
            let found = definitions(text).into_iter().map(|found| found.path);
            assert_eq!(found.collect::<Vec<_>>(), paths, "{text}");
        }
    }
}
