//! Who can log in over SSH, and how. Pure.

use super::facts::{ConfigFacts, PasswordState, UserFacts};
use crate::common::ssh_key;

impl UserFacts {
    /// Whether there is a complete key, or a file with keys.
    pub(super) fn has_key(&self) -> bool {
        !self.key_files.is_empty() || self.keys.iter().any(|line| ssh_key::contains_key(line))
    }

    /// Lines that contain no complete key, except comments.
    pub(super) fn broken_keys(&self) -> impl Iterator<Item = &String> {
        let is_entry = |line: &&String| !line.trim().is_empty() && !line.trim().starts_with('#');
        self.keys
            .iter()
            .filter(is_entry)
            .filter(|line| !ssh_key::contains_key(line))
    }

    /// Whether the user has a key or a password.
    pub(super) fn has_secret(&self) -> bool {
        self.has_key() || self.password != PasswordState::None
    }
}

/// The users that the SSH server lets in: name and method.
pub fn who_gets_in(facts: &ConfigFacts) -> Vec<(&str, &'static str)> {
    let users = facts.users.iter().filter(|_| facts.ssh.enable);
    let way = |user| way_in(facts, user).ok().map(|way| (user_name(user), way));
    users.filter_map(way).collect()
}

fn user_name(user: &UserFacts) -> &str {
    &user.name
}

/// How `user` can log in over SSH, or the setting that prevents it.
pub(super) fn way_in(facts: &ConfigFacts, user: &UserFacts) -> Result<&'static str, String> {
    let ssh = &facts.ssh;
    let name = &user.name;
    let is_listed = |list: &Option<Vec<String>>| list.as_ref().map(|list| names(list, name));
    if is_listed(&ssh.allowed) == Some(false) {
        return Err(format!("AllowUsers does not name {name}"));
    }
    if is_listed(&ssh.denied) == Some(true) {
        return Err(format!("DenyUsers names {name}"));
    }
    let root = (name == "root").then(|| ssh.root.as_deref().unwrap_or("prohibit-password"));
    if let Some(setting @ ("no" | "forced-commands-only")) = root {
        return Err(format!("PermitRootLogin is \"{setting}\""));
    }
    let keys_are_off = ssh.keys.as_ref().is_some_and(is_no);
    if user.has_key() && !keys_are_off {
        return Ok("with a key");
    }
    let passwords_allowed = ssh.passwords != Some(false) || ssh.keyboard != Some(false);
    match (user.password, root) {
        (PasswordState::Set, Some(setting)) if setting != "yes" => Err(format!(
            "root has a password only, and PermitRootLogin is \"{setting}\""
        )),
        (PasswordState::Set, _) if passwords_allowed => Ok("with a password"),
        (PasswordState::Set, _) => Err(format!(
            "{name} has a password only, and PasswordAuthentication is false"
        )),
        (PasswordState::Empty, _) => Err(format!(
            "the password of {name} is empty, which SSH does not accept"
        )),
        (PasswordState::None, _) if user.has_key() => Err("PubkeyAuthentication is off".to_owned()),
        (PasswordState::None, _) => Err(format!("{name} has neither key nor password")),
    }
}

/// Whether a list of `AllowUsers` or `DenyUsers` matches `name`. Patterns count as a match.
fn names(list: &[String], name: &str) -> bool {
    list.iter().any(|entry| {
        let user = entry.split('@').next().unwrap_or(entry);
        user == name || user.contains(['*', '?'])
    })
}

fn is_no(value: &serde_json::Value) -> bool {
    value == &serde_json::Value::Bool(false) || value.as_str() == Some("no")
}
