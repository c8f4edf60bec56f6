//! The syntax around a place that Nix names, in a file that Nix can parse.

use std::collections::BTreeSet;

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTR_SET, NODE_ATTRPATH_VALUE, NODE_BIN_OP, NODE_IDENT, NODE_INTERPOL,
    NODE_LAMBDA, NODE_LET_IN, NODE_LIST, NODE_PAREN, NODE_SELECT, NODE_STRING, NODE_WITH,
    TOKEN_CONCAT,
};
use rnix::{SyntaxKind, SyntaxNode, TextSize};

use crate::nixos::log::Position;
use crate::nixos::nix_definitions::{called, defined_path, defines};
use crate::nixos::nix_syntax::parse;

/// What a name is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is the whole value of an attribute: `a = NAME;`.
    Definition,
    /// It is an element of a list.
    Element,
    /// It stands in a string: `${NAME}`.
    Interpolated,
    /// It is called as a function, and the result is the whole value of an attribute: `a = NAME x;`.
    Called,
    Other,
}

/// A name, and what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameAt {
    /// What it, or the selection that begins with it, is part of.
    pub(super) role: Role,
    /// The name with the attributes that are selected from it: `a.b`.
    pub(super) written: String,
    /// The path of the definition that it is in, such as `users.users.pi.extraGroups`; empty outside of definitions.
    pub(super) defines: String,
    /// The functions that are called around it, without the sets that they are selected from, such as `writeShellScript`.
    pub(super) called: Vec<String>,
    /// The sign by which `${` is text in the string around it, if it is in one.
    pub(super) sign_of_string: Option<&'static str>,
}

impl NameAt {
    /// The name at `position` of `text`.
    pub(super) fn find(text: &str, position: &Position) -> Option<Self> {
        let name = node_at(text, position).filter(|node| node.kind() == NODE_IDENT)?;
        let parent = name.parent()?;
        let is_selection =
            parent.kind() == NODE_SELECT && parent.first_child().as_ref() == Some(&name);
        let whole = if is_selection { parent } else { name };
        let parent = whole.parent()?;
        let around = parent.kind();
        let role = if around == NODE_APPLY && is_called(&whole) {
            Role::Called
        } else if around == NODE_ATTRPATH_VALUE {
            Role::Definition
        } else if around == NODE_LIST {
            Role::Element
        } else if around == NODE_INTERPOL {
            Role::Interpolated
        } else {
            Role::Other
        };
        Some(Self {
            role,
            written: whole.text().to_string(),
            defines: defines(&whole),
            called: whole.ancestors().filter_map(|node| called(&node)).collect(),
            sign_of_string: sign_of_string(&whole),
        })
    }

    /// Whether an attribute of the named value is meant: `NAME.x`.
    pub(super) fn is_selection(&self) -> bool {
        self.written.contains('.')
    }

    /// The last attribute of the path that it defines.
    pub(super) fn attribute(&self) -> &str {
        self.defines.rsplit('.').next().unwrap_or_default()
    }
}

/// The sign by which `${` is text in the innermost string around `node`.
fn sign_of_string(node: &SyntaxNode) -> Option<&'static str> {
    let string = node.ancestors().find(|node| node.kind() == NODE_STRING)?;
    let is_indented = string.text().to_string().starts_with("''");
    Some(if is_indented { "''" } else { "\\" })
}

/// A definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    /// Its path as it is written, such as `services.openssh`.
    pub(super) path: String,
    /// What its value is.
    pub(super) value: SyntaxKind,
    /// The text of its value.
    pub(super) written: String,
    /// Whether its value is a list, or lists that are joined.
    pub(super) is_list: bool,
}

impl Definition {
    /// The definition that begins at `position` of `text`.
    pub(super) fn find(text: &str, position: &Position) -> Option<Self> {
        let node = node_at(text, position)?;
        let mut around = node.ancestors();
        let definition = around.find(|node| node.kind() == NODE_ATTRPATH_VALUE)?;
        let value = definition.last_child()?;
        Some(Self {
            path: defined_path(&definition)?,
            value: value.kind(),
            written: value.text().to_string(),
            is_list: is_list(&value),
        })
    }
}

/// The names that the module, or the set, with `text` defines: `options` of `{ … }: { options.x = …; }`.
pub(super) fn top_level_names(text: &str) -> BTreeSet<String> {
    let root = parse(text).syntax();
    let mut body = root.last_child();
    // A function, or `let … in`, ends with what it gives.
    while let Some(outer) = body
        .as_ref()
        .filter(|node| [NODE_LAMBDA, NODE_LET_IN, NODE_PAREN, NODE_WITH].contains(&node.kind()))
    {
        body = outer.last_child();
    }
    let set = body.filter(|node| node.kind() == NODE_ATTR_SET);
    let definitions = set.into_iter().flat_map(|set| set.children());
    let paths = definitions.filter_map(|node| defined_path(&node));
    let names = paths.map(|path| path.split('.').next().unwrap_or_default().to_owned());
    names.collect()
}

/// The line, counted from 1, and the text of the module that `position` of `text` is in: a set, or a function, in the list
/// `modules` of a flake.
pub(super) fn inline_module(text: &str, position: &Position) -> Option<(usize, String)> {
    let node = node_at(text, position)?;
    let is_module = |node: &SyntaxNode| {
        let mut around = node.ancestors().skip(1);
        let list = around.find(|around| around.kind() != NODE_PAREN);
        let list = list.filter(|list| list.kind() == NODE_LIST);
        let definition = list.and_then(|list| list.parent());
        let path = definition.and_then(|definition| defined_path(&definition));
        let name = path.as_deref().and_then(|path| path.rsplit('.').next());
        [NODE_ATTR_SET, NODE_LAMBDA].contains(&node.kind()) && name == Some("modules")
    };
    let module = node.ancestors().find(is_module)?;
    let before = text.get(..usize::from(module.text_range().start()))?;
    Some((before.matches('\n').count() + 1, module.text().to_string()))
}

/// The smallest syntax node at `position` of `text`.
pub(super) fn node_at(text: &str, position: &Position) -> Option<SyntaxNode> {
    let offset = TextSize::try_from(position.offset(text)?).ok()?;
    let root = parse(text).syntax();
    if offset >= root.text_range().end() {
        return None;
    }
    root.token_at_offset(offset).right_biased()?.parent()
}

/// The path of the definitions around `position` of `text`.
pub(super) fn whole_path(text: &str, position: &Position) -> Option<String> {
    Some(defines(&node_at(text, position)?))
}

/// Whether `name` begins a call that is the whole value of a definition.
fn is_called(name: &SyntaxNode) -> bool {
    let calls = name.ancestors().skip(1);
    let around = calls.take_while(|node| node.kind() == NODE_APPLY).last();
    around.is_some_and(|call| {
        let is_value = call.parent().map(|parent| parent.kind()) == Some(NODE_ATTRPATH_VALUE);
        is_value && call.text_range().start() == name.text_range().start()
    })
}

/// Whether `node` is `… ++ …`.
pub(super) fn is_joined(node: &SyntaxNode) -> bool {
    let mut parts = node.children_with_tokens();
    node.kind() == NODE_BIN_OP && parts.any(|part| part.kind() == TOKEN_CONCAT)
}

fn is_list(value: &SyntaxNode) -> bool {
    let kind = value.kind();
    // The argument of a call, as in `lib.optionals x [ … ]`, counts too.
    let is_around = [NODE_WITH, NODE_PAREN, NODE_APPLY].contains(&kind);
    let inner = value.last_child().filter(|_| is_around);
    kind == NODE_LIST || is_joined(value) || inner.is_some_and(|inner| is_list(&inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of the only `needle` in `text`.
    fn place(text: &str, needle: &str) -> Position {
        let (before, _) = text.split_once(needle).unwrap();
        Position {
            file: String::new(),
            line: before.matches('\n').count() as u64 + 1,
            column: before.rsplit('\n').next().unwrap().len() as u64 + 1,
        }
    }

    #[test]
    fn what_stands_around_a_name_is_found() {
        for (text, role, written, defines) in [
            ("{ a = x; }", Role::Definition, "x", "a"),
            ("{ a.b =\n  x\n; }", Role::Definition, "x", "a.b"),
            ("{ a = { b.c = [ x ]; }; }", Role::Element, "x", "a.b.c"),
            (
                "{ a = [\n  (f [ ])\n  \"b\"\n  x\n]; }",
                Role::Element,
                "x",
                "a",
            ),
            ("{ a = [ x.y.z ]; }", Role::Element, "x.y.z", "a"),
            ("{ a = [ (f x) ]; }", Role::Other, "x", "a"),
            ("{ a = x f g; }", Role::Called, "x", "a"),
            ("{ a = f x; }", Role::Other, "x", "a"),
            ("{ a = \"b ${x} c\"; }", Role::Interpolated, "x", "a"),
            ("{ a = [ b ] ++ x; }", Role::Other, "x", "a"),
            ("{ a = b == x; }", Role::Other, "x", "a"),
            ("{ a ? \"ä\" }: x", Role::Other, "x", ""),
        ] {
            let found = NameAt::find(text, &place(text, "x")).unwrap();
            assert_eq!(found.role, role, "{text}");
            assert_eq!(
                (found.written.as_str(), found.defines.as_str()),
                (written, defines)
            );
        }
        let script = "{ a = [ (p.writeShellScript \"b\" ''c ${x}'') ]; }";
        let found = NameAt::find(script, &place(script, "x")).unwrap();
        assert_eq!(found.called, ["writeShellScript"]);
        let nowhere = Position {
            file: String::new(),
            line: 9,
            column: 0,
        };
        assert_eq!(NameAt::find("ä", &nowhere), None);
        let past = Position {
            column: 9,
            ..nowhere
        };
        assert_eq!(NameAt::find("ä", &past), None);
    }

    #[test]
    fn definitions_of_lists_are_recognised() {
        for (value, is_list) in [
            ("[ a ]", true),
            ("\n  with pkgs; [ a ]", true),
            ("with pkgs; (a ++ [ b ])", true),
            ("lib.optionals true [ a ]", true),
            ("with pkgs; vim.override { x = [ ]; }", false),
            ("{ b = [ ]; }", false),
            ("\"[ ]\"", false),
        ] {
            let text = format!("{{\n  x.y = {value};\n}}");
            let found = Definition::find(&text, &place(&text, "x.y")).unwrap();
            assert_eq!(found.path, "x.y");
            assert_eq!(found.is_list, is_list, "{value}");
        }
    }

    #[test]
    fn the_names_of_a_module_are_found() {
        let names = |text: &str| top_level_names(text).into_iter().collect::<Vec<_>>();
        let module = "{ lib, ... }: let y = 1; in {\n options.a.b = { z = 1; };\n boot = { }; }";
        assert_eq!(names(module), ["boot", "options"]);
        assert_eq!(names("{ a.b = 1; }"), ["a"]);
        assert_eq!(names("f { a = 1; }"), [""; 0]);
        assert_eq!(names(""), [""; 0]);
    }
}
