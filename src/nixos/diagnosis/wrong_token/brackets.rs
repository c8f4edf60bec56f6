//! Sets, and lists of packages, that do not have the brackets which they need, or their `with` at another place.

use super::place::{Place, as_definitions};
use crate::common::nix_name::is_of_path;
use crate::nixos::diagnosis::brackets::ends_definition;

/// The hint for a `=` in parentheses or in a list, which were to be a set: `nginx = ( enable = true; );`.
pub(super) fn set(place: &Place<'_>, summary: &str) -> Option<String> {
    let is_in_parentheses = summary.contains("unexpected '=', expecting ')'");
    let is_in_list = summary.contains("unexpected '='") && place.is_in_list;
    if !is_in_parentheses && !is_in_list {
        return None;
    }
    // A list that begins in an earlier line may not be closed.
    let line = place.before.rsplit('\n').next().unwrap_or_default();
    if is_in_list && !line.contains('[') && !place.is_balanced || !ends_definition(place.rest) {
        return None;
    }
    let content = content(place);
    let set = content.as_deref().unwrap_or("NAME = VALUE;");
    let before = place.before.trim_end().strip_suffix(place.name_before())?;
    if !before.trim_end().ends_with('[') {
        return Some(format!("write definitions in braces: {{ {set} }}"));
    }
    let Some(option) = place.option_of_list() else {
        return Some(format!(
            "write definitions in braces: {{ {set} }} instead of [ … ], or [ {{ {set} }} ] for a list of sets"
        ));
    };
    let set = content.as_deref().unwrap_or("…");
    Some(format!(
        "write definitions in braces: {option} = {{ {set} }}; or, for a list of sets, {option} = [ {{ {set} }} ];"
    ))
}

/// The definitions in the parentheses or in the list around `place`, if they are in its line.
fn content(place: &Place<'_>) -> Option<String> {
    let (_, first) = place.before.rsplit_once(['[', '('])?;
    let (second, _) = place.here.split_once([']', ')'])?;
    as_definitions(format!("{first}{second}").trim().to_owned())
}

/// The list that is in braces around `place`, as in `with pkgs; { vim htop }`, with its right brackets.
pub(super) fn list_in_braces(place: &Place<'_>) -> Option<String> {
    let (before, first) = place.before.rsplit_once('{')?;
    let (second, _) = place.here.split_once('}')?;
    let is_part = |c: char| is_of_path(c) || c == ' ';
    if !first.chars().all(is_part) || !second.chars().all(is_part) {
        return None;
    }
    let value = before.trim_end().strip_suffix(';')?;
    let with = value.rsplit(['=', '\n']).next()?.trim();
    let set = with.strip_prefix("with ")?;
    let elements = format!("{} {}", first.trim(), second.trim());
    Some(format!("with {set}; [ {elements} ]"))
}

/// The hint for a list of packages with its `with` after it, in capitals, or with a dot in place of it.
pub(super) fn with(place: &Place<'_>, summary: &str) -> Option<String> {
    let has = |text: &str| summary.contains(text);
    let hint = |set: &str| format!("write `with {set};` before the list: with {set}; [ … ]");
    if has("unexpected WITH, expecting ';'") && place.follows("]") {
        let is_end = |c: char| c.is_whitespace() || c == ';';
        let set = place.here.strip_prefix("with")?.trim_start();
        let set = set.split(is_end).next().filter(|set| !set.is_empty())?;
        return Some(hint(set));
    }
    if has("unexpected ','") && place.begun().contains("with ") {
        let set = place.name_before();
        let is_with = place.before.trim_end().strip_suffix(set);
        let is_with = is_with.is_some_and(|before| before.ends_with("with "));
        return (is_with && place.after.starts_with('['))
            .then(|| format!("`with {set}` ends with a `;`, not a comma: with {set}; [ … ]"));
    }
    if has("unexpected '['") && place.follows(".") {
        let set = place.name_before().trim_end_matches('.');
        return (set.split('.').next() == Some("pkgs")).then(|| hint(set));
    }
    if has("unexpected '[', expecting INHERIT") {
        let mut words = place
            .before
            .trim_end()
            .strip_suffix(';')?
            .split_whitespace();
        let (set, keyword) = (words.next_back()?, words.next_back()?);
        let is_capital = keyword != "with" && keyword.eq_ignore_ascii_case("with");
        return is_capital.then(|| format!("write `with` in lower case: with {set}; [ … ]"));
    }
    None
}
