//! Values that stand side by side without the brackets of a list: Nix takes the first one for a function. Pure.

use std::net::IpAddr;

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTRPATH_VALUE, NODE_IDENT, NODE_LITERAL, NODE_PATH_ABS, NODE_PATH_HOME,
    NODE_PATH_REL, NODE_SELECT, NODE_STRING, NODE_WITH,
};
use rnix::{SyntaxKind, SyntaxNode};

use super::joined_paths;
use super::lists_of_words::LISTS_OF_WORDS;
use super::syntax_at::node_at;
use super::unquoted_name::{is_list_of_packages, takes_a_package};
use crate::nixos::log::Position;
use crate::nixos::nix_definitions::{defined_path, defines};

/// Longest list that a hint repeats, in characters.
const MAX_CHARS: usize = 120;

/// Options whose value is a list of strings, and whose last attribute means something else elsewhere.
const LISTS_OF_STRINGS: [&str; 2] = ["networking.nameservers", "networking.search"];
/// Attributes of units of systemd whose value is a list of strings.
const LISTS_OF_UNITS: [&str; 9] = [
    "after",
    "before",
    "bindsTo",
    "partOf",
    "requiredBy",
    "requires",
    "upheldBy",
    "wantedBy",
    "wants",
];
/// Functions of `lib` whose last argument may be a list, and how many they take before it.
const FUNCTIONS: [(&str, usize); 6] = [
    ("mkAfter", 0),
    ("mkBefore", 0),
    ("mkDefault", 0),
    ("mkForce", 0),
    ("mkIf", 1),
    ("optionals", 1),
];

/// The definition that is meant where the value at `position` of `text` is called, and is none that can be.
pub(super) fn hint(text: &str, position: &Position) -> Option<String> {
    let node = node_at(text, position)?;
    if let Some(hint) = joined_paths::called(&node) {
        return Some(hint);
    }
    let mut around = node.ancestors();
    let definition = around.find(|node| node.kind() == NODE_ATTRPATH_VALUE)?;
    let path = defined_path(&definition)?;
    let value = definition.last_child()?;
    let inner = value.last_child().filter(|_| value.kind() == NODE_WITH);
    let call = inner.clone().unwrap_or_else(|| value.clone());
    let parts = parts(&call)?;
    // Of an address without quotes, Nix takes the parts for numbers.
    let written = call.text().to_string();
    if written.parse::<IpAddr>().is_ok() {
        return Some(format!(
            "put the address in double quotes: {path} = \"{written}\";"
        ));
    }
    let (function, elements) = parts.split_at_checked(words_of_function(&parts))?;
    if elements.len() < 2 || elements.iter().any(is_of_library) {
        return None;
    }
    if !are_elements(&defines(&definition), elements) {
        return is_single(&path, elements).then(|| {
            format!(
                "{path} has {} values. Keep one of them, or put them into a list in brackets if the option takes several",
                elements.len()
            )
        });
    }
    let before = match inner {
        Some(inner) => {
            let whole = value.text().to_string();
            whole.strip_suffix(&inner.text().to_string())?.to_owned()
        }
        None => String::new(),
    };
    let words = |nodes: &[SyntaxNode]| {
        let texts = nodes.iter().map(|node| format!("{} ", node.text()));
        texts.collect::<String>()
    };
    let list = format!("{before}{}[ {}]", words(function), words(elements));
    let is_short = list.chars().count() <= MAX_CHARS && !list.contains('\n');
    let list = if is_short { list } else { "[ … ]".to_owned() };
    Some(format!(
        "put several values into a list, in brackets: {path} = {list};"
    ))
}

/// How many of `parts` a function of `lib` is that a list may follow, with its arguments in front of that.
fn words_of_function(parts: &[SyntaxNode]) -> usize {
    let first = parts.first().map(|first| first.text().to_string());
    let first = first.unwrap_or_default();
    let name = first.strip_prefix("lib.").unwrap_or(&first);
    let known = FUNCTIONS.iter().find(|(function, _)| *function == name);
    known.map_or(0, |(_, arguments)| arguments + 1)
}

/// Whether `node` is a function of Nix or of `lib`, and so no element.
fn is_of_library(node: &SyntaxNode) -> bool {
    let text = node.text().to_string();
    let is_library = text
        .split('.')
        .any(|part| ["builtins", "lib"].contains(&part));
    is_name(node.kind()) && (is_library || FUNCTIONS.iter().any(|(name, _)| *name == text))
}

fn is_name(kind: SyntaxKind) -> bool {
    [NODE_IDENT, NODE_SELECT].contains(&kind)
}

fn is_path(kind: SyntaxKind) -> bool {
    [NODE_PATH_ABS, NODE_PATH_HOME, NODE_PATH_REL].contains(&kind)
}

/// Whether the option `path` is a list that takes all `elements`.
fn are_elements(path: &str, elements: &[SyntaxNode]) -> bool {
    let attribute = path.rsplit('.').next().unwrap_or_default();
    let is_list_of_strings = LISTS_OF_WORDS.contains(&attribute)
        || LISTS_OF_STRINGS.contains(&path)
        || path.starts_with("systemd.") && LISTS_OF_UNITS.contains(&attribute)
        || path.ends_with(".authorizedKeys.keys");
    let is_list_of_paths = attribute == "imports" || path.ends_with(".authorizedKeys.keyFiles");
    let are = |is_one: &dyn Fn(&SyntaxNode) -> bool| elements.iter().all(is_one);
    let is_port = |node: &SyntaxNode| node.text().to_string().parse::<u16>().is_ok();
    is_list_of_packages(attribute) && are(&|node| is_name(node.kind()))
        || is_list_of_strings && are(&|node| node.kind() == NODE_STRING)
        || is_list_of_paths && are(&|node| is_path(node.kind()))
        || attribute.ends_with("Ports") && are(&is_port)
}

/// Whether none of `elements` can be a function of the definition `path`.
fn is_single(path: &str, elements: &[SyntaxNode]) -> bool {
    let attribute = path.rsplit('.').next().unwrap_or_default();
    let is_fraction =
        |node: &SyntaxNode| node.kind() == NODE_LITERAL && node.text().to_string().contains('.');
    let is_plain = |node: &SyntaxNode| {
        [NODE_LITERAL, NODE_STRING].contains(&node.kind()) || is_path(node.kind())
    };
    let are_packages =
        takes_a_package(attribute) && elements.iter().all(|node| is_name(node.kind()));
    are_packages || elements.iter().all(is_plain) && !elements.iter().any(is_fraction)
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

    /// The hint for the definition that begins the second line.
    fn hint_for(definition: &str) -> Option<String> {
        let text = format!("{{\n  {definition};\n}}");
        let (before, _) = definition.split_once("= ").unwrap();
        let position = Position {
            file: String::new(),
            line: 2,
            column: before.chars().count() as u64 + 5,
        };
        hint(&text, &position)
    }

    #[test]
    fn values_side_by_side_are_a_list() {
        for (definition, expected) in [
            (
                "x.packages = with pkgs; vim htop git",
                "x.packages = with pkgs; [ vim htop git ];",
            ),
            (
                "x.packages = pkgs.vim pkgs.htop",
                "x.packages = [ pkgs.vim pkgs.htop ];",
            ),
            (
                "a.extraGroups = \"b\" \"c\"",
                "a.extraGroups = [ \"b\" \"c\" ];",
            ),
            (
                "imports = ./a.nix ./b.nix",
                "imports = [ ./a.nix ./b.nix ];",
            ),
            (
                "a.allowedTCPPorts = 80 443",
                "a.allowedTCPPorts = [ 80 443 ];",
            ),
            (
                "systemd.services.a.after = \"b\" \"c\"",
                "systemd.services.a.after = [ \"b\" \"c\" ];",
            ),
            (
                "x.packages = lib.mkForce pkgs.vim pkgs.htop",
                "x.packages = lib.mkForce [ pkgs.vim pkgs.htop ];",
            ),
            (
                "x.packages = with pkgs; mkIf true vim htop",
                "x.packages = with pkgs; mkIf true [ vim htop ];",
            ),
            (
                "x.packages = lib.optionals true pkgs.vim pkgs.htop",
                "x.packages = lib.optionals true [ pkgs.vim pkgs.htop ];",
            ),
        ] {
            let told = hint_for(definition).unwrap();
            let line = format!("put several values into a list, in brackets: {expected}");
            assert_eq!(told, line, "{definition}");
        }
        let address = hint_for("x.address = 192.168.1.1").unwrap();
        assert!(
            address.ends_with(": x.address = \"192.168.1.1\";"),
            "{address}"
        );
    }

    #[test]
    fn an_option_with_one_value_gets_no_list() {
        for definition in [
            "time.timeZone = \"Europe\" \"Berlin\"",
            "environment.etc.x.text = ''a'' ''b''",
            "a.settings.Port = 22 2222",
            "boot.kernelPackages = pkgs.linuxPackages pkgs.vim",
        ] {
            let told = hint_for(definition).unwrap();
            assert!(told.contains("has 2 values. Keep one"), "{told}");
        }
        for definition in [
            "x.packages = builtins.attrValues pkgs.vim pkgs.htop",
            "x.packages = lib.attrValues pkgs.vim pkgs.htop",
            "x.packages = lib.mkForce lib.mkDefault pkgs.htop",
            "x.packages = pkgs.vim { }",
            "x.packages = 1.5 2.5",
            "x.packages = pkgs.vim",
            "x.packages = f (a b)",
            "a = b c",
        ] {
            assert_eq!(hint_for(definition), None, "{definition}");
        }
    }
}
