//! Calls in a list that lack parentheses or an argument, or that give a list as one element. Pure.

use rnix::SyntaxKind::{NODE_APPLY, NODE_LIST};

use super::evidence::ExitContext;
use super::listed_definitions::{list_element, listed};
use super::written_values::list_elements;
use crate::nixos::nix_definitions::defines;
use crate::nixos::nix_syntax::parse;

/// Functions that configurations call in lists, with what stands for each of their arguments where one is missing.
const FUNCTIONS: [(&str, &[&str]); 22] = [
    ("callPackage", &["./FILE.nix", "{ }"]),
    ("concatStringsSep", &["\" \"", "[ … ]"]),
    ("fetchurl", &["{ … }"]),
    ("getExe", &["PACKAGE"]),
    ("import", &["./FILE.nix"]),
    ("mkAfter", &["VALUE"]),
    ("mkBefore", &["VALUE"]),
    ("mkForce", &["VALUE"]),
    ("mkIf", &["CONDITION", "VALUE"]),
    ("optional", &["CONDITION", "ELEMENT"]),
    ("optionalString", &["CONDITION", "\"…\""]),
    ("override", &["{ … }"]),
    ("overrideAttrs", &["{ … }"]),
    ("readFile", &["./FILE"]),
    ("removeSuffix", &["\"SUFFIX\"", "\"…\""]),
    ("toString", &["VALUE"]),
    ("withPackages", &["(ps: [ … ])"]),
    ("writeScriptBin", &["\"NAME\"", "''COMMANDS''"]),
    ("writeShellApplication", &["{ … }"]),
    ("writeShellScript", &["\"NAME\"", "''COMMANDS''"]),
    ("writeShellScriptBin", &["\"NAME\"", "''COMMANDS''"]),
    ("writeText", &["\"NAME\"", "''TEXT''"]),
];
/// Longest call that a hint repeats, in characters.
const MAX_CHARS: usize = 70;

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
        let count = parameters(function).map(<[&str]>::len);
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
    let known = parameters(function);
    let missing = known.and_then(|known| known.get(arguments.len()..));
    let missing = missing.unwrap_or_default();
    let told = if missing.is_empty() {
        "needs parentheses"
    } else {
        "needs parentheses, and this one another argument"
    };
    let is_known = known.is_some();
    let given = arguments.iter().map(String::as_str);
    let written: Vec<&str> = given.chain(missing.iter().copied()).collect();
    let call = format!("{function} {}", written.join(" "));
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

/// What stands for each argument of `function`, which is selected from whatever set.
fn parameters(function: &str) -> Option<&'static [&'static str]> {
    let name = function.rsplit('.').next()?;
    let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
    known
        .map(|(_, parameters)| *parameters)
        .filter(|_| is_name(function))
}

/// Whether the text `element` is a name, or selects one from a set.
fn is_name(element: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-'".contains(c);
    element.starts_with(|c: char| c.is_ascii_alphabetic()) && element.chars().all(allowed)
}
