//! Lines of Nix with which users can log in over SSH, and administer the machine. Pure.

use super::facts::{ConfigFacts, UserFacts};
use super::obstacle::Obstacle;
use super::passwords::{password_is_accepted, plain_passwords};
use super::ways_in::{is_administrator, way_in, who_gets_in};
use crate::common::attribute_path;
use sdbuild_core::nix_string::nix_string;

const SETTINGS: &str = "services.openssh.settings";

/// The lines that remove `obstacle` for the user `name`; removes it from `facts`.
fn remove(obstacle: &Obstacle, facts: &mut ConfigFacts, name: &str) -> Vec<String> {
    let ssh = &mut facts.ssh;
    match obstacle {
        Obstacle::NotAllowed => {
            let users = ssh.allowed.get_or_insert_default();
            users.push(name.to_owned());
            vec![format!("{SETTINGS}.AllowUsers = {};", nix_list(users))]
        }
        Obstacle::Denied => {
            ssh.denied = None;
            vec![format!(
                "{SETTINGS}.DenyUsers = lib.mkForce null; # or a list without {name}"
            )]
        }
        Obstacle::NoAllowedGroup => join_allowed_group(facts, name),
        Obstacle::DeniedGroup => {
            ssh.denied_groups = None;
            vec![format!(
                "{SETTINGS}.DenyGroups = lib.mkForce null; # or a list without the groups of {name}"
            )]
        }
        Obstacle::RootLogin(_) => {
            ssh.root = Some("prohibit-password".to_owned());
            vec![format!(
                "{SETTINGS}.PermitRootLogin = \"prohibit-password\"; # for root's key"
            )]
        }
        Obstacle::KeysOff => {
            ssh.keys = None;
            vec![format!("{SETTINGS}.PubkeyAuthentication = true;")]
        }
        Obstacle::RootPassword(_)
        | Obstacle::PasswordsOff
        | Obstacle::EmptyPassword
        | Obstacle::NoSecret => give_key(facts, name),
    }
}

/// The lines with which the user `name` has a key.
fn give_key(facts: &mut ConfigFacts, name: &str) -> Vec<String> {
    if let Some(user) = user_named(facts, name) {
        user.key_files.push("of the user".to_owned());
    }
    let attribute = attribute_path::text(&[name.to_owned()]);
    vec![format!(
        "users.users.{attribute}.openssh.authorizedKeys.keys = [ \"ssh-ed25519 …\" ];"
    )]
}

/// The lines with which `AllowGroups` admits the user `name`.
fn join_allowed_group(facts: &mut ConfigFacts, name: &str) -> Vec<String> {
    let allowed = facts.ssh.allowed_groups.clone().unwrap_or_default();
    let named = allowed.iter().find(|group| !group.contains(['*', '?']));
    if let Some(group) = named.cloned() {
        let is_new = !facts.groups.contains(&group);
        let line = format!(
            "users.groups.{} = {{ }};",
            attribute_path::text(std::slice::from_ref(&group))
        );
        let new = is_new.then_some(line);
        return new
            .into_iter()
            .chain([join_group(facts, name, &group)])
            .collect();
    }
    // Only patterns: a group of the user beside them.
    let mut groups = allowed;
    groups.extend(user_named(facts, name).and_then(|user| user.groups.first().cloned()));
    let line = format!("{SETTINGS}.AllowGroups = {};", nix_list(&groups));
    facts.ssh.allowed_groups = Some(groups);
    vec![line]
}

/// The line with which the user `name` is in `group`.
fn join_group(facts: &mut ConfigFacts, name: &str, group: &str) -> String {
    if let Some(user) = user_named(facts, name) {
        user.groups.push(group.to_owned());
    }
    let attribute = attribute_path::text(&[name.to_owned()]);
    format!("users.users.{attribute}.extraGroups = [ \"{group}\" ];")
}

fn user_named<'a>(facts: &'a mut ConfigFacts, name: &str) -> Option<&'a mut UserFacts> {
    facts.users.iter_mut().find(|user| user.name == name)
}

/// The lines with which the SSH server accepts a user who has a key or a password, one who can administer the machine if there is one.
pub(super) fn lines_that_admit(facts: &ConfigFacts) -> Vec<String> {
    let mut users: Vec<&UserFacts> = facts.users.iter().filter(|u| u.has_secret()).collect();
    users.sort_by_key(|user| !is_administrator(facts, &user.name));
    let name = users.first().map(|user| user.name.clone());
    name.map(|name| admitted(facts.clone(), &name).0)
        .unwrap_or_default()
}

/// The lines with which somebody still gets in when the SSH server accepts no more passwords; none if somebody does anyway.
pub(super) fn lines_that_replace_passwords(facts: &ConfigFacts) -> Vec<String> {
    let named = plain_passwords(facts, |user| password_is_accepted(facts, user));
    let name = named.first().map(|name| (*name).to_owned());
    let mut without = facts.clone();
    without.ssh.passwords = Some(false);
    without.ssh.keyboard = Some(false);
    let is_open = without.ssh.other_keys || !who_gets_in(&without).is_empty();
    name.filter(|_| !is_open)
        .map(|name| admitted(without, &name).0)
        .unwrap_or_default()
}

/// The lines with which the SSH server accepts the user `name`, and the facts with them.
fn admitted(mut facts: ConfigFacts, name: &str) -> (Vec<String>, ConfigFacts) {
    /// More than there are obstacles, each of which is removed once.
    const MAX_OBSTACLES: usize = 10;
    let mut lines = Vec::new();
    for _ in 0..MAX_OBSTACLES {
        let user = facts.users.iter().find(|user| user.name == name);
        let Some(obstacle) = user.and_then(|user| way_in(&facts, user).err()) else {
            break;
        };
        lines.extend(remove(&obstacle, &mut facts, name));
    }
    (lines, facts)
}

/// The lines with which the user `name`, who can log in, can become root.
pub(super) fn lines_that_make_an_administrator(facts: &ConfigFacts, name: &str) -> Vec<String> {
    let Some(user) = facts.users.iter().find(|user| user.name == name) else {
        return Vec::new();
    };
    let sudo = &facts.sudo;
    let option = &sudo.option;
    let is_in_wheel = user.groups.iter().any(|group| group == "wheel");
    let asks_nothing = sudo.groups.iter().any(|group| group == "wheel");
    [
        (!sudo.enable).then(|| format!("{option}.enable = true;")),
        (!is_in_wheel).then(|| join_group(&mut facts.clone(), name, "wheel")),
        (!asks_nothing && !user.has_password())
            .then(|| format!("{option}.wheelNeedsPassword = false; # or a password for {name}")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `words` as a list of Nix.
fn nix_list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| nix_string(word)).collect();
    format!("[ {} ]", words.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::findings;
    use super::super::tests::{KEY, found, user, wheel, with};
    use super::super::ways_in::who_gets_in;
    use super::admitted;

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
                settings("DenyUsers = lib.mkForce null; # or a list without ann"),
            ),
            (
                ann(),
                ("/ssh/allowed_groups", json!(["s*", "video"])),
                "users.users.ann.extraGroups = [ \"video\" ];".to_owned(),
            ),
            (
                ann(),
                ("/ssh/denied_groups", json!(["wheel"])),
                settings("DenyGroups = lib.mkForce null; # or a list without the groups of ann"),
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
    }

    /// The lines of one finding belong together.
    #[test]
    fn all_obstacles_of_a_user_are_removed_together() {
        let ann = |keys: &[&str], password: &str| ("/users", json!([wheel("ann", keys, password)]));
        let root =
            |keys: &[&str], password: &str| ("/users", json!([user("root", keys, password)]));
        let keys_off = || ("/ssh/keys", json!("no"));
        for (changes, count) in [
            (vec![root(&[], "set"), ("/ssh/root", json!("no"))], 2),
            (
                vec![
                    root(&[KEY], "none"),
                    ("/ssh/root", json!("no")),
                    ("/ssh/allowed", json!(["ann"])),
                ],
                2,
            ),
            (
                vec![root(&[KEY], "none"), ("/ssh/root", json!("no")), keys_off()],
                2,
            ),
            (vec![ann(&[], "set"), keys_off()], 2),
            (vec![ann(&[KEY], "set"), keys_off()], 1),
            (
                vec![
                    ann(&[KEY], "none"),
                    ("/ssh/denied", json!(["*"])),
                    ("/ssh/allowed_groups", json!(["s*"])),
                ],
                2,
            ),
            // The group has to be made.
            (
                vec![ann(&[KEY], "none"), ("/ssh/allowed_groups", json!(["ssh"]))],
                2,
            ),
        ] {
            let facts = with(&changes);
            assert_eq!(
                lines("ssh-turns-away", &changes).len(),
                count,
                "{changes:?}"
            );
            let name = facts.users[0].name.clone();
            let (_, corrected) = admitted(facts, &name);
            assert_eq!(who_gets_in(&corrected).len(), 1, "{changes:?}");
        }
    }

    #[test]
    fn a_key_comes_before_the_end_of_passwords() {
        let mut guest = wheel("guest", &[], "set");
        guest["open_password"] = json!(true);
        let open = |users: Value, more: &[(&str, Value)]| {
            let mut changes = vec![("/users", users), ("/ssh/passwords", json!(true))];
            changes.extend_from_slice(more);
            lines("open-password", &changes)
        };
        let off = ["PasswordAuthentication", "KbdInteractiveAuthentication"]
            .map(|name| format!("services.openssh.settings.{name} = false;"));
        let key = "users.users.guest.openssh.authorizedKeys.keys = [ \"ssh-ed25519 …\" ];";
        let all = [&[key.to_owned()], off.as_slice()].concat();
        let nobody = json!([user("root", &[], "none"), guest]);
        assert_eq!(open(nobody.clone(), &[]), all);
        let refused = json!([user("root", &[KEY], "none"), guest]);
        assert_eq!(open(refused.clone(), &[("/ssh/root", json!("no"))]), all);
        // Somebody has a key.
        assert_eq!(open(refused, &[]), off);
        assert_eq!(open(nobody, &[("/ssh/other_keys", json!(true))]), off);
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
        let in_rust = [("/sudo/option", json!("security.sudo-rs"))];
        let free = free.replace("sudo", "sudo-rs");
        assert_eq!(admin(wheel("ann", &[KEY], "none"), &in_rust), [free]);
        // At the console too.
        let kiosk = [("/autologin", json!("ann"))];
        assert_eq!(admin(user("ann", &[], "set"), &kiosk), [group]);
    }
}
