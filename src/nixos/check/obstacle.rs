//! What keeps a user from logging in over SSH, and the lines that change it. Pure.

use super::facts::{ConfigFacts, UserFacts};
use super::ways_in::{is_administrator, way_in};
use crate::common::attribute_path;

const SETTINGS: &str = "services.openssh.settings";

/// What keeps a user from logging in over SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// `AllowUsers` does not admit the user.
    NotAllowed,
    /// `DenyUsers` refuses the user.
    Denied,
    /// `AllowGroups` admits no group of the user.
    NoAllowedGroup,
    /// `DenyGroups` refuses a group of the user.
    DeniedGroup,
    /// `PermitRootLogin` has this value.
    RootLogin(String),
    /// Root has a password only, and `PermitRootLogin` has this value.
    RootPassword(String),
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
    /// The setting, for a message.
    pub(super) fn text(&self, user: &UserFacts) -> String {
        let name = &user.name;
        match self {
            Self::NotAllowed => format!("AllowUsers does not name {name}"),
            Self::Denied => format!("DenyUsers names {name}"),
            Self::NoAllowedGroup => format!("AllowGroups names no group of {name}"),
            Self::DeniedGroup => format!("DenyGroups names a group of {name}"),
            Self::RootLogin(setting) => format!("PermitRootLogin is \"{setting}\""),
            Self::RootPassword(setting) => {
                format!("root has a password only, and PermitRootLogin is \"{setting}\"")
            }
            Self::PasswordsOff => {
                format!("{name} has a password only, and PasswordAuthentication is false")
            }
            Self::EmptyPassword => {
                format!("the password of {name} is empty, which SSH does not accept")
            }
            Self::KeysOff => "PubkeyAuthentication is off".to_owned(),
            Self::NoSecret => format!("{name} has neither key nor password"),
        }
    }

    /// The lines that remove it.
    fn lines(&self, facts: &ConfigFacts, user: &UserFacts) -> Vec<String> {
        let ssh = &facts.ssh;
        let line = match self {
            Self::NotAllowed => {
                let list = ssh.allowed.iter().flatten();
                let list = quoted(list.chain([&user.name]));
                format!("{SETTINGS}.AllowUsers = [ {list} ];")
            }
            Self::Denied => format!(
                "{SETTINGS}.DenyUsers = [ ]; # or a list without {}",
                user.name
            ),
            Self::NoAllowedGroup => {
                let mut names = ssh.allowed_groups.iter().flatten();
                let is_name = |name: &&String| !name.contains(['*', '?', '!']);
                let group = names.find(is_name).map_or("wheel", String::as_str);
                in_group(user, group)
            }
            Self::DeniedGroup => format!(
                "{SETTINGS}.DenyGroups = [ ]; # or a list without the groups of {}",
                user.name
            ),
            Self::RootLogin(_) => {
                format!("{SETTINGS}.PermitRootLogin = \"prohibit-password\"; # for root's key")
            }
            Self::KeysOff => format!("{SETTINGS}.PubkeyAuthentication = true;"),
            Self::RootPassword(_) | Self::PasswordsOff | Self::EmptyPassword | Self::NoSecret => {
                return vec![key_line(user)];
            }
        };
        let needs_key = *self != Self::KeysOff && !user.has_key();
        [line]
            .into_iter()
            .chain(needs_key.then(|| key_line(user)))
            .collect()
    }
}

/// The lines with which the SSH server accepts a user who has a key or a password, one who can administer the machine if there is one.
pub(super) fn lines_that_admit(facts: &ConfigFacts) -> Vec<String> {
    let mut users: Vec<&UserFacts> = facts.users.iter().filter(|u| u.has_secret()).collect();
    users.sort_by_key(|user| !is_administrator(facts, &user.name));
    let refused = users
        .into_iter()
        .find_map(|user| Some((user, way_in(facts, user).err()?)));
    refused
        .map(|(user, obstacle)| obstacle.lines(facts, user))
        .unwrap_or_default()
}

/// The lines with which the first user who can log in becomes an administrator.
pub(super) fn lines_that_make_an_administrator(facts: &ConfigFacts, name: &str) -> Vec<String> {
    let Some(user) = facts.users.iter().find(|user| user.name == name) else {
        return Vec::new();
    };
    let sudo = &facts.sudo;
    let is_in_wheel = user.groups.iter().any(|group| group == "wheel");
    let asks_nothing = sudo.groups.iter().any(|group| group == "wheel");
    [
        (!sudo.enable).then(|| "security.sudo.enable = true;".to_owned()),
        (!is_in_wheel).then(|| in_group(user, "wheel")),
        (!asks_nothing && !user.has_password()).then(|| {
            format!("security.sudo.wheelNeedsPassword = false; # or a password for {name}")
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn key_line(user: &UserFacts) -> String {
    let name = attribute_path::text(std::slice::from_ref(&user.name));
    format!("users.users.{name}.openssh.authorizedKeys.keys = [ \"ssh-ed25519 …\" ];")
}

fn in_group(user: &UserFacts, group: &str) -> String {
    let name = attribute_path::text(std::slice::from_ref(&user.name));
    format!("users.users.{name}.extraGroups = [ \"{group}\" ];")
}

/// The words of a Nix list of strings.
fn quoted<'a>(words: impl Iterator<Item = &'a String>) -> String {
    let words = words.map(|word| format!("\"{word}\""));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::findings;
    use super::super::tests::{KEY, found, user, wheel, with};

    /// The lines to add of the finding `id` in the good facts with `changes`.
    fn lines(id: &str, changes: &[(&str, Value)]) -> Vec<String> {
        let found = findings(&with(changes), "aarch64-linux", None);
        let finding = found.into_iter().find(|finding| finding.id == id);
        finding.unwrap_or_else(|| panic!("{id}: {changes:?}")).add
    }

    #[test]
    fn the_lines_for_a_refused_user_remove_the_obstacle() {
        let settings = |text: &str| format!("services.openssh.settings.{text}");
        let key = |name: &str| {
            format!("users.users.{name}.openssh.authorizedKeys.keys = [ \"ssh-ed25519 …\" ];")
        };
        let ann = || wheel("ann", &[KEY], "none");
        let none = ("/ssh/root", Value::Null);
        for (who, setting, line) in [
            (
                ann(),
                ("/ssh/allowed", json!(["bob"])),
                settings("AllowUsers = [ \"bob\" \"ann\" ];"),
            ),
            (
                ann(),
                ("/ssh/denied", json!(["a*"])),
                settings("DenyUsers = [ ]; # or a list without ann"),
            ),
            (
                ann(),
                ("/ssh/allowed_groups", json!(["s*", "ssh"])),
                "users.users.ann.extraGroups = [ \"ssh\" ];".to_owned(),
            ),
            (
                ann(),
                ("/ssh/denied_groups", json!(["wheel"])),
                settings("DenyGroups = [ ]; # or a list without the groups of ann"),
            ),
            (
                ann(),
                ("/ssh/keys", json!("no")),
                settings("PubkeyAuthentication = true;"),
            ),
            (wheel("ann", &[], "set"), none.clone(), key("ann")),
            (wheel("ann", &[], "empty"), none.clone(), key("ann")),
            (user("root", &[], "set"), none.clone(), key("root")),
            (
                user("root", &[KEY], "none"),
                ("/ssh/root", json!("no")),
                settings("PermitRootLogin = \"prohibit-password\"; # for root's key"),
            ),
        ] {
            let changes = [("/users", json!([who])), setting];
            assert_eq!(lines("ssh-turns-away", &changes), [line]);
            // Of keys elsewhere nothing is known.
            let elsewhere = [&changes[..], &[("/ssh/other_keys", json!(true))]].concat();
            assert!(!found(&elsewhere).contains(&"ssh-turns-away"));
        }
        let both = lines(
            "ssh-turns-away",
            &[
                ("/users", json!([user("root", &[], "set")])),
                ("/ssh/root", json!("no")),
            ],
        );
        assert_eq!(both.len(), 2, "{both:?}");
    }

    #[test]
    fn groups_admit_users_as_in_sshd() {
        let ann = ("/users", json!([wheel("ann", &[KEY], "set")]));
        let allowed = |list: Value| found(&[ann.clone(), ("/ssh/allowed_groups", list)]);
        assert_eq!(allowed(json!(["wheel"])), [""; 0]);
        assert_eq!(allowed(json!(["whe*"])), [""; 0]);
        assert_eq!(allowed(json!(["ssh"])), ["ssh-turns-away"]);
        let denied = |list: Value| found(&[ann.clone(), ("/ssh/denied_groups", list)]);
        assert_eq!(denied(json!(["users"])), ["ssh-turns-away"]);
        assert_eq!(denied(json!(["guests"])), [""; 0]);
    }

    #[test]
    fn the_lines_for_an_administrator_are_those_that_are_missing() {
        let admin = |who: Value, more: &[(&str, Value)]| {
            let mut changes = vec![("/users", json!([who]))];
            changes.extend_from_slice(more);
            lines("no-admin", &changes)
        };
        let group = "users.users.ann.extraGroups = [ \"wheel\" ];";
        let free = "security.sudo.wheelNeedsPassword = false; # or a password for ann";
        assert_eq!(admin(user("ann", &[KEY], "set"), &[]), [group]);
        assert_eq!(admin(user("ann", &[KEY], "none"), &[]), [group, free]);
        assert_eq!(admin(wheel("ann", &[KEY], "none"), &[]), [free]);
        let off = [("/sudo/enable", json!(false))];
        let on = "security.sudo.enable = true;";
        assert_eq!(admin(wheel("ann", &[KEY], "set"), &off), [on]);
        // At the console too.
        let kiosk = [("/autologin", json!("ann"))];
        assert_eq!(admin(user("ann", &[], "set"), &kiosk), [group]);
    }
}
