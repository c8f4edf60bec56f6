//! What is wrong with the SSH keys of the users. Pure.

use super::broken_key;
use super::facts::{ConfigFacts, UserFacts};
use crate::common::ssh_key::is_private;
use crate::common::text::truncate;

pub(super) fn broken_keys(facts: &ConfigFacts) -> Option<String> {
    let broken = facts.users.iter().filter_map(|user| {
        let name = &user.name;
        let mut broken = user.broken_keys().filter(|key| !is_private(key));
        let key = broken.next()?;
        let shown = truncate(key, 40);
        let kind = broken_key::kind(key).map(|kind| format!(" ({kind})"));
        let kind = kind.unwrap_or_default();
        let others = match broken.count() {
            0 => String::new(),
            others => format!(" and {others} more that are no keys"),
        };
        Some(format!(
            "users.users.{name}.openssh.authorizedKeys.keys has \"{shown}\"{kind}{others}"
        ))
    });
    let broken: Vec<String> = broken.collect();
    (!broken.is_empty()).then(|| broken.join(", "))
}

/// Whether a private key is among the user's authorized ones.
pub(super) fn has_private_key(user: &UserFacts) -> bool {
    !user.private_key_files.is_empty() || user.keys.iter().any(|key| is_private(key))
}

pub(super) fn private_key_files(facts: &ConfigFacts) -> Option<String> {
    let files = facts.users.iter().flat_map(|user| {
        let option = format!("users.users.{}.openssh.authorizedKeys.keyFiles", user.name);
        let files = user.private_key_files.iter();
        files.map(move |file| format!("{option} has the private key \"{file}\""))
    });
    let files: Vec<String> = files.collect();
    (!files.is_empty()).then(|| files.join(", "))
}

pub(super) fn private_keys(facts: &ConfigFacts) -> Option<String> {
    let has_one = |user: &&UserFacts| user.keys.iter().any(|key| is_private(key));
    let users = facts.users.iter().filter(has_one);
    // Not the key itself.
    let named = users.map(|user| {
        let name = &user.name;
        format!("users.users.{name}.openssh.authorizedKeys.keys")
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| named.join(", "))
}
