//! NixOS's assertions about a user who is declared neither as a person nor as a system user. Pure.

use super::facts::ConfigFacts;
use crate::common::attribute_path;

/// The line that corrects what the assertion `text` says, if that is known.
pub(super) fn correction(facts: &ConfigFacts, text: &str) -> Option<String> {
    let name = user_without_kind(facts, text)?;
    let name = attribute_path::text(&[name.to_owned()]);
    Some(format!("users.users.{name}.isNormalUser = true;"))
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
    let start = "Exactly one of users.users.";
    let (name, _) = text
        .trim()
        .strip_prefix(start)?
        .split_once(".isSystemUser ")?;
    let mut others = facts.assertions.iter();
    others
        .any(|other| user_without_group(other) == Some(name))
        .then_some(name)
}

fn user_without_group(text: &str) -> Option<&str> {
    let (name, _) = text
        .trim()
        .strip_prefix("users.users.")?
        .split_once(".group is unset")?;
    Some(name)
}
