//! `let`, `with` and variables where a definition begins: they belong before the definitions, or before a value.

use super::place::{Place, as_definitions};
use crate::common::nix_name::is_of_path;
use crate::nixos::diagnosis::misread::end_of_definition;

/// The hint for a variable after the keyword of another language: `var user = "ann";`.
pub(super) fn keyword(place: &Place<'_>) -> String {
    let variable = whole(place.here).unwrap_or_else(|| "NAME = VALUE;".to_owned());
    format!(
        "define variables between `let` and `in`, before the `{{` of the definitions: let {variable} in"
    )
}

/// The hint for `let` among definitions.
pub(super) fn among_definitions(place: &Place<'_>) -> String {
    let variable = place.here.strip_prefix("let ").and_then(whole);
    let variable = variable.map_or_else(String::new, |variable| format!(": let {variable} in"));
    format!("write `let … in` before the `{{` of the definitions{variable}")
}

/// The hint for the `{` of the definitions right after variables, without the `in` before it.
pub(super) fn without_in(place: &Place<'_>, summary: &str) -> Option<String> {
    let is_wrong = summary.contains("unexpected '{', expecting IN_KW");
    let (_, variables) = place.before.rsplit_once("let").filter(|_| is_wrong)?;
    let variables: Vec<&str> = variables.split_whitespace().collect();
    let variables = as_definitions(variables.join(" "))?;
    (!variables.is_empty())
        .then(|| format!("the definitions of a `let` end with `in`: let {variables} in {{ … }}"))
}

/// The definition that `line` begins with.
fn whole(line: &str) -> Option<String> {
    as_definitions(format!("{};", end_of_definition(line)?.trim()))
}

/// Where `with` belongs that is written as a definition.
pub(super) fn with_among_definitions(place: &Place<'_>) -> String {
    let Some((with, rest)) = place
        .here
        .split_once(';')
        .filter(|(with, _)| is_plain(with))
    else {
        return "write `with …;` before a value: NAME = with pkgs; [ … ];".to_owned();
    };
    match rest.trim().split_once(" = ") {
        Some((name, value)) if is_plain(name) && value.ends_with(';') => {
            format!("write `{with};` before the value: {name} = {with}; {value}")
        }
        _ => format!(
            "write `{with};` before the `{{` of the definitions, or before a value: NAME = {with}; [ … ];"
        ),
    }
}

/// Whether `text` has only names and spaces.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| is_of_path(c) || c == ' ')
}
