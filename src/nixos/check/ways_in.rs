//! Who gets in, and how. Pure.

use super::facts::{ConfigFacts, Password, User};
use crate::common::ssh_key;

impl User {
    /// Keys that somebody can have: neither a placeholder nor half of one.
    pub(super) fn has_key(&self) -> bool {
        !self.key_files.is_empty() || self.keys.iter().any(|line| ssh_key::contains_key(line))
    }

    /// Lines that are no key.
    pub(super) fn broken_keys(&self) -> impl Iterator<Item = &String> {
        let meant = |line: &&String| !line.trim().is_empty() && !line.trim().starts_with('#');
        self.keys
            .iter()
            .filter(meant)
            .filter(|line| !ssh_key::contains_key(line))
    }

    /// Whether there is anything that would let this one in, wherever it is asked for.
    pub(super) fn has_secret(&self) -> bool {
        self.has_key() || self.password != Password::None
    }
}

/// Those that the SSH server lets in, each with the way.
pub fn who_gets_in(facts: &ConfigFacts) -> Vec<(&str, &'static str)> {
    let users = facts.users.iter().filter(|_| facts.ssh.enable);
    let way = |user| way_in(facts, user).ok().map(|way| (user_name(user), way));
    users.filter_map(way).collect()
}

fn user_name(user: &User) -> &str {
    &user.name
}

/// How `user` gets in over SSH, or the setting that keeps them out.
pub(super) fn way_in(facts: &ConfigFacts, user: &User) -> Result<&'static str, String> {
    let ssh = &facts.ssh;
    let name = &user.name;
    let named = |list: &Option<Vec<String>>| list.as_ref().map(|list| names(list, name));
    if named(&ssh.allowed) == Some(false) {
        return Err(format!("AllowUsers does not name {name}"));
    }
    if named(&ssh.denied) == Some(true) {
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
    let asked = ssh.passwords != Some(false) || ssh.keyboard != Some(false);
    match (user.password, root) {
        (Password::Set, Some(setting)) if setting != "yes" => Err(format!(
            "root has a password only, and PermitRootLogin is \"{setting}\""
        )),
        (Password::Set, _) if asked => Ok("with a password"),
        (Password::Set, _) => Err(format!(
            "{name} has a password only, and PasswordAuthentication is false"
        )),
        (Password::Empty, _) => Err(format!(
            "the password of {name} is empty, which SSH does not take"
        )),
        (Password::None, _) if user.has_key() => Err("PubkeyAuthentication is off".to_owned()),
        (Password::None, _) => Err(format!("{name} has neither key nor password")),
    }
}

/// Whether a list of `AllowUsers` names `name`; patterns may.
fn names(list: &[String], name: &str) -> bool {
    list.iter().any(|entry| {
        let user = entry.split('@').next().unwrap_or(entry);
        user == name || user.contains(['*', '?'])
    })
}

fn is_no(value: &serde_json::Value) -> bool {
    value == &serde_json::Value::Bool(false) || value.as_str() == Some("no")
}
