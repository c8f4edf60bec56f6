//! Definitions in a file of Nix that do not say what they define. Pure.

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ASSERT, NODE_ATTR_SET, NODE_ATTRPATH_VALUE, NODE_BIN_OP, NODE_IDENT,
    NODE_IF_ELSE, NODE_INHERIT, NODE_INHERIT_FROM, NODE_LAMBDA, NODE_LET_IN, NODE_LIST, NODE_PAREN,
    NODE_SELECT, NODE_WITH,
};
use rnix::SyntaxNode;

use crate::nixos::nix_definitions::{
    called, defined_path, is_modifier, line_number_of, option_at, plain_name,
};
use crate::nixos::nix_syntax::parse;

/// A definition that may define more than what is written: by `inherit`, with variables in its names, or with a value from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HiddenDefinition {
    /// The path of all that it may define, or the start of it.
    pub(super) path: Vec<String>,
    /// Its line, counted from 1.
    pub(super) line: usize,
}

/// Those in `text`, without variables.
pub(super) fn hidden_definitions(text: &str) -> Vec<HiddenDefinition> {
    let root = parse(text).syntax();
    let found = root.descendants().filter_map(|node| {
        let paths = hidden_paths(&node);
        (!paths.is_empty()).then(|| (line_number_of(text, &node), paths))
    });
    let found = found.flat_map(|(line, paths)| {
        let of_path = move |path| HiddenDefinition { path, line };
        paths.into_iter().map(of_path)
    });
    found.collect()
}

/// The paths of what `node` may define without saying so.
fn hidden_paths(node: &SyntaxNode) -> Vec<Vec<String>> {
    let is_definition = node.kind() == NODE_ATTRPATH_VALUE;
    let is_inherit = node.kind() == NODE_INHERIT
        && node
            .parent()
            .is_some_and(|around| around.kind() == NODE_ATTR_SET);
    if !is_definition && !is_inherit {
        return Vec::new();
    }
    let Some(names) = option_at(node, None) else {
        return Vec::new();
    };
    let start: Vec<String> = names.iter().map_while(|name| plain_name(name)).collect();
    let has_variables = start.len() < names.len();
    if is_inherit && !has_variables {
        let parts = node.children();
        let inherited = parts.filter(|part| part.kind() != NODE_INHERIT_FROM);
        let inherited = inherited.filter_map(|name| plain_name(&name.text().to_string()));
        return inherited
            .map(|name| start.iter().cloned().chain([name]).collect())
            .collect();
    }
    let value = node.last_child().filter(|_| is_definition);
    let from_elsewhere = value.is_some_and(|value| may_define_more(&value));
    // Other modules than those that are written out are not considered.
    let is_import = start.is_empty() && defined_path(node).as_deref() != Some("config");
    let is_hidden = has_variables || from_elsewhere && !is_import;
    is_hidden.then_some(start).into_iter().collect()
}

/// Whether `value` may be a set with other definitions than those that are written in it.
fn may_define_more(value: &SyntaxNode) -> bool {
    let kind = value.kind();
    let in_last_part = || {
        value
            .last_child()
            .is_some_and(|part| may_define_more(&part))
    };
    if [NODE_ASSERT, NODE_LAMBDA, NODE_LET_IN, NODE_PAREN, NODE_WITH].contains(&kind) {
        return in_last_part();
    }
    if kind == NODE_IF_ELSE {
        return value.children().skip(1).any(|part| may_define_more(&part));
    }
    if kind == NODE_APPLY && called(value).as_deref() == Some("mkMerge") {
        let list = value.last_child().filter(|list| list.kind() == NODE_LIST);
        return list.is_none_or(|list| list.children().any(|part| may_define_more(&part)));
    }
    if kind == NODE_APPLY && is_modifier(value) {
        return in_last_part();
    }
    [NODE_APPLY, NODE_BIN_OP, NODE_IDENT, NODE_SELECT].contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_define_more_than_is_written_is_found() {
        let table: [(&str, &[(&str, usize)]); 14] = [
            (
                "{ a = {\n inherit (x) b \"c d\"; }; }",
                &[("a/b", 2), ("a/c d", 2)],
            ),
            ("{ a.${n}.b = 1; }", &[("a", 1)]),
            ("{ a = { \"${n}\" = { b = 1; }; }; }", &[("a", 1), ("a", 1)]),
            ("{ ${n} = 1; }", &[("", 1)]),
            ("{ a.b = x; }", &[("a/b", 1)]),
            ("{ a = x // { b = 1; }; }", &[("a", 1)]),
            ("{ a = lib.mkIf c (f x); }", &[("a", 1)]),
            ("{ a = lib.mkMerge [ { b = 1; } x.y ]; }", &[("a", 1)]),
            ("{ config = x; }", &[("", 1)]),
            ("{ imports = x; }", &[]),
            ("{ a = lib.mkMerge [ { b = 1; } { c = [ x ]; } ]; }", &[]),
            ("{ a = lib.mkIf c { b = \"${x}\"; }; }", &[]),
            ("{ a = f { inherit b; }; }", &[("a", 1)]),
            ("let inherit (x) a; b = { inherit c; }; in { d = 1; }", &[]),
        ];
        for (text, expected) in table {
            let found = hidden_definitions(text).into_iter();
            let found: Vec<_> = found.map(|one| (one.path.join("/"), one.line)).collect();
            let expected = expected
                .iter()
                .map(|(path, line)| ((*path).to_owned(), *line));
            assert_eq!(found, expected.collect::<Vec<_>>(), "{text}");
        }
    }
}
