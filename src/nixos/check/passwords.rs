//! Passwords of users: in plain text, and hashes that are none. Pure.

use super::facts::{ConfigFacts, PasswordState, UserFacts};
use super::named_options::user_option;
use super::ways_in::way_in;

/// The names of the users with a password in plain text that `is_meant` is true of.
pub(super) fn plain_passwords(
    facts: &ConfigFacts,
    is_meant: impl Fn(&UserFacts) -> bool,
) -> Vec<&str> {
    let users = facts.users.iter();
    let users = users
        .filter(|user| user.open_password && user.password == PasswordState::Set && is_meant(user));
    users.map(|user| user.name.as_str()).collect()
}

/// The names of the users with a password in plain text that the SSH server does not accept.
pub(super) fn stored_passwords(facts: &ConfigFacts) -> Vec<&str> {
    plain_passwords(facts, |user| !password_is_accepted(facts, user))
}

/// The users whose password's hash is none, and the option that has it.
pub(super) fn with_invalid_hash(facts: &ConfigFacts) -> impl Iterator<Item = (&str, &str)> {
    facts
        .users
        .iter()
        .filter_map(|user| Some((user.name.as_str(), user.invalid_hash.as_deref()?)))
}

/// The options with the files of passwords of the users that `are_meant`.
pub(super) fn files_of(facts: &ConfigFacts, are_meant: fn(&UserFacts) -> bool) -> Option<String> {
    let users = facts.users.iter().filter(|user| are_meant(user));
    let options = users.map(|user| format!("{}.hashedPasswordFile", user_option(&user.name)));
    let options: Vec<String> = options.collect();
    (!options.is_empty()).then(|| options.join(", "))
}

pub(super) fn invalid_hashes(facts: &ConfigFacts) -> Option<String> {
    let options = with_invalid_hash(facts);
    let options = options.map(|(name, option)| format!("{}.{option}", user_option(name)));
    let options: Vec<String> = options.collect();
    (!options.is_empty()).then(|| options.join(", "))
}

/// What is said of users with a password in plain text, if there are any.
pub(super) fn said_of(facts: &ConfigFacts, names: &[&str]) -> Option<String> {
    let users = facts.users.iter();
    let users = users.filter(|user| names.contains(&user.name.as_str()));
    let options = users.map(|user| format!("{}.{}", user_option(&user.name), user.password_option));
    let options: Vec<String> = options.collect();
    let are = if options.len() > 1 {
        "are passwords"
    } else {
        "is a password"
    };
    (!options.is_empty()).then(|| format!("{} {are} in plain text", options.join(", ")))
}

/// Whether the SSH server lets `user` in with a password, whatever keys there are.
pub(super) fn password_is_accepted(facts: &ConfigFacts, user: &UserFacts) -> bool {
    let without_keys = UserFacts {
        keys: Vec::new(),
        key_files: Vec::new(),
        ..user.clone()
    };
    facts.ssh.runs() && way_in(facts, &without_keys).is_ok()
}
