//! Searches for `+` and `++` in a file of the user, and what is to be written there, for messages of Nix that do not name their place.

use rnix::SyntaxKind::{NODE_BIN_OP, NODE_IDENT, NODE_SELECT, NODE_STRING};
use rnix::SyntaxNode;

use super::evidence::MAX_SHOWN;
use super::syntax_at::is_joined;
use super::written_values::{DefinedValue, all, stands_before_no_list};
use crate::nixos::nix_definitions::is_modifier;
use crate::nixos::nix_syntax::parse;

/// Whether `summary` says that Nix found what `lib.mkDefault` and the like return, where a string or a list was expected.
pub(super) fn found_modifier_result(summary: &str) -> bool {
    let is_sum = [
        "cannot coerce a set to a string",
        "expected a list but found a set",
    ];
    let mut kinds = ["if", "order", "override"].iter();
    let value = summary.split_once(": { _type = \"");
    value.is_some_and(|(found, kind)| {
        is_sum.contains(&found) && kinds.any(|known| kind.starts_with(known))
    })
}

/// The strings with this content beside a `++`.
pub(super) fn joined_strings(text: &str, content: &str) -> Vec<DefinedValue> {
    let quoted = format!("\"{content}\"");
    all(text, |node| {
        let is_string = node.kind() == NODE_STRING && node.text() == quoted.as_str();
        is_string && node.parent().is_some_and(|sum| is_joined(&sum))
    })
}

/// Each name and string before a `++`, and not a list, where one of both sides is a string.
pub(super) fn before_joined_strings(text: &str) -> Vec<DefinedValue> {
    all(text, |node| {
        let is_value = [NODE_IDENT, NODE_SELECT, NODE_STRING].contains(&node.kind());
        let is_string = |part: SyntaxNode| part.kind() == NODE_STRING;
        is_value
            && stands_before_no_list(node)
            && node
                .parent()
                .is_some_and(|sum| sum.children().any(is_string))
    })
}

/// Each `+` and `++` after a call of a function that sets a priority or an order.
pub(super) fn sums_of_modifiers(text: &str) -> Vec<DefinedValue> {
    let is_sum = |node: &SyntaxNode| node.kind() == NODE_BIN_OP;
    all(text, |node| {
        let is_whole = is_sum(node) && !node.parent().as_ref().is_some_and(is_sum);
        is_whole && first_operand(node).is_some_and(|call| is_modifier(&call))
    })
}

/// What is before the first sign of `node`.
fn first_operand(node: &SyntaxNode) -> Option<SyntaxNode> {
    let mut operand = node.clone();
    while operand.kind() == NODE_BIN_OP {
        operand = operand.first_child()?;
    }
    Some(operand)
}

/// How the `sum` after a call of `lib.mkDefault` and the like becomes its argument.
pub(super) fn in_parentheses(sum: &str) -> Option<String> {
    let node = parse(sum).syntax().first_child()?;
    let call = first_operand(&node)?;
    let (function, argument) = (call.first_child()?, call.last_child()?);
    let rest = sum.get(usize::from(call.text_range().end())..)?;
    // Strings are joined with one sign.
    let signs = usize::from(argument.kind() == NODE_STRING);
    let rest = rest.replacen("++", "+", signs);
    let first = short(argument.to_string());
    let whole = short(format!("{argument}{rest}"));
    Some(format!(
        "{function} takes only {first} here. Put its whole argument in parentheses: {function} ({whole})"
    ))
}

/// The `text`, if a hint may repeat it.
fn short(text: String) -> String {
    let is_short = text.len() <= MAX_SHOWN && !text.contains('\n');
    if is_short { text } else { "…".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(found: Vec<DefinedValue>) -> Vec<String> {
        found.into_iter().map(|value| value.written).collect()
    }

    #[test]
    fn strings_that_are_joined_as_lists_are_found() {
        let text = "{ a = \"b\"; c = config.a ++ \"d\"; e = [ f ] ++ \"b\"; g = f x ++ \"h\"; }";
        assert_eq!(written(joined_strings(text, "b")), ["\"b\""]);
        assert_eq!(written(before_joined_strings(text)), ["config.a"]);
    }

    #[test]
    fn a_sum_after_a_modifier_is_whole() {
        let text = "{ a = lib.mkDefault \"b\" + c + \"d\"; e = lib.mkForce (f + g); h = i + j; }";
        let found = written(sums_of_modifiers(text));
        assert_eq!(found, ["lib.mkDefault \"b\" + c + \"d\""]);
    }
}
