//! Who can log in over SSH and administer the machine, what keeps others out, and the changes that let them in. Pure.

use crate::attribute_path;
use jiff::Timestamp;

use super::facts::{ConfigFacts, PasswordState, SshFacts, UserFacts};
use super::finding::{Change, OptionPath, member, path, user_option};
use sdbuild_core::nix_string::nix_string;
use sdbuild_core::ssh_key;

impl UserFacts {
    /// Whether there is a complete key, or a file with keys.
    fn has_key(&self) -> bool {
        !self.key_files.is_empty() || self.keys.iter().any(|line| ssh_key::contains_key(line))
    }

    /// Whether there is a key that lets its owner in, and not only whom its owner has given a certificate.
    fn has_own_key(&self) -> bool {
        !self.key_files.is_empty() || self.keys.iter().any(|line| ssh_key::lets_owner_in(line))
    }

    /// Whether the user has a key or a password at the first start.
    pub(super) fn has_secret(&self) -> bool {
        self.has_key() || self.has_password() && self.password != PasswordState::Late
    }

    /// Whether the user has a password, even an empty one or one that is decrypted later.
    pub(super) fn has_password(&self) -> bool {
        self.password != PasswordState::None
    }

    /// Whether the user is in the group whose members may use sudo.
    pub(super) fn is_in_wheel(&self) -> bool {
        self.groups.iter().any(|group| group == "wheel")
    }

    /// The shell, if it ends every login.
    pub(super) fn refusing_shell(&self) -> Option<&str> {
        let shell = self.shell.as_deref()?;
        ["nologin", "false"].contains(&shell).then_some(shell)
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

    /// Whether the shell is a program that NixOS has, and that runs commands.
    pub(super) fn has_working_shell(&self) -> bool {
        self.missing_shell().is_none() && self.refusing_shell().is_none()
    }
}

impl SshFacts {
    /// Whether the server runs on the machine.
    pub(super) fn runs(&self) -> bool {
        self.enable && self.unit_off.is_none()
    }

    /// Whether the server listens at addresses only that no other machine reaches.
    pub(super) fn serves_itself_only(&self) -> bool {
        let is_own = |address: &String| {
            let address = address.trim_start_matches('[');
            address.starts_with("127.") || address.starts_with("::1") || address == "localhost"
        };
        !self.addresses.is_empty() && self.addresses.iter().all(is_own)
    }

    /// Whether the server accepts no key at all.
    fn refuses_keys(&self) -> bool {
        let is_no = |value: &serde_json::Value| *value == false || *value == "no";
        self.keys.as_ref().is_some_and(is_no)
    }
}

impl ConfigFacts {
    /// The facts at the time `now`, at which some keys are not accepted any more.
    pub(super) fn at(mut self, now: Timestamp) -> Self {
        for user in &mut self.users {
            let before = user.keys.len();
            user.keys.retain(|line| !ssh_key::is_expired(line, now));
            user.has_expired_key = user.keys.len() < before;
        }
        self
    }

    /// Whether no text in the place of a key can be a private one, or a line of one: those have 64 or 70 characters (`ssh-keygen`).
    pub fn has_no_private_key(&self) -> bool {
        let mut keys = self.users.iter().flat_map(|user| &user.keys);
        keys.all(|key| !ssh_key::is_private(key) && (key.contains(' ') || key.len() < 64))
    }

    pub(super) fn user(&self, name: &str) -> Option<&UserFacts> {
        self.users.iter().find(|user| user.name == name)
    }

    /// Whether no user has a key or a password, as far as the configuration says it.
    pub(super) fn has_no_secret(&self) -> bool {
        !self.users.iter().any(UserFacts::has_secret) && !self.ssh.other_keys
    }

    /// Whether no user has a key or a password, and none is logged in at the console.
    pub(super) fn is_locked_out(&self) -> bool {
        self.has_no_secret() && self.autologin.is_none()
    }

    /// Whether the firewall blocks every connection to the SSH server.
    pub(super) fn firewall_is_shut(&self) -> bool {
        let wall = &self.firewall;
        wall.enable && !wall.trusts && wall.admitted.is_empty()
    }

    /// The users whom the SSH server lets in, and the one who is logged in at the console.
    pub(super) fn inside(&self) -> Vec<&str> {
        let users = who_gets_in(self).into_iter().map(|(name, _)| name);
        let mut users: Vec<&str> = users.collect();
        let at_console = self.autologin.as_deref();
        users.extend(at_console.filter(|name| !users.contains(name)));
        users
    }

    /// Whether the user `name` can become root.
    pub(super) fn is_administrator(&self, name: &str) -> bool {
        let sudo = &self.sudo;
        if name == "root" || sudo.other {
            return true;
        }
        let Some(user) = self.user(name) else {
            return true;
        };
        let mut groups = user.groups.iter();
        let is_free = sudo.users.contains(&user.name) || groups.any(|g| sudo.groups.contains(g));
        sudo.enable && (is_free || user.has_password() && user.is_in_wheel())
    }
}

/// The users that can log in over SSH from elsewhere: name and method.
pub fn who_logs_in(facts: &ConfigFacts) -> Vec<(&str, &'static str)> {
    if facts.firewall_is_shut() || facts.ssh.serves_itself_only() {
        return Vec::new();
    }
    who_gets_in(facts)
}

/// The users that the SSH server lets in, and who have a shell: name and method.
pub(super) fn who_gets_in(facts: &ConfigFacts) -> Vec<(&str, &'static str)> {
    let users = facts.users.iter().filter(|_| facts.ssh.runs());
    let users = users.filter(|user| user.has_working_shell());
    let way = |user| Some((name_of(user), way_in(&facts.ssh, user).ok()?));
    users.filter_map(way).collect()
}

fn name_of(user: &UserFacts) -> &str {
    &user.name
}

/// Whether the SSH server lets `user` in with a password, whatever keys there are.
pub(super) fn password_is_accepted(facts: &ConfigFacts, user: &UserFacts) -> bool {
    let without_keys = UserFacts {
        keys: Vec::new(),
        key_files: Vec::new(),
        ..user.clone()
    };
    facts.ssh.runs() && way_in(&facts.ssh, &without_keys).is_ok()
}

/// What keeps a user from logging in over SSH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// `AllowUsers` does not admit the user.
    NotAllowed,
    /// `DenyUsers` refuses the user.
    Denied,
    /// `AllowGroups` admits no group of the user.
    NoAllowedGroup,
    /// `DenyGroups` refuses a group of the user.
    DeniedGroup,
    /// `PermitRootLogin` refuses root.
    RootLogin,
    /// Root has a password only, and `PermitRootLogin` does not accept it.
    RootPassword,
    /// The user has a password only, and the server takes none.
    PasswordsOff,
    /// The user has an empty password only.
    EmptyPassword,
    /// The user has a key only, and the server takes none.
    KeysOff,
    /// The user has neither a key nor a password.
    NoSecret,
}

impl Obstacle {
    /// The option that is the obstacle for `user`, and what follows its name in a sentence.
    pub(super) fn option_and_text(self, user: &UserFacts) -> (OptionPath, String) {
        let name = &user.name;
        let (option, text) = match self {
            Self::NotAllowed => ("AllowUsers", format!(" does not name {name}")),
            Self::Denied => ("DenyUsers", format!(" names {name}")),
            Self::NoAllowedGroup => ("AllowGroups", format!(" has no group of {name}")),
            Self::DeniedGroup => ("DenyGroups", format!(" names a group of {name}")),
            Self::RootLogin => ("PermitRootLogin", " does not let root in".to_owned()),
            Self::RootPassword => {
                let text = " accepts only a key, and root has only a password";
                ("PermitRootLogin", text.to_owned())
            }
            Self::PasswordsOff => {
                let text = format!(" is false, and {name} has only a password");
                ("PasswordAuthentication", text)
            }
            Self::KeysOff => (
                "PubkeyAuthentication",
                format!(" is off, and {name} has a key"),
            ),
            Self::EmptyPassword => {
                let text = " has an empty password, which SSH does not accept".to_owned();
                return (member("users.users", name, ""), text);
            }
            Self::NoSecret => {
                let text = " has neither a key nor a password".to_owned();
                return (member("users.users", name, ""), text);
            }
        };
        (setting(option), text)
    }
}

/// How `user` can log in over SSH, or what prevents it.
pub(super) fn way_in(ssh: &SshFacts, user: &UserFacts) -> Result<&'static str, Obstacle> {
    refused_name(ssh, user)?;
    let root = (user.name == "root").then(|| ssh.root.as_deref().unwrap_or("prohibit-password"));
    if let Some("no" | "forced-commands-only") = root {
        return Err(Obstacle::RootLogin);
    }
    let keys_are_off = ssh.refuses_keys();
    if user.has_own_key() && !keys_are_off {
        return Ok("with a key");
    }
    let passwords_allowed = ssh.passwords != Some(false) || ssh.keyboard != Some(false);
    let by_password = match (user.password, root) {
        (PasswordState::Set, Some(setting)) if setting != "yes" => Err(Obstacle::RootPassword),
        (PasswordState::Set, _) if passwords_allowed => Ok("with a password"),
        (PasswordState::Set, _) => Err(Obstacle::PasswordsOff),
        (PasswordState::Empty, _) => Err(Obstacle::EmptyPassword),
        (PasswordState::None | PasswordState::Late, _) => Err(Obstacle::NoSecret),
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
    let names_user = |list: &Vec<String>, is_host: fn(&str) -> bool| {
        list.iter().any(|entry| {
            let (name, host) = entry.split_once('@').unwrap_or((entry, "*"));
            pattern_matches(name, &user.name) && is_host(host)
        })
    };
    let names_group = |list: &Vec<String>| {
        let matches = |pattern| {
            user.groups
                .iter()
                .any(|group| pattern_matches(pattern, group))
        };
        list.iter().any(|pattern| matches(pattern))
    };
    // Refused from everywhere, and admitted from somewhere.
    let is_denied = ssh
        .denied
        .as_ref()
        .is_some_and(|list| names_user(list, |host| host == "*"));
    let is_allowed = ssh
        .allowed
        .as_ref()
        .is_none_or(|list| names_user(list, |_| true));
    if is_denied {
        Err(Obstacle::Denied)
    } else if !is_allowed {
        Err(Obstacle::NotAllowed)
    } else if ssh.denied_groups.as_ref().is_some_and(names_group) {
        Err(Obstacle::DeniedGroup)
    } else if !ssh.allowed_groups.as_ref().is_none_or(names_group) {
        Err(Obstacle::NoAllowedGroup)
    } else {
        Ok(())
    }
}

/// Whether a pattern of sshd matches the whole of `text`: `*` is any text, `?` one character.
fn pattern_matches(pattern: &str, text: &str) -> bool {
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

fn setting(name: &str) -> OptionPath {
    member("services.openssh", "settings", name)
}

/// The changes with which the SSH server accepts the user `name`, and the facts with them.
pub(super) fn admitted(mut facts: ConfigFacts, name: &str) -> (Vec<Change>, ConfigFacts) {
    /// More than there are obstacles, each of which is removed once.
    const MAX_OBSTACLES: usize = 10;
    let mut changes = Vec::new();
    for _ in 0..MAX_OBSTACLES {
        let ConfigFacts {
            users, ssh, groups, ..
        } = &mut facts;
        let Some(user) = users.iter_mut().find(|user| user.name == name) else {
            break;
        };
        let Err(obstacle) = way_in(ssh, user) else {
            break;
        };
        changes.extend(remove(obstacle, ssh, user, groups));
    }
    (changes, facts)
}

/// The changes that remove `obstacle` for `user`, also from the facts.
fn remove(
    obstacle: Obstacle,
    ssh: &mut SshFacts,
    user: &mut UserFacts,
    groups: &[String],
) -> Vec<Change> {
    let name = user.name.clone();
    let set = |option: &str, value: &str| Change::set(setting(option), value);
    match obstacle {
        Obstacle::NotAllowed => {
            let users = ssh.allowed.get_or_insert_default();
            users.push(name);
            vec![set("AllowUsers", &nix_list(users))]
        }
        Obstacle::Denied => {
            ssh.denied = None;
            let note = format!("or a list without {name}");
            vec![set("DenyUsers", "lib.mkForce null").note(note)]
        }
        Obstacle::DeniedGroup => {
            ssh.denied_groups = None;
            let note = format!("or a list without the groups of {name}");
            vec![set("DenyGroups", "lib.mkForce null").note(note)]
        }
        Obstacle::NoAllowedGroup => {
            let allowed = ssh.allowed_groups.get_or_insert_default();
            let is_pattern = |group: &&String| group.contains(['*', '?']);
            let Some(group) = allowed.iter().find(|group| !is_pattern(group)).cloned() else {
                allowed.extend(user.groups.first().cloned());
                return vec![set("AllowGroups", &nix_list(allowed))];
            };
            let is_new = !groups.contains(&group);
            let new = Change::set(member("users.groups", &group, ""), "{ }");
            let joined = join_group(&name, &group);
            user.groups.push(group);
            is_new.then_some(new).into_iter().chain([joined]).collect()
        }
        Obstacle::RootLogin => {
            ssh.root = Some("prohibit-password".to_owned());
            let change = set("PermitRootLogin", "\"prohibit-password\"");
            vec![change.note("for root's key")]
        }
        Obstacle::KeysOff => {
            ssh.keys = None;
            vec![set("PubkeyAuthentication", "true")]
        }
        Obstacle::RootPassword
        | Obstacle::PasswordsOff
        | Obstacle::EmptyPassword
        | Obstacle::NoSecret => {
            user.key_files.push("of the user".to_owned());
            vec![Change::own_key(&name)]
        }
    }
}

/// The changes with which somebody gets in: a user with a key or a password, who can administer the machine if there is one.
pub(super) fn changes_that_admit(facts: &ConfigFacts) -> Vec<Change> {
    let mut users: Vec<&UserFacts> = facts.users.iter().filter(|u| u.has_secret()).collect();
    users.sort_by_key(|user| !facts.is_administrator(&user.name));
    let first = users.first().map(|user| &user.name);
    first
        .map(|name| admitted(facts.clone(), name).0)
        .unwrap_or_default()
}

/// The changes with which the server accepts no password, and the user `name` or somebody else still gets in.
pub(super) fn changes_that_refuse_passwords(facts: &ConfigFacts, name: &str) -> Vec<Change> {
    let mut without = facts.clone();
    without.ssh.passwords = Some(false);
    without.ssh.keyboard = Some(false);
    let is_open = without.ssh.other_keys || !who_gets_in(&without).is_empty();
    let mut changes = if is_open {
        Vec::new()
    } else {
        admitted(without, name).0
    };
    let off = ["PasswordAuthentication", "KbdInteractiveAuthentication"];
    changes.extend(off.map(|name| Change::set(setting(name), "false")));
    changes
}

/// The changes with which the user `name`, who can log in, can become root.
pub(super) fn changes_for_administrator(facts: &ConfigFacts, name: &str) -> Vec<Change> {
    let Some(user) = facts.user(name) else {
        return Vec::new();
    };
    let sudo = &facts.sudo;
    let option = |name: &str| path(&format!("{}.{name}", sudo.option));
    let asks_nothing = sudo.groups.iter().any(|group| group == "wheel");
    let free = || {
        let change = Change::set(option("wheelNeedsPassword"), "false");
        change.note(format!("or a password for {name}"))
    };
    let changes = [
        (!sudo.enable).then(|| Change::set(option("enable"), "true")),
        (!user.is_in_wheel()).then(|| join_group(name, "wheel")),
        (!asks_nothing && !user.has_password()).then(free),
    ];
    changes.into_iter().flatten().collect()
}

/// The change with which the user `name` is in `group`.
pub(super) fn join_group(name: &str, group: &str) -> Change {
    Change::add(user_option(name, "extraGroups"), [nix_string(group)])
}

/// Why the user `name`, who can log in, cannot become root: the option, and what follows its name in a sentence.
pub(super) fn why_no_administrator(facts: &ConfigFacts, name: &str) -> (OptionPath, String) {
    let consequence = format!("so {name} can log in but cannot become root");
    let is_in_wheel = facts.user(name).is_some_and(UserFacts::is_in_wheel);
    if !facts.sudo.enable {
        let option = path(&format!("{}.enable", facts.sudo.option));
        return (option, format!(" is false, {consequence}"));
    }
    if is_in_wheel {
        let text = format!(" has no password, for which sudo asks, {consequence}");
        return (member("users.users", name, ""), text);
    }
    let option = user_option(name, "extraGroups");
    (
        option,
        format!(" does not have wheel, the group that may use sudo, {consequence}"),
    )
}

/// Several obstacles as one text.
pub(super) fn obstacles_text(obstacles: &[(OptionPath, String)]) -> String {
    let texts = obstacles
        .iter()
        .map(|(option, text)| format!("{}{text}", attribute_path::text(option)));
    texts.collect::<Vec<_>>().join("; ")
}

/// `words` as a list of Nix.
fn nix_list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| nix_string(word)).collect();
    format!("[ {} ]", words.join(" "))
}
