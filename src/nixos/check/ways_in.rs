//! Who can log in over SSH, and how. Pure.

use jiff::Timestamp;

use super::facts::{ConfigFacts, PasswordState, SshFacts, UserFacts};
use super::obstacle::Obstacle;
use sdbuild_core::ssh_key;

impl UserFacts {
    /// Whether there is a complete key, or a file with keys.
    pub(super) fn has_key(&self) -> bool {
        !self.key_files.is_empty() || self.keys.iter().any(|line| ssh_key::contains_key(line))
    }

    /// Whether there is a key that lets its owner in, and not only whom its owner has given a certificate.
    pub(super) fn has_own_key(&self) -> bool {
        !self.key_files.is_empty() || self.keys.iter().any(|line| ssh_key::lets_owner_in(line))
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
        self.has_key() || self.has_password()
    }

    /// The shell, if it ends every login.
    pub(super) fn refusing_shell(&self) -> Option<&str> {
        let shell = self.shell.as_deref()?;
        ["nologin", "false"].contains(&shell).then_some(shell)
    }

    /// Whether the shell is a program that NixOS has, and that runs commands.
    pub(super) fn has_working_shell(&self) -> bool {
        self.missing_shell().is_none() && self.refusing_shell().is_none()
    }

    /// The shell, if NixOS has no such program.
    pub(super) fn missing_shell(&self) -> Option<&str> {
        // All that NixOS has in these directories.
        let exists = |path: &str| ["/bin/sh", "/usr/bin/env"].contains(&path);
        let mut usual = ["/bin/", "/sbin/", "/usr/"].iter();
        let shell = self.shell.as_deref()?;
        let is_elsewhere = usual.any(|dir| shell.starts_with(dir)) && !exists(shell);
        is_elsewhere.then_some(shell)
    }

    /// Whether the user has a password, even an empty one.
    pub(super) fn has_password(&self) -> bool {
        self.password != PasswordState::None
    }
}

impl SshFacts {
    /// Whether the server runs on the machine.
    pub(super) fn runs(&self) -> bool {
        self.enable && self.unit_off.is_none()
    }
}

impl ConfigFacts {
    /// The facts at the time `now`, at which some keys are not accepted any more.
    pub(super) fn at(mut self, now: Timestamp) -> Self {
        for user in &mut self.users {
            let is_over = |line: &mut String| ssh_key::is_expired(line, now);
            user.expired_keys.extend(user.keys.extract_if(.., is_over));
        }
        self
    }

    /// The public keys with which users can log in, a line each; `None` if some are in files, or have certificates.
    pub(in crate::nixos) fn authorized_keys(&self) -> Option<Vec<String>> {
        let is_known = |user: &UserFacts| user.key_files.is_empty() && !has_authority(user);
        let are_known = self.users.iter().all(is_known);
        let keys = self.users.iter().flat_map(|user| &user.keys);
        are_known.then(|| keys.cloned().collect())
    }
}

/// Whether a key of a certification authority is among those of `user`.
pub(super) fn has_authority(user: &UserFacts) -> bool {
    let mut keys = user.keys.iter();
    keys.any(|line| ssh_key::contains_key(line) && !ssh_key::lets_owner_in(line))
}

/// Whether no user has a key or a password, and none is logged in at the console.
pub(super) fn is_locked_out(facts: &ConfigFacts) -> bool {
    nobody_has_a_secret(facts) && facts.autologin.is_none()
}

/// Whether no user has a key or a password, as far as the configuration says it.
pub(super) fn nobody_has_a_secret(facts: &ConfigFacts) -> bool {
    !facts.users.iter().any(UserFacts::has_secret) && !facts.ssh.other_keys
}

/// The users that can log in over SSH from elsewhere: name and method.
pub fn who_logs_in(facts: &ConfigFacts) -> Vec<(&str, &'static str)> {
    if firewall_is_shut(facts) || serves_itself_only(&facts.ssh) {
        return Vec::new();
    }
    who_gets_in(facts)
}

/// Whether the firewall blocks every connection to the SSH server.
pub(super) fn firewall_is_shut(facts: &ConfigFacts) -> bool {
    let wall = &facts.firewall;
    wall.enable && !wall.trusts && wall.admitted.is_empty()
}

/// Whether the server listens at addresses only that no other machine reaches.
pub(super) fn serves_itself_only(ssh: &SshFacts) -> bool {
    let is_own = |address: &String| {
        let address = address.trim_start_matches('[');
        address.starts_with("127.") || address.starts_with("::1") || address == "localhost"
    };
    !ssh.addresses.is_empty() && ssh.addresses.iter().all(is_own)
}

/// The users that the SSH server lets in, and who have a shell: name and method.
pub(super) fn who_gets_in(facts: &ConfigFacts) -> Vec<(&str, &'static str)> {
    let users = facts.users.iter().filter(|_| facts.ssh.runs());
    let users = users.filter(|user| user.has_working_shell());
    let way = |user| way_in(facts, user).ok().map(|way| (user_name(user), way));
    users.filter_map(way).collect()
}

fn user_name(user: &UserFacts) -> &str {
    &user.name
}

/// Whether the server accepts no key at all.
pub(super) fn refuses_keys(ssh: &SshFacts) -> bool {
    ssh.keys.as_ref().is_some_and(is_no)
}

/// How `user` can log in over SSH, or what prevents it.
pub(super) fn way_in(facts: &ConfigFacts, user: &UserFacts) -> Result<&'static str, Obstacle> {
    let ssh = &facts.ssh;
    let name = &user.name;
    refused_name(ssh, user)?;
    let root = (name == "root").then(|| ssh.root.as_deref().unwrap_or("prohibit-password"));
    if let Some(setting @ ("no" | "forced-commands-only")) = root {
        return Err(Obstacle::RootLogin(setting.to_owned()));
    }
    let keys_are_off = refuses_keys(ssh);
    if user.has_own_key() && !keys_are_off {
        return Ok("with a key");
    }
    let passwords_allowed = ssh.passwords != Some(false) || ssh.keyboard != Some(false);
    let by_password = match (user.password, root) {
        (PasswordState::Set, Some(setting)) if setting != "yes" => {
            Err(Obstacle::RootPassword(setting.to_owned()))
        }
        (PasswordState::Set, _) if passwords_allowed => Ok("with a password"),
        (PasswordState::Set, _) => Err(Obstacle::PasswordsOff),
        (PasswordState::Empty, _) => Err(Obstacle::EmptyPassword),
        (PasswordState::None, _) => Err(Obstacle::NoSecret),
    };
    by_password.or_else(|obstacle| match (user.has_key(), keys_are_off) {
        // Nobody but the authority knows whether there is a certificate.
        (true, false) => Ok("with a certificate"),
        (true, true) => Err(Obstacle::KeysOff),
        (false, _) => Err(obstacle),
    })
}

/// The list of users or groups that keeps `user` out, in the order in which sshd reads them (`sshd_config(5)`).
fn refused_name(ssh: &SshFacts, user: &UserFacts) -> Result<(), Obstacle> {
    let name = &user.name;
    let in_groups = |patterns: &Vec<String>| {
        let mut groups = user.groups.iter();
        groups.any(|group| {
            patterns
                .iter()
                .any(|pattern| pattern_matches(pattern, group))
        })
    };
    if ssh.denied.as_ref().is_some_and(|list| refuses(list, name)) {
        return Err(Obstacle::Denied);
    }
    if ssh.allowed.as_ref().is_some_and(|list| !admits(list, name)) {
        return Err(Obstacle::NotAllowed);
    }
    if ssh.denied_groups.as_ref().is_some_and(in_groups) {
        return Err(Obstacle::DeniedGroup);
    }
    if ssh
        .allowed_groups
        .as_ref()
        .is_some_and(|list| !in_groups(list))
    {
        return Err(Obstacle::NoAllowedGroup);
    }
    Ok(())
}

/// The users whom the SSH server lets in, and the one who is logged in at the console.
pub(super) fn inside(facts: &ConfigFacts) -> Vec<&str> {
    let users = who_gets_in(facts).into_iter().map(|(name, _)| name);
    let at_console = facts.autologin.as_deref();
    let mut users: Vec<&str> = users.collect();
    users.extend(at_console.filter(|name| !users.contains(name)));
    users
}

/// Whether the user `name` can become root.
pub(super) fn is_administrator(facts: &ConfigFacts, name: &str) -> bool {
    let sudo = &facts.sudo;
    if name == "root" || sudo.other {
        return true;
    }
    let Some(user) = facts.users.iter().find(|user| user.name == name) else {
        return true;
    };
    let in_any = |groups: &[String]| user.groups.iter().any(|group| groups.contains(group));
    let is_free = sudo.users.contains(&user.name) || in_any(&sudo.groups);
    sudo.enable && (is_free || user.has_password() && in_any(&["wheel".to_owned()]))
}

/// Whether `AllowUsers` admits `name` from somewhere.
pub(super) fn admits(list: &[String], name: &str) -> bool {
    matches_user(list, name, |_| true)
}

/// Whether `DenyUsers` refuses `name` from everywhere.
pub(super) fn refuses(list: &[String], name: &str) -> bool {
    matches_user(list, name, |host| host == "*")
}

/// Whether an entry of `list` matches the user `name`. `host` says which patterns of hosts count.
fn matches_user(list: &[String], name: &str, host: impl Fn(&str) -> bool) -> bool {
    list.iter().any(|entry| {
        let (user, from) = entry.split_once('@').unwrap_or((entry, "*"));
        pattern_matches(user, name) && host(from)
    })
}

/// Whether a pattern of sshd matches the whole of `text`: `*` is any text, `?` one character.
pub(super) fn pattern_matches(pattern: &str, text: &str) -> bool {
    // For every prefix of `text`, from the empty one on: whether the pattern so far matches it.
    let mut matched = vec![true];
    matched.resize(text.len() + 1, false);
    for symbol in pattern.bytes() {
        matched = if symbol == b'*' {
            let any_so_far = |any: &mut bool, one: bool| {
                *any |= one;
                Some(*any)
            };
            matched.into_iter().scan(false, any_so_far).collect()
        } else {
            let longer = matched.into_iter().zip(text.bytes());
            let longer = longer.map(|(one, byte)| one && (symbol == b'?' || symbol == byte));
            std::iter::once(false).chain(longer).collect()
        };
    }
    matched.last() == Some(&true)
}

fn is_no(value: &serde_json::Value) -> bool {
    value == &serde_json::Value::Bool(false) || value.as_str() == Some("no")
}
