//! Values that stand side by side without the brackets of a list: Nix takes the first one for a function. Pure.

use std::net::IpAddr;

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTRPATH_VALUE, NODE_IDENT, NODE_LITERAL, NODE_PATH_ABS, NODE_PATH_HOME,
    NODE_PATH_REL, NODE_SELECT, NODE_STRING, NODE_WITH,
};
use rnix::SyntaxNode;

use super::syntax_at::node_at;
use super::unquoted_name::is_list_of_packages;
use crate::nixos::log::Position;
use crate::nixos::nix_definitions::defined_path;

/// Longest list that a hint repeats, in characters.
const MAX_CHARS: usize = 120;

/// The definition that is meant where the value at `position` of `text` is called, and is none that can be.
pub(super) fn hint(text: &str, position: &Position) -> Option<String> {
    let node = node_at(text, position)?;
    let mut around = node.ancestors();
    let definition = around.find(|node| node.kind() == NODE_ATTRPATH_VALUE)?;
    let path = defined_path(&definition)?;
    let value = definition.last_child()?;
    let inner = value.last_child().filter(|_| value.kind() == NODE_WITH);
    let call = inner.clone().unwrap_or_else(|| value.clone());
    let parts = parts(&call)?;
    let is_name = |kind| [NODE_IDENT, NODE_SELECT].contains(&kind);
    let is_plain = |kind| {
        [
            NODE_LITERAL,
            NODE_PATH_ABS,
            NODE_PATH_HOME,
            NODE_PATH_REL,
            NODE_STRING,
        ]
        .contains(&kind)
    };
    let texts: Vec<String> = parts.iter().map(|part| part.text().to_string()).collect();
    // Of an address without quotes, Nix takes the parts for numbers.
    let written = call.text().to_string();
    if written.parse::<IpAddr>().is_ok() {
        return Some(format!(
            "an address is a string, in double quotes: {path} = \"{written}\";"
        ));
    }
    let is_fraction = |text: &String| text.contains('.') && !text.contains(['/', '"']);
    let attribute = path.rsplit('.').next()?;
    let are_packages =
        is_list_of_packages(attribute) && parts.iter().all(|part| is_name(part.kind()));
    let are_plain =
        !texts.iter().any(is_fraction) && parts.iter().all(|part| is_plain(part.kind()));
    if !are_packages && !are_plain {
        return None;
    }
    let before = match inner {
        Some(inner) => {
            let whole = value.text().to_string();
            whole.strip_suffix(&inner.text().to_string())?.to_owned()
        }
        None => String::new(),
    };
    let list = texts.join(" ");
    let is_short =
        list.chars().count() <= MAX_CHARS && !list.contains('\n') && !before.contains('\n');
    let list = if is_short {
        format!("{before}[ {list} ]")
    } else {
        "[ … ]".to_owned()
    };
    Some(format!(
        "several values are a list, which has brackets: {path} = {list};"
    ))
}

/// The function and the arguments of `call`.
fn parts(call: &SyntaxNode) -> Option<Vec<SyntaxNode>> {
    let mut arguments = Vec::new();
    let mut function = call.clone();
    while function.kind() == NODE_APPLY {
        arguments.push(function.last_child()?);
        function = function.first_child()?;
    }
    let has_argument = !arguments.is_empty();
    arguments.push(function);
    arguments.reverse();
    has_argument.then_some(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_side_by_side_are_a_list() {
        for (value, expected) in [
            (
                "with pkgs; vim htop git",
                Some("x.packages = with pkgs; [ vim htop git ];"),
            ),
            (
                "pkgs.vim pkgs.htop",
                Some("x.packages = [ pkgs.vim pkgs.htop ];"),
            ),
            ("\"a\" \"b\"", Some("x.packages = [ \"a\" \"b\" ];")),
            ("./a.nix ./b.nix", Some("x.packages = [ ./a.nix ./b.nix ];")),
            ("80 443", Some("x.packages = [ 80 443 ];")),
            ("192.168.1.1", Some("x.packages = \"192.168.1.1\";")),
            ("1.5 2.5", None),
            ("pkgs.vim { }", None),
            ("pkgs.vim", None),
            ("f (a b)", None),
        ] {
            let text = format!("{{\n  x.packages = {value};\n}}");
            let position = Position {
                file: String::new(),
                line: 2,
                column: 16,
            };
            let told = hint(&text, &position);
            let told = told
                .as_deref()
                .and_then(|told| Some(told.split_once(": ")?.1));
            assert_eq!(told, expected, "{value}");
        }
        let other = "{ a = b c; }";
        let position = Position {
            file: String::new(),
            line: 1,
            column: 7,
        };
        assert_eq!(hint(other, &position), None);
    }
}
