//! Calls in a list that lack parentheses or an argument, or that give a list as one element. Pure.

use rnix::SyntaxKind::{NODE_APPLY, NODE_LIST};

use super::evidence::ExitContext;
use super::listed_definitions::{list_element, listed};
use super::written_values::list_elements;
use crate::nixos::nix_definitions::defines;
use crate::nixos::nix_syntax::parse;

/// Functions that configurations call in lists, with the number of their arguments.
const FUNCTIONS: [(&str, usize); 22] = [
    ("callPackage", 2),
    ("concatStringsSep", 2),
    ("fetchurl", 1),
    ("getExe", 1),
    ("import", 1),
    ("mkAfter", 1),
    ("mkBefore", 1),
    ("mkForce", 1),
    ("mkIf", 2),
    ("optional", 2),
    ("optionalString", 2),
    ("override", 1),
    ("overrideAttrs", 1),
    ("readFile", 1),
    ("removeSuffix", 2),
    ("toString", 1),
    ("withPackages", 1),
    ("writeScriptBin", 2),
    ("writeShellApplication", 1),
    ("writeShellScript", 2),
    ("writeShellScriptBin", 2),
    ("writeText", 2),
];
/// Longest call that a hint repeats, in characters.
const MAX_CHARS: usize = 70;

/// What a call lacks that is not whole.
const MISSING: &str = "needs parentheses, and this one another argument";

/// How to write the call that the element of a list is part of, whose type the message `summary` of Nix calls wrong; `None` if the
/// list does not show that a call is meant.
pub(super) fn hint(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let path = summary.strip_prefix("A definition for option `")?;
    let (option, number) = list_element(path.split_once('\'')?.0)?;
    let last = number.checked_sub(1)?;
    let (file, value) = listed(summary).next()?;
    let is_function = value.starts_with("<function") || value.contains("__functor");
    let text = context.files?.text(file)?;
    if value.starts_with('[') && adds_a_list_as_one_element(&text, option) {
        let hint = "lib.optional adds one element. For the elements of a list, write lib.optionals";
        return Some(hint.to_owned());
    }
    let elements = list_elements(&text, option)?;
    if let Some(call) = elements.get(last).filter(|_| is_function)
        && call.starts_with('(')
        && call.chars().count() <= MAX_CHARS
    {
        return Some(format!(
            "{call} is still a function, because an argument is missing"
        ));
    }
    let (function, arguments) = (0..=last).rev().find_map(|first| {
        let (function, arguments) = elements.get(first..)?.split_first()?;
        let count = arity(function);
        // A function that the module system has found is part of a call, and of others only what they take.
        let is_called = match count {
            Some(count) => first + count >= last,
            None => is_function && first == last && is_name(function),
        };
        let taken = count
            .and_then(|count| arguments.get(..count))
            .unwrap_or(arguments);
        is_called.then_some((function, taken))
    })?;
    if arguments.is_empty() {
        return None;
    }
    let is_whole = arity(function).is_none_or(|count| count == arguments.len());
    let is_script = function.contains("write");
    let (others, told) = match is_whole {
        true => ("", "needs parentheses"),
        false if is_script => (" ''COMMANDS''", MISSING),
        false => (" …", MISSING),
    };
    let call = format!("{function} {}{others}", arguments.join(" "));
    let is_known = arity(function).is_some();
    let is_short = call.chars().count() <= MAX_CHARS && !call.contains('\n');
    let call = if is_known && is_short {
        call
    } else {
        format!("{function} …")
    };
    Some(format!("a call inside a list {told}: ({call})"))
}

/// Whether the value of `option` in `text` calls `optional` on a list.
fn adds_a_list_as_one_element(text: &str, option: &str) -> bool {
    let root = parse(text).syntax();
    let calls = root.descendants().filter(|node| node.kind() == NODE_APPLY);
    calls.filter(|call| defines(call) == option).any(|call| {
        let is_of_list = call
            .last_child()
            .is_some_and(|last| last.kind() == NODE_LIST);
        let function = call.text().to_string();
        let function = function.split_whitespace().next().unwrap_or_default();
        is_of_list && function.rsplit('.').next() == Some("optional")
    })
}

/// The number of arguments of `function`, which is selected from whatever set.
fn arity(function: &str) -> Option<usize> {
    let name = function.rsplit('.').next()?;
    let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
    known.map(|(_, count)| *count).filter(|_| is_name(function))
}

/// Whether the text `element` is a name, or selects one from a set.
fn is_name(element: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-'".contains(c);
    element.starts_with(|c: char| c.is_ascii_alphabetic()) && element.chars().all(allowed)
}
