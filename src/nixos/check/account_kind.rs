//! NixOS's assertions about a user who is declared neither as a person nor as a system user. Pure.

use super::facts::ConfigFacts;
use super::meant_root::{line_with_root, question};
use crate::common::attribute_path;
use crate::common::nix_string::nix_string;

/// What the assertion `text` says, and the lines that correct it, if those are known.
pub(super) fn refused(facts: &ConfigFacts, text: &str) -> Option<(String, Vec<String>)> {
    if let Some(name) = user_without_group(text) {
        let user = attribute_path::text(&[name.to_owned()]);
        let lines = vec![
            format!("users.users.{user}.group = {};", nix_string(name)),
            format!("users.groups.{user} = {{ }};"),
        ];
        return Some((format!("users.users.{user}.group is unset"), lines));
    }
    let name = user_of_one_kind(text)?;
    let user = attribute_path::text(&[name.to_owned()]);
    let comment = match user_without_kind(facts, text) {
        Some(_) => "",
        None => " # and no isSystemUser, which is for services",
    };
    let root = line_with_root(facts, name);
    let line = root.unwrap_or_else(|| format!("users.users.{user}.isNormalUser = true;{comment}"));
    let question = question(name).unwrap_or_default();
    // Named as the object, whose definition has the place: often neither of the options has one.
    let is = format!(
        "{question}users.users.{user} must have exactly one of isNormalUser and isSystemUser"
    );
    Some((is, vec![line]))
}

/// Whether what the assertion `text` says is corrected by the line for another one: `isNormalUser` sets a group too.
pub(super) fn is_consequence(facts: &ConfigFacts, text: &str) -> bool {
    let name = user_without_group(text);
    let mut others = facts.assertions.iter();
    name.is_some_and(|name| others.any(|other| user_without_kind(facts, other) == Some(name)))
}

/// The user of whom `text` says that neither `isNormalUser` nor `isSystemUser` is set. It says the same of one with both, who has a
/// group.
fn user_without_kind<'a>(facts: &ConfigFacts, text: &'a str) -> Option<&'a str> {
    let name = user_of_one_kind(text)?;
    let mut others = facts.assertions.iter();
    others
        .any(|other| user_without_group(other) == Some(name))
        .then_some(name)
}

/// The user of whom `text` says that one of `isNormalUser` and `isSystemUser` must be set.
fn user_of_one_kind(text: &str) -> Option<&str> {
    let start = "Exactly one of users.users.";
    let rest = text.trim().strip_prefix(start)?;
    let (name, _) = rest.split_once(".isSystemUser ")?;
    Some(name)
}

fn user_without_group(text: &str) -> Option<&str> {
    let (name, _) = text
        .trim()
        .strip_prefix("users.users.")?
        .split_once(".group is unset")?;
    Some(name)
}
