//! Conditions of definitions, and functions that are before a value, where a definition begins.

use rnix::SyntaxKind::{NODE_APPLY, NODE_ATTR_SET, NODE_BIN_OP};
use rnix::SyntaxNode;

use super::super::secret_values::is_name_of_secret;
use super::place::Place;
use crate::common::nix_name::path_of;
use crate::nixos::diagnosis::evidence::MAX_SHOWN;
use crate::nixos::nix_definitions::defined_path;
use crate::nixos::nix_syntax::parse;

/// Functions of `lib` that are before the value of an option.
const BEFORE_A_VALUE: [&str; 6] = [
    "mkAfter",
    "mkBefore",
    "mkDefault",
    "mkForce",
    "mkIf",
    "mkOverride",
];

/// A function of the library where a definition begins: `lib.mkIf CONDITION { … };`.
pub(super) fn function(place: &Place<'_>, begun: &str) -> Option<String> {
    let name = begun.strip_prefix("lib.").unwrap_or(begun);
    if !BEFORE_A_VALUE.contains(&name) {
        return None;
    }
    let definition = match name {
        "mkIf" => conditional(begun, place.rest),
        "mkOverride" => None,
        _ => moved(place, begun),
    };
    let definition = definition.unwrap_or_else(|| {
        let arguments = match name {
            "mkIf" => "(CONDITION) VALUE",
            "mkOverride" => "PRIORITY VALUE",
            _ => "VALUE",
        };
        format!("NAME = {begun} {arguments};")
    });
    Some(format!(
        "write `{begun}` after the `=` of a definition: {definition}"
    ))
}

/// The definition at `place` with the function `begun` before its value.
fn moved(place: &Place<'_>, begun: &str) -> Option<String> {
    let (name, _) = place.here.split_once('=')?;
    let name = path_of(name)?;
    let sign = place.here.split_inclusive('=').next()?;
    place.redefined(name, sign, &format!("{begun} "))
}

/// The hint for `if` where a definition begins: `if CONDITION then { … }`, and `if (CONDITION) { … }` as C has it.
pub(super) fn choice_of_definitions(place: &Place<'_>) -> String {
    let line = place.here.strip_prefix("if").unwrap_or_default();
    // Of what is in several lines, the end is not known.
    let whole = line.replacen(" then ", " ", 1);
    let is_whole = line.trim_end().ends_with('}') && !line.contains(" else ");
    let definitions = conditional("lib.mkIf", whole.trim()).filter(|_| is_whole);
    let definitions = definitions.unwrap_or_else(|| "NAME = lib.mkIf CONDITION VALUE;".to_owned());
    format!("`if` chooses a value. Write {definitions}")
}

/// The definitions in the set of `begun rest`, as in `lib.mkIf CONDITION { … }`, each with its condition; `None` if they are more than a line or two.
fn conditional(begun: &str, rest: &str) -> Option<String> {
    let statement = format!("{begun} {rest}");
    let whole = parse(&statement).syntax().first_child()?;
    // Of a condition without parentheses, the set is a part.
    let ends = std::iter::successors(Some(whole.clone()), SyntaxNode::last_child);
    let set = ends.take_while(|node| node.text_range().end() == whole.text_range().end());
    let set = set.filter(|node| node.kind() == NODE_ATTR_SET).last()?;
    let condition = statement.get(begun.len()..usize::from(set.text_range().start()))?;
    let condition = condition.trim();
    let is_one_value =
        whole.kind() == NODE_APPLY && whole.first_child()?.last_child()?.text() == condition;
    let condition = if is_one_value {
        condition.to_owned()
    } else {
        format!("({condition})")
    };
    let definitions = set.children().map(|definition| {
        let (path, value) = (defined_path(&definition)?, definition.last_child()?);
        let value = if is_name_of_secret(&path) {
            "…".to_owned()
        } else {
            as_argument(&value.text().to_string())
        };
        Some(format!("{path} = {begun} {condition} {value};"))
    });
    let definitions: Option<Vec<String>> = definitions.collect();
    let definitions = definitions?.join(" ");
    (!definitions.is_empty() && definitions.len() <= MAX_SHOWN && !definitions.contains('\n'))
        .then_some(definitions)
}

/// The `value` as the argument of a function.
fn as_argument(value: &str) -> String {
    let is_call = parse(value)
        .syntax()
        .first_child()
        .is_some_and(|value| [NODE_APPLY, NODE_BIN_OP].contains(&value.kind()));
    if is_call {
        format!("({value})")
    } else {
        value.to_owned()
    }
}
