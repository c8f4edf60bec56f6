//! The rules about logging in and administering the machine. Pure.

use super::Severity;
use super::authorized_keys::{broken_keys, expired_keys, has_private_key, has_wrong_key};
use super::facts::{ConfigFacts, PasswordState, UserFacts};
use super::named_options::user_option;
use super::passwords::{
    files_of, invalid_hashes, password_is_accepted, plain_passwords, said_of, stored_passwords,
};
use super::rule::{KEY_LINE, Rule};
use super::shells::{missing_shells, shut_out_by_shell};
use super::ways_in::{
    firewall_is_shut, inside, is_administrator, is_locked_out, nobody_has_a_secret,
    serves_itself_only, way_in, who_gets_in,
};

pub(super) const RULES: [Rule; 21] = [
    Rule {
        id: "hash-as-file",
        severity: Severity::Warning,
        is: |facts, _| {
            let files = files_of(facts, |user| user.has_hash_as_file);
            files.map(|of| format!("{of} has the hash of a password, not the path of a file"))
        },
        why: "NixOS looks for a file with that name, so the user has no password. Write hashedPassword instead of \
              hashedPasswordFile",
        add: &[],
    },
    Rule {
        id: "relative-file",
        severity: Severity::Warning,
        is: |facts, _| {
            let files = files_of(facts, |of| of.has_relative_file && !of.has_hash_as_file);
            files.map(|of| format!("{of} does not begin with a slash"))
        },
        why: "NixOS does not find that file, so the user has no password. Give the whole path of a file on the card, or \
              put the output of `mkpasswd` into hashedPassword instead",
        add: &[],
    },
    Rule {
        id: "password-hash",
        severity: Severity::Error,
        is: |facts, _| {
            let wrong = invalid_hashes(facts)?;
            Some(if is_locked_out(facts) {
                format!("{wrong}, and no user has a key or another password")
            } else {
                wrong
            })
        },
        why: "that is not the complete hash of a password, so no password is accepted. If it is the password itself, \
              anyone who has the card can read it",
        add: &["{invalid} = \"$y$…\"; # the output of `mkpasswd`"],
    },
    Rule {
        id: "nobody-gets-in",
        severity: Severity::Error,
        is: |facts, _| {
            // Other rules name the cause already.
            let nobody = is_locked_out(facts)
                && !has_wrong_key(facts)
                && expired_keys(facts).is_none()
                && invalid_hashes(facts).is_none();
            nobody.then(|| format!("no key and no password ({})", names(&facts.users)))
        },
        why: "the machine starts, but nobody can log in",
        add: &[KEY_LINE],
    },
    Rule {
        id: "no-shell",
        severity: Severity::Error,
        is: |facts, _| missing_shells(facts, true),
        why: "there is no program at that path on NixOS, so SSH and the console refuse the user",
        add: &["{shells}"],
    },
    Rule {
        // Whoever adds a key later would wonder why it does not help.
        id: "no-shell",
        severity: Severity::Warning,
        is: |facts, _| missing_shells(facts, false),
        why: "there is no program at that path on NixOS, so SSH and the console refuse the user even with a key or a \
              password",
        add: &["{other shells}"],
    },
    Rule {
        id: "refusing-shell",
        severity: Severity::Error,
        is: |facts, _| {
            let (name, shell) = shut_out_by_shell(facts)?;
            Some(format!("the shell of {} is {shell}", user_option(name)))
        },
        why: "that program ends every session at once, and no other user has a key or a password. Users with isSystemUser \
              have it; people need isNormalUser",
        add: &[
            "users.users.{refused}.shell = pkgs.bashInteractive; # or isNormalUser instead of isSystemUser",
        ],
    },
    Rule {
        id: "ssh-off",
        severity: Severity::Error,
        is: |facts, _| Some(format!("{} = false", option_that_stops_ssh(facts)?)),
        why: "without a display and a keyboard, nobody can reach the machine",
        add: &["{ssh on}"],
    },
    Rule {
        id: "ssh-turns-away",
        severity: Severity::Error,
        is: |facts, _| {
            let users: Vec<&UserFacts> = facts
                .users
                .iter()
                .filter(|user| user.has_secret() && user.has_working_shell())
                .collect();
            let may_open = facts.ssh.runs() && !users.is_empty() && !facts.ssh.other_keys;
            let shut = may_open && who_gets_in(facts).is_empty();
            let reason = |user: &UserFacts| Some(way_in(facts, user).err()?.text(user));
            let reasons: Vec<String> = users.into_iter().filter_map(reason).collect();
            shut.then(|| reasons.join("; "))
        },
        why: "the SSH server runs, but nobody can log in",
        add: &["{admit}"],
    },
    Rule {
        id: "ssh-unread",
        severity: Severity::Warning,
        is: |facts, _| {
            let unread = facts.ssh.unread.join(", ");
            let is_told = facts.ssh.runs() && !unread.is_empty();
            is_told.then(|| format!("services.openssh has settings for {unread}"))
        },
        why: "these settings decide who can log in (sshd_config(5)), but check does not read them",
        add: &[],
    },
    Rule {
        id: "ssh-local",
        severity: Severity::Warning,
        is: |facts, _| {
            let is_local = facts.ssh.runs() && serves_itself_only(&facts.ssh);
            let addresses = facts.ssh.addresses.join(", ");
            is_local.then(|| format!("services.openssh.listenAddresses has only {addresses}"))
        },
        why: "no other machine can connect to the SSH server, except through a tunnel",
        add: &["services.openssh.listenAddresses = lib.mkForce [ ];"],
    },
    Rule {
        id: "firewall",
        severity: Severity::Error,
        is: |facts, _| {
            let is_certain = !facts.firewall.has_own_rules;
            said_of_firewall(facts).filter(|_| is_certain)
        },
        why: "the firewall blocks every connection to the SSH server",
        add: &["{open firewall}"],
    },
    Rule {
        id: "firewall",
        severity: Severity::Warning,
        is: |facts, _| said_of_firewall(facts).filter(|_| facts.firewall.has_own_rules),
        why: "the firewall blocks the SSH server, unless your own rules for iptables or nftables open the port. check \
              does not read those rules",
        add: &[],
    },
    Rule {
        id: "empty-password",
        severity: Severity::Warning,
        is: |facts, _| with_empty_password(facts),
        why: "anyone at the console can log in without a password. If that is not what you want, remove the definition",
        add: &[],
    },
    Rule {
        id: "console-is-open",
        severity: Severity::Warning,
        is: |facts, _| facts.installer.then(|| autologin(facts))?,
        why: "anyone at the console is logged in without a password, as on an installer",
        add: &[
            "imports = [ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ]; # not …-installer.nix",
        ],
    },
    Rule {
        id: "autologin",
        severity: Severity::Warning,
        is: |facts, _| (!facts.installer && !is_only_way_in(facts)).then(|| autologin(facts))?,
        why: "anyone at the console is logged in without a password",
        add: &["services.getty.autologinUser = lib.mkForce null;"],
    },
    Rule {
        id: "only-autologin",
        severity: Severity::Warning,
        is: |facts, _| {
            let setting = autologin(facts).filter(|_| is_only_way_in(facts))?;
            Some(format!("{setting}, and no user has a key or a password"))
        },
        why: "nobody can log in over SSH, but anyone at the console is logged in without a password",
        add: &[KEY_LINE],
    },
    Rule {
        id: "no-admin",
        severity: Severity::Error,
        is: |facts, _| {
            let names = inside(facts);
            let is_one = names.iter().any(|name| is_administrator(facts, name));
            let nobody = !names.is_empty() && !is_one && !facts.ssh.other_keys;
            let reasons = names
                .iter()
                .map(|name| said_of_no_administrator(facts, name));
            nobody.then(|| reasons.collect::<Vec<_>>().join("; "))
        },
        why: "nobody who can log in can change the machine",
        add: &["{administrator}"],
    },
    Rule {
        id: "open-password",
        severity: Severity::Warning,
        is: |facts, _| {
            let by_password = |user: &UserFacts| password_is_accepted(facts, user);
            said_of(facts, &plain_passwords(facts, by_password))
        },
        why: "SSH accepts it from the whole network, and anyone can read it on the card or in the Nix store of a machine \
              that builds the image",
        add: &[
            "{admit without passwords}",
            "services.openssh.settings.PasswordAuthentication = false;",
            "services.openssh.settings.KbdInteractiveAuthentication = false;",
        ],
    },
    Rule {
        id: "stored-password",
        severity: Severity::Warning,
        is: |facts, _| said_of(facts, &stored_passwords(facts)),
        why: "anyone can read it on the card and in the Nix store of each machine that builds the image. It works at the \
              console and for the user's sudo",
        add: &["users.users.{stored}.hashedPassword = \"$y$…\"; # the output of `mkpasswd`"],
    },
    Rule {
        id: "private-key-file",
        severity: Severity::Warning,
        is: |facts, _| {
            // NixOS writes a user's keys there, of which `private-key` tells.
            let is_of_user = |name: &&String| {
                let user = name.strip_prefix("ssh/authorized_keys.d/");
                let mut users = facts.users.iter().filter(|user| has_private_key(user));
                user.is_some_and(|name| users.any(|user| user.name == name))
            };
            let files = facts.private_keys.iter().filter(|name| !is_of_user(name));
            let files = files.map(|name| format!("environment.etc.\"{name}\" holds a private key"));
            let files: Vec<String> = files.collect();
            (!files.is_empty()).then(|| files.join(", "))
        },
        why: "every user of the machine can read it, and so can anyone with access to the card or the Nix store of a machine \
            that builds the image. Copy it to the machine after the first start, or use agenix or sops-nix",
        add: &[],
    },
];

/// The option that is false, without which the SSH server does not run.
fn option_that_stops_ssh(facts: &ConfigFacts) -> Option<&str> {
    let unit = facts.ssh.unit_off.as_deref();
    let service = (!facts.ssh.enable).then_some("services.openssh.enable");
    service.or(unit)
}

/// The line that sets it, or the one of NixOS.
pub(super) fn line_that_starts_ssh(facts: &ConfigFacts) -> String {
    let option = option_that_stops_ssh(facts).unwrap_or("services.openssh.enable");
    format!("{option} = true;")
}

/// What is said of a firewall whose open ports are not those of the SSH server.
fn said_of_firewall(facts: &ConfigFacts) -> Option<String> {
    let is_reached = facts.ssh.runs() && !serves_itself_only(&facts.ssh);
    let shut = is_reached && firewall_is_shut(facts);
    let ports: Vec<String> = facts.ssh.ports.iter().map(u16::to_string).collect();
    let ports = ports.join(", ");
    shut.then(|| {
        if facts.firewall.opened_by_ssh {
            format!("networking.firewall has no open port {ports}")
        } else {
            format!(
                "services.openssh.openFirewall = false, and the firewall has no open port {ports}"
            )
        }
    })
}

/// The priority of what `lib.mkForce` sets.
const FORCED: u32 = 50;
/// The priority of a plain definition.
const PLAIN: u32 = 100;

/// The line with which the firewall lets the SSH server be reached.
pub(super) fn line_that_opens_the_firewall(facts: &ConfigFacts) -> String {
    let port = facts.ssh.ports.first().map_or(22, |port| *port);
    let wall = &facts.firewall;
    if wall.ports_priority < PLAIN {
        // That list replaces every other one, also the one with the ports of the SSH server.
        let ports = wall.ports.iter().chain([&port]).map(u16::to_string);
        let ports = ports.collect::<Vec<_>>().join(" ");
        let force = if wall.ports_priority == FORCED {
            "mkForce".to_owned()
        } else {
            format!("mkOverride {}", wall.ports_priority)
        };
        format!(
            "networking.firewall.allowedTCPPorts = lib.{force} [ {ports} ]; # replaces that list"
        )
    } else if wall.opened_by_ssh {
        format!("networking.firewall.allowedTCPPorts = [ {port} ];")
    } else {
        "services.openssh.openFirewall = true; # replaces the line with false".to_owned()
    }
}

/// Whether the automatic login at the console is meant to be the only one: no user has a key or a password, not even a wrong one.
fn is_only_way_in(facts: &ConfigFacts) -> bool {
    let is_meant = broken_keys(facts).is_none()
        && expired_keys(facts).is_none()
        && invalid_hashes(facts).is_none();
    is_meant && nobody_has_a_secret(facts) && facts.autologin.is_some() && !facts.installer
}

/// Why the user `name`, who can log in, cannot become root.
fn said_of_no_administrator(facts: &ConfigFacts, name: &str) -> String {
    let user = facts.users.iter().find(|user| user.name == name);
    let is_in_wheel = user.is_some_and(|user| user.groups.iter().any(|group| group == "wheel"));
    let reason = if !facts.sudo.enable {
        format!("{}.enable = false", facts.sudo.option)
    } else if is_in_wheel {
        format!(
            "sudo asks for a password, and {} has none",
            user_option(name)
        )
    } else {
        format!(
            "{}.extraGroups does not have wheel, the group that may use sudo",
            user_option(name)
        )
    };
    format!("{name} can log in but cannot become root, because {reason}")
}

/// What is said of users with an empty password. Those of an installer are meant to have one.
fn with_empty_password(facts: &ConfigFacts) -> Option<String> {
    let is_empty = |user: &&UserFacts| {
        let is_logged_in = facts.autologin.as_ref() == Some(&user.name);
        user.password == PasswordState::Empty && !is_logged_in && !facts.installer
    };
    let users = facts.users.iter().filter(is_empty);
    let options: Vec<String> = users.map(|user| user_option(&user.name)).collect();
    (!options.is_empty()).then(|| format!("the password of {} is empty", options.join(", ")))
}

fn autologin(facts: &ConfigFacts) -> Option<String> {
    let user = facts.autologin.as_deref()?;
    Some(format!("services.getty.autologinUser = \"{user}\""))
}

fn names(users: &[UserFacts]) -> String {
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
