//! The rules about groups of users that do not exist. Pure.

use super::Severity;
use super::facts::{ConfigFacts, UserFacts};
use super::named_options::user_option;
use super::rule::Rule;
use crate::common::attribute_path;
use sdbuild_core::nearest::similar_names;
use sdbuild_core::nix_string::nix_string;

pub(super) const RULES: [Rule; 3] = [
    Rule {
        id: "unknown-group",
        severity: Severity::Warning,
        is: |facts, _| said(facts).filter(|_| unknown(facts).any(is_meant_for_sudo)),
        why: "the machine has no such group. The group for sudo is wheel",
        add: &["{meant groups}", "{missing groups}"],
    },
    Rule {
        id: "unknown-group",
        severity: Severity::Warning,
        is: |facts, _| said(facts).filter(|_| !unknown(facts).any(is_meant_for_sudo)),
        why: "the machine has no such group, so the user is not in it",
        add: &["{meant groups}", "{missing groups}"],
    },
    Rule {
        id: "unknown-member",
        severity: Severity::Warning,
        is: |facts, _| members_said(facts),
        why: "the machine has no such user. Give the group the name of one, or define the user",
        add: &[],
    },
];

/// Groups that other systems have for sudo.
const OF_SUDO: [&str; 5] = [
    "admin",
    "administrator",
    "administrators",
    "sudo",
    "sudoers",
];

/// Groups that an option of NixOS makes, and what turns it on.
const OF_OPTIONS: [(&str, &str); 9] = [
    ("docker", "virtualisation.docker.enable"),
    ("i2c", "hardware.i2c.enable"),
    ("libvirtd", "virtualisation.libvirtd.enable"),
    ("networkmanager", "networking.networkmanager.enable"),
    ("podman", "virtualisation.podman.enable"),
    ("scanner", "hardware.sane.enable"),
    ("uinput", "hardware.uinput.enable"),
    ("vboxusers", "virtualisation.virtualbox.host.enable"),
    ("wireshark", "programs.wireshark.enable"),
];

/// Groups that other systems give devices to.
const OF_DEVICES: [&str; 4] = ["gpio", "netdev", "plugdev", "spi"];

/// The groups that do not exist.
fn unknown(facts: &ConfigFacts) -> impl Iterator<Item = &str> {
    let groups = facts.users.iter().flat_map(|user| &user.unknown_groups);
    groups.map(String::as_str)
}

fn is_meant_for_sudo(name: &str) -> bool {
    OF_SUDO.contains(&name)
}

fn said(facts: &ConfigFacts) -> Option<String> {
    let is_told = |user: &&UserFacts| !user.unknown_groups.is_empty();
    let users = facts.users.iter().filter(is_told).map(|user| {
        let groups = user.unknown_groups.iter();
        let groups: Vec<_> = groups.map(|name| with_similar(facts, name)).collect();
        let option = user_option(&user.name);
        format!("{option}.extraGroups has {}", groups.join(" "))
    });
    let users: Vec<String> = users.collect();
    (!users.is_empty()).then(|| users.join(", "))
}

/// The groups with members who do not exist, each with the users who may be meant.
fn members_said(facts: &ConfigFacts) -> Option<String> {
    let users = || facts.users.iter().map(|user| user.name.as_str());
    let shown = |name: &String| {
        let meant = similar_names(name, users()).map(|meant| format!(" (did you mean {meant}?)"));
        format!("\"{name}\"{}", meant.unwrap_or_default())
    };
    let groups = facts.unknown_members.iter().map(|group| {
        let members: Vec<String> = group.members.iter().map(shown).collect();
        let path = ["users", "groups", &group.group, "members"].map(str::to_owned);
        format!("{} has {}", attribute_path::text(&path), members.join(" "))
    });
    let groups: Vec<String> = groups.collect();
    (!groups.is_empty()).then(|| groups.join(", "))
}

/// The names of groups that may be meant.
fn similar(facts: &ConfigFacts, name: &str) -> Option<String> {
    let of_options = OF_OPTIONS.iter().map(|(group, _)| *group);
    let known = facts.groups.iter().map(String::as_str).chain(of_options);
    let is_known =
        is_meant_for_sudo(name) || option_of(name).is_some() || OF_DEVICES.contains(&name);
    similar_names(name, known).filter(|_| !is_known)
}

/// A group that does not exist, and those that may be meant, or why none is to be made.
fn with_similar(facts: &ConfigFacts, name: &str) -> String {
    let meant = similar(facts, name).map(|meant| format!(" (did you mean {meant}?)"));
    let obstacle = obstacle(facts, name).map(|what| format!(" (leave it out, because {what})"));
    format!("\"{name}\"{}", meant.or(obstacle).unwrap_or_default())
}

/// What is on beside which the option that makes the group can not be.
fn obstacle(facts: &ConfigFacts, name: &str) -> Option<&'static str> {
    let net = &facts.network;
    match name {
        "docker" if facts.podman_is_docker => Some("Podman takes the place of Docker"),
        "networkmanager" if net.wireless => Some("wpa_supplicant is on"),
        "networkmanager" if net.iwd => Some("iwd is on"),
        "networkmanager" if net.manager => Some("ConnMan is on"),
        _ => None,
    }
}

/// The option that makes the group.
fn option_of(name: &str) -> Option<&'static str> {
    let found = OF_OPTIONS.iter().find(|(group, _)| *group == name);
    found.map(|(_, option)| *option)
}

/// The group that is certainly meant by the name of one that does not exist.
fn meant(facts: &ConfigFacts, name: &str) -> Option<String> {
    if is_meant_for_sudo(name) {
        return Some("wheel".to_owned());
    }
    similar(facts, name).filter(|names| !names.contains(' '))
}

/// The lines that put users into the groups that are meant.
pub(super) fn lines_with_meant_groups(facts: &ConfigFacts) -> Vec<String> {
    let lines = facts.users.iter().filter_map(|user| {
        let unknown = user.unknown_groups.iter();
        let found = unknown.filter_map(|name| Some((nix_string(name), meant(facts, name)?)));
        let (wrong, meant): (Vec<_>, Vec<_>) = found.unzip();
        let mut meant: Vec<String> = meant.iter().map(|name| nix_string(name)).collect();
        meant.dedup();
        let option = user_option(&user.name);
        (!meant.is_empty()).then(|| {
            let (meant, wrong) = (meant.join(" "), wrong.join(" "));
            format!("{option}.extraGroups = [ {meant} ]; # in place of {wrong}")
        })
    });
    lines.collect()
}

/// The lines with which the groups exist, as far as no other one may be meant.
pub(super) fn lines_that_make_groups(facts: &ConfigFacts) -> Vec<String> {
    let mut lines = Vec::new();
    for name in unknown(facts) {
        let is_clear = similar(facts, name).is_none() && obstacle(facts, name).is_none();
        if is_meant_for_sudo(name) || !is_clear {
            continue;
        }
        let group = attribute_path::text(&["users", "groups", name].map(str::to_owned));
        let line = match option_of(name) {
            Some(option) => {
                format!("{option} = true; # makes the group {name}, or leave the group out")
            }
            None if OF_DEVICES.contains(&name) => format!(
                "{group} = {{ }}; # also add a rule to services.udev.extraRules that gives it the devices"
            ),
            None => format!("{group} = {{ }};"),
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::{KEY, user, wheel, with};

    /// The name of wheel was told whatever the group was, and no line.
    #[test]
    fn a_group_that_does_not_exist_has_the_line_that_makes_it() {
        let told = |groups: &[&str]| {
            let mut ann = wheel("ann", &[], "set");
            ann["unknown_groups"] = json!(groups);
            let mut bob = ann.clone();
            bob["name"] = json!("bob");
            let users = json!([user("root", &[KEY], "none"), ann, bob]);
            let found = findings(&with(&[("/users", users)]), "aarch64-linux", None);
            let [finding] = found.as_slice() else {
                panic!("{found:?}");
            };
            assert_eq!(finding.id, "unknown-group");
            let is_for_sudo = finding.why.contains("The group for sudo is wheel");
            (finding.is.clone(), is_for_sudo, finding.add.clone())
        };
        let (is, is_for_sudo, lines) = told(&["sudo"]);
        let both =
            "users.users.ann.extraGroups has \"sudo\", users.users.bob.extraGroups has \"sudo\"";
        assert_eq!((is.as_str(), is_for_sudo), (both, true));
        let line = |user: &str, meant: &str, wrong: &str| {
            format!("users.users.{user}.extraGroups = [ \"{meant}\" ]; # in place of \"{wrong}\"")
        };
        let wheel = ["ann", "bob"].map(|user| line(user, "wheel", "sudo"));
        assert_eq!(lines, wheel);
        let (is, is_for_sudo, lines) = told(&["vide"]);
        assert!(is.contains("\"vide\" (did you mean video?)"), "{is}");
        let video = ["ann", "bob"].map(|user| line(user, "video", "vide"));
        assert_eq!((is_for_sudo, lines), (false, video.to_vec()));
        let (_, is_for_sudo, lines) = told(&["docker", "gpio", "web site", "admin"]);
        assert!(is_for_sudo);
        let expected = [
            "virtualisation.docker.enable = true; # makes the group docker, or leave the group out",
            "users.groups.gpio = { }; # also add a rule to services.udev.extraRules that gives it the devices",
            "users.groups.\"web site\" = { };",
        ];
        assert_eq!(lines[2..], expected);
    }

    #[test]
    fn a_member_who_does_not_exist_is_told() {
        let users = json!([user("root", &[KEY], "none"), wheel("ann", &[KEY], "set")]);
        let members = json!([{ "group": "i2c", "members": ["an", "ada"] }]);
        let facts = with(&[("/users", users), ("/unknown_members", members)]);
        let found = findings(&facts, "aarch64-linux", None);
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(finding.id, "unknown-member");
        let is = "users.groups.i2c.members has \"an\" (did you mean ann?) \"ada\"";
        assert_eq!(finding.is, is);
    }

    /// With these lines the build failed.
    #[test]
    fn no_line_turns_on_what_can_not_be_beside_the_rest() {
        let told = |group: &str, fact: &str| {
            let mut ann = wheel("ann", &[], "set");
            ann["unknown_groups"] = json!([group]);
            let users = json!([user("root", &[KEY], "none"), ann]);
            let facts = with(&[("/users", users), (fact, json!(true))]);
            let mut found = findings(&facts, "aarch64-linux", None).into_iter();
            let found = found.find(|one| one.id == "unknown-group").unwrap();
            (found.is, found.add.len())
        };
        for (group, fact, what) in [
            (
                "docker",
                "/podman_is_docker",
                "Podman takes the place of Docker",
            ),
            (
                "networkmanager",
                "/network/wireless",
                "wpa_supplicant is on",
            ),
            ("networkmanager", "/network/iwd", "iwd is on"),
            ("networkmanager", "/network/manager", "ConnMan is on"),
        ] {
            let is = format!(
                "users.users.ann.extraGroups has \"{group}\" (leave it out, because {what})"
            );
            assert_eq!(told(group, fact), (is, 0));
        }
        assert_eq!(told("docker", "/network/wireless").1, 1);
    }
}
