//! Which names of a file are bound in it.

use rnix::SyntaxKind::{
    NODE_ATTR_SET, NODE_ATTRPATH, NODE_ATTRPATH_VALUE, NODE_IDENT, NODE_IDENT_PARAM, NODE_INHERIT,
    NODE_LAMBDA, NODE_LET_IN, NODE_PAT_BIND, NODE_PAT_ENTRY, NODE_WITH, TOKEN_REC,
};
use rnix::SyntaxNode;

use super::module_arguments::{ARGUMENTS, Header};
use crate::nixos::nix_syntax::parse;

/// Those of `names` that the file with `text` uses without binding them, in the order of `names`.
pub(super) fn unbound_names<'n>(text: &str, names: &[&'n str]) -> Vec<&'n str> {
    let root = parse(text).syntax();
    let names_used: Vec<SyntaxNode> = root.descendants().filter(is_use).collect();
    let is_unbound = |name: &&&str| {
        let mut uses = names_used.iter().filter(|node| node.text() == ***name);
        uses.any(|node| !is_bound(node, name))
    };
    names.iter().filter(is_unbound).copied().collect()
}

/// Whether `scope` itself binds `name` for what is inside it: as an argument, in a `let`, or in a `rec { … }`.
pub(super) fn binds(scope: &SyntaxNode, name: &str) -> bool {
    let kind = scope.kind();
    let is_name = |node: &SyntaxNode| node.kind() == NODE_IDENT && node.text() == name;
    let begins_with = |node: SyntaxNode| node.first_child().is_some_and(|first| is_name(&first));
    if kind == NODE_LAMBDA {
        let Some(pattern) = scope.first_child() else {
            return false;
        };
        let parts = pattern.children();
        let mut parameters = parts.chain([pattern.clone()]);
        return parameters.any(|parameter| {
            let kinds = [NODE_IDENT_PARAM, NODE_PAT_ENTRY, NODE_PAT_BIND];
            kinds.contains(&parameter.kind()) && begins_with(parameter)
        });
    }
    let mut parts = scope.children_with_tokens();
    let is_rec = kind == NODE_ATTR_SET && parts.any(|part| part.kind() == TOKEN_REC);
    if kind != NODE_LET_IN && !is_rec {
        return false;
    }
    scope.children().any(|part| {
        let path = part.first_child();
        let defined = path.filter(|_| part.kind() == NODE_ATTRPATH_VALUE);
        let inherits = part.kind() == NODE_INHERIT && part.children().any(|name| is_name(&name));
        inherits || defined.is_some_and(begins_with)
    })
}

/// Whether anything in `text` binds `name`.
pub(super) fn binds_anywhere(text: &str, name: &str) -> bool {
    let root = parse(text).syntax();
    root.descendants().any(|scope| binds(&scope, name))
}

/// The `hint` to write something into the module `text` that uses the module argument `name`, with how the module asks for it.
pub(super) fn with_argument(text: &str, hint: String, name: &str) -> String {
    if binds_anywhere(text, name) || !unbound_names(text, &[name]).is_empty() {
        return hint;
    }
    match Header::find(text) {
        Some(header) => {
            let reads = header.with(&[name]);
            let reads = reads.map_or_else(String::new, |it| format!(", which then reads {it}"));
            let line = header.line;
            format!("{hint}\n    Also add {name} to the {{ … }}: of line {line}{reads}")
        }
        None => format!("{hint}\n    Also begin the file with {{ {name}, ... }}:"),
    }
}

/// Whether the value of a variable is meant by the name `node`, and not an attribute.
fn is_use(node: &SyntaxNode) -> bool {
    let Some(around) = node.parent().filter(|_| node.kind() == NODE_IDENT) else {
        return false;
    };
    let no_use = [NODE_ATTRPATH, NODE_IDENT_PARAM, NODE_PAT_BIND];
    // The default of an argument is not the first part of it.
    let is_argument =
        around.kind() == NODE_PAT_ENTRY && around.first_child().as_ref() == Some(node);
    // In `inherit (a) b;`, b is an attribute of a.
    let has_source = around.kind() == NODE_INHERIT
        && around
            .first_child()
            .is_some_and(|first| first.kind() != NODE_IDENT);
    !no_use.contains(&around.kind()) && !is_argument && !has_source
}

/// Whether something around `node` binds `name` for it.
pub(super) fn is_bound(node: &SyntaxNode, name: &str) -> bool {
    let mut scopes = node.ancestors().skip(1);
    scopes.any(|scope| binds(&scope, name) || is_provided(node, &scope, name))
}

/// Whether `scope` is a `with …;` around `node` whose set may have `name`.
fn is_provided(node: &SyntaxNode, scope: &SyntaxNode, name: &str) -> bool {
    let body = scope.last_child().filter(|_| scope.kind() == NODE_WITH);
    let is_inside = body.is_some_and(|body| body.text_range().contains_range(node.text_range()));
    let set = scope.first_child().filter(|_| is_inside);
    set.is_some_and(|set| {
        let set = set.text().to_string();
        let is_argument = ARGUMENTS.contains(&name);
        match set.as_str() {
            "lib" => !is_argument || name == "options",
            "builtins" => false,
            other => !(is_argument && other.starts_with("lib.")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_asks_for_what_a_hint_makes_it_use() {
        for (text, asking) in [
            (
                "{ lib, ... }:\n{ }",
                "\n    Also add pkgs to the { … }: of line 1, which then reads { lib, pkgs, ... }:",
            ),
            (
                "{ a = 1; }",
                "\n    Also begin the file with { pkgs, ... }:",
            ),
            ("{ pkgs, ... }:\n{ }", ""),
            ("{ a = pkgs.b; }", ""),
        ] {
            let told = with_argument(text, "write pkgs.a".to_owned(), "pkgs");
            assert_eq!(told, format!("write pkgs.a{asking}"), "{text}");
        }
    }

    #[test]
    fn names_that_a_module_uses_without_binding_are_found() {
        for (text, is_unbound) in [
            ("{ a = [ pkgs.vim ]; }", true),
            ("{ a = with pkgs; [ vim ]; }", true),
            ("{ pkgs = 1; a.pkgs = 2; b = c.pkgs; }", false),
            ("let pkgs = 1; in { a = pkgs; }", false),
            ("{ a = pkgs: pkgs.vim; }", false),
            ("{ a = { pkgs, ... }: pkgs.vim; }", false),
            ("{ a = x // { pkgs = 1; }; b = pkgs; }", true),
            // Bound elsewhere in the file.
            ("{ a = { pkgs, ... }: pkgs.vim; b = pkgs; }", true),
            ("{ a = let pkgs = 1; in pkgs; b = pkgs; }", true),
            ("{ a = { x ? pkgs }: x; }", true),
            ("{ a = { inherit pkgs; }; }", true),
            ("{ a = { inherit (b) pkgs; }; }", false),
            ("rec { pkgs = 1; a = pkgs; }", false),
            ("let inherit (b) pkgs; in pkgs", false),
            ("pkgs@{ ... }: pkgs", false),
            // In a `with` that has no such name, and in one that may have it.
            ("{ a = with lib; [ pkgs.vim ]; }", true),
            ("{ a = with b; [ pkgs.vim ]; }", false),
        ] {
            let expected: &[&str] = if is_unbound { &["pkgs"] } else { &[] };
            assert_eq!(unbound_names(text, &["pkgs"]), expected, "{text}");
        }
        let several = "let x = lib.y; in { a = with pkgs; [ lib.z config.b ]; b = config.c; }";
        assert_eq!(
            unbound_names(several, &ARGUMENTS),
            ["config", "lib", "pkgs"]
        );
        assert_eq!(
            unbound_names("{ a = with pkgs; [ lib.z ]; }", &["lib"]),
            [""; 0]
        );
        let functions = "{ a = mkForce 1; b = with lib; mkIf c d; }";
        assert_eq!(unbound_names(functions, &["mkForce", "mkIf"]), ["mkForce"]);
    }
}
