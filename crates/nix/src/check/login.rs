//! The rules about logging in and administering the machine. Pure.

use super::accounts::{has_wrong_hash, has_wrong_key};
use super::facts::{ConfigFacts, PasswordState, UserFacts};
use super::finding::Severity::{Error, Warning};
use super::finding::{Change, Finding, member, path, user_option};
use super::ways_in::{
    changes_for_administrator, changes_that_admit, join_group, obstacles_text, way_in, who_gets_in,
    why_no_administrator,
};
use sdbuild_core::nearest::similar_names;
use sdbuild_core::nix_string::nix_string;
use sdbuild_core::text::listed;

/// What keeps people from logging in, lets everybody in, or keeps those who log in from becoming root.
pub(super) fn findings(facts: &ConfigFacts) -> Vec<Finding> {
    let single = [
        nobody_gets_in(facts),
        refusing_shell(facts),
        ssh_off(facts),
        ssh_turns_away(facts),
        ssh_unread(facts),
        ssh_port(facts),
        firewall(facts),
        autologin(facts),
        no_admin(facts),
        sudo_password(facts),
    ];
    let of_users = facts
        .users
        .iter()
        .flat_map(|user| [missing_shell(facts, user), unknown_group(facts, user)]);
    single.into_iter().chain(of_users).flatten().collect()
}

fn nobody_gets_in(facts: &ConfigFacts) -> Option<Finding> {
    // Other rules name the cause already.
    let is_explained = has_wrong_key(facts) || has_wrong_hash(facts);
    let names: Vec<&str> = facts.users.iter().map(|user| user.name.as_str()).collect();
    let expired = facts.users.iter().find(|user| user.has_expired_key);
    let expired =
        expired.map(|user| format!("; the expiry-time of a key of {} is over", user.name));
    let is_late = |user: &&UserFacts| user.password == PasswordState::Late;
    let late = facts.users.iter().find(is_late);
    let late = late.map(|user| {
        let name = &user.name;
        format!("; the password of {name} is a secret that the first start cannot decrypt")
    });
    let detail = format!(
        "no key and no password ({}{}{})",
        names.join(", "),
        expired.unwrap_or_default(),
        late.unwrap_or_default()
    );
    let why = "the machine starts, but nobody can log in";
    (facts.is_locked_out() && !is_explained).then(|| {
        Finding::general("nobody-gets-in", Error, detail, why).fix([Change::own_key("root")])
    })
}

fn missing_shell(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    let shell = user.missing_shell()?;
    let is_at_console = facts.autologin.as_ref() == Some(&user.name);
    let could_log_in = user.has_secret() || is_at_console;
    let option = user_option(&user.name, "shell");
    let name = shell.rsplit('/').next().unwrap_or_default();
    let package = match name {
        "dash" | "fish" | "ksh" | "nushell" | "zsh" => name,
        _ => "bash",
    };
    let change = Change::set(option.clone(), format!("pkgs.{package}"));
    // NixOS refuses these shells for a user unless they are enabled as programs.
    let enabled = ["fish", "zsh"].contains(&package);
    let enabled = enabled.then(|| Change::set(member("programs", package, "enable"), "true"));
    let finding = Finding::of_value(
        "no-shell",
        if could_log_in { Error } else { Warning },
        option,
        nix_string(shell),
        "there is no program at that path on NixOS, so SSH and the console refuse the user",
    );
    Some(finding.fix([change]).fix(enabled))
}

/// Every user with a key or a password has a shell that ends the login.
fn refusing_shell(facts: &ConfigFacts) -> Option<Finding> {
    let mut users = facts.users.iter().filter(|user| user.has_secret());
    let first = users.next()?;
    let shell = first.refusing_shell()?;
    let all = users.all(|user| user.refusing_shell().is_some());
    // A block for some users may run another program than the shell, such as internal-sftp.
    let has_block = facts.ssh.unread.iter().any(|keyword| keyword == "match");
    let is_certain = !facts.ssh.other_keys && !has_block && facts.autologin.is_none();
    let option = user_option(&first.name, "shell");
    let change = Change::set(option.clone(), "pkgs.bashInteractive");
    let finding = Finding::of_option(
        "no-shell",
        Error,
        option,
        format!(" is {shell}"),
        "that program ends every session at once, and no other user has a key or a password. Users with isSystemUser \
         have it; people need isNormalUser",
    );
    let change = change.note("or isNormalUser instead of isSystemUser");
    (all && is_certain).then(|| finding.fix([change]))
}

fn ssh_off(facts: &ConfigFacts) -> Option<Finding> {
    let service = (!facts.ssh.enable).then_some("services.openssh.enable");
    let option = path(service.or(facts.ssh.unit_off.as_deref())?);
    let finding = Finding::of_value(
        "ssh-off",
        Error,
        option.clone(),
        "false",
        "without a display and a keyboard, nobody can reach the machine",
    );
    (!facts.ssh.by_tailscale).then(|| finding.fix([Change::set(option, "true")]))
}

fn ssh_turns_away(facts: &ConfigFacts) -> Option<Finding> {
    let users = facts.users.iter();
    let users = users.filter(|user| user.has_secret() && user.has_working_shell());
    let obstacle = |user: &UserFacts| {
        let obstacle = way_in(&facts.ssh, user).err()?;
        Some(obstacle.option_and_text(user))
    };
    let obstacles: Vec<_> = users.filter_map(obstacle).collect();
    let is_shut = facts.ssh.runs() && !facts.ssh.other_keys && who_gets_in(facts).is_empty();
    let why = "the SSH server runs, but nobody can log in";
    let finding = match obstacles.as_slice() {
        [] => return None,
        [(option, text)] => {
            Finding::of_option("ssh-turns-away", Error, option.clone(), text.clone(), why)
        }
        several => Finding::general("ssh-turns-away", Error, obstacles_text(several), why),
    };
    is_shut.then(|| finding.fix(changes_that_admit(facts)))
}

fn ssh_unread(facts: &ConfigFacts) -> Option<Finding> {
    let unread = facts.ssh.unread.join(", ");
    let finding = Finding::of_option(
        "ssh-unread",
        Warning,
        path("services.openssh"),
        format!(" has settings for {unread}"),
        "these settings decide who can log in (sshd_config(5)), but check does not read them",
    );
    (facts.ssh.runs() && !unread.is_empty()).then_some(finding)
}

fn ssh_port(facts: &ConfigFacts) -> Option<Finding> {
    let port = facts.ssh.other_port.filter(|_| facts.ssh.runs())?;
    let finding = Finding::of_value(
        "ssh-port",
        Warning,
        path("services.openssh.settings.Port"),
        port.to_string(),
        "the firewall opens only the ports of services.openssh.ports",
    );
    let ports = format!("[ {port} ]");
    let change = Change::set(path("services.openssh.ports"), ports);
    Some(finding.fix([change.note("instead of settings.Port")]))
}

fn firewall(facts: &ConfigFacts) -> Option<Finding> {
    let is_reached = facts.ssh.runs() && !facts.ssh.serves_itself_only();
    if !is_reached || !facts.firewall_is_shut() || facts.ssh.by_tailscale {
        return None;
    }
    let ports: Vec<String> = facts.ssh.ports.iter().map(u16::to_string).collect();
    let mut shown = listed(&ports);
    if !facts.firewall.later.is_empty() {
        shown = format!("{shown} but on {}", listed(&facts.firewall.later));
    }
    let (finding, change) = if facts.firewall.opened_by_ssh {
        // A list with a higher priority leaves out that of the SSH server.
        let allowed = path("networking.firewall.allowedTCPPorts");
        let detail = format!(" does not have {shown}");
        let finding = Finding::of_option("firewall", Error, allowed.clone(), detail, "");
        (finding, Change::add(allowed, ports.first().cloned()))
    } else {
        let open = path("services.openssh.openFirewall");
        let detail = format!(", and the firewall has no open port {shown}");
        let finding = Finding::of_value("firewall", Error, open.clone(), "false", "");
        (finding.detail(detail), Change::set(open, "true"))
    };
    let (severity, why, fix) = if facts.firewall.has_own_rules {
        let why = "the firewall blocks the SSH server, unless your own rules for iptables or nftables open the port. check \
                   does not read those rules";
        (Warning, why, Vec::new())
    } else {
        (
            Error,
            "the firewall blocks every connection to the SSH server on the interfaces that a board starts with",
            vec![change],
        )
    };
    Some(Finding {
        severity,
        why: why.to_owned(),
        ..finding.fix(fix)
    })
}

fn autologin(facts: &ConfigFacts) -> Option<Finding> {
    let user = facts.autologin.as_deref()?;
    let option = path("services.getty.autologinUser");
    let finding = Finding::of_value(
        "autologin",
        Warning,
        option.clone(),
        nix_string(user),
        "anyone at the console is logged in without a password",
    );
    let is_meant = !has_wrong_key(facts) && !has_wrong_hash(facts);
    Some(if facts.installer {
        let module = "[ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ]";
        let change = Change::set(path("imports"), module).note("not …-installer.nix");
        finding.detail(", as on an installer").fix([change])
    } else if facts.has_no_secret() && is_meant {
        let detail = ", and nobody can log in over SSH, because no user has a key or a password";
        finding.detail(detail).fix([Change::own_key("root")])
    } else {
        finding.fix([Change::set(option, "lib.mkForce null")])
    })
}

fn no_admin(facts: &ConfigFacts) -> Option<Finding> {
    let names = facts.inside();
    let first = names.first()?;
    let is_one = names.iter().any(|name| facts.is_administrator(name));
    let why = "nobody who can log in can change the machine";
    let obstacles: Vec<_> = names
        .iter()
        .map(|name| why_no_administrator(facts, name))
        .collect();
    let finding = match obstacles.as_slice() {
        [(option, text)] => {
            Finding::of_option("no-admin", Error, option.clone(), text.clone(), why)
        }
        several => Finding::general("no-admin", Error, obstacles_text(several), why),
    };
    let nobody = !is_one && !facts.ssh.other_keys;
    nobody.then(|| finding.fix(changes_for_administrator(facts, first)))
}

/// A user in wheel without a password, for which sudo asks, where another one can administer the machine.
fn sudo_password(facts: &ConfigFacts) -> Option<Finding> {
    let (others, without): (Vec<&str>, Vec<&str>) = facts
        .inside()
        .into_iter()
        .partition(|name| facts.is_administrator(name));
    let users = without.into_iter().filter_map(|name| facts.user(name));
    let user = users.into_iter().find(|user| user.is_in_wheel())?;
    let name = &user.name;
    let finding = Finding::of_option(
        "sudo-password",
        Warning,
        member("users.users", name, ""),
        " has no password, for which sudo asks",
        format!("{name} is in the group wheel, but cannot use sudo"),
    );
    let is_told = facts.sudo.enable && !others.is_empty();
    is_told.then(|| finding.fix(changes_for_administrator(facts, name)))
}

/// Groups that other systems have for sudo.
const OF_SUDO: [&str; 3] = ["admin", "sudo", "sudoers"];
/// Groups that an option of NixOS makes.
const OF_OPTIONS: [(&str, &str); 5] = [
    ("docker", "virtualisation.docker.enable"),
    ("i2c", "hardware.i2c.enable"),
    ("libvirtd", "virtualisation.libvirtd.enable"),
    ("networkmanager", "networking.networkmanager.enable"),
    ("podman", "virtualisation.podman.enable"),
];

fn unknown_group(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    let groups: Vec<String> = user
        .unknown_groups
        .iter()
        .map(|name| nix_string(name))
        .collect();
    let changes = user.unknown_groups.iter();
    let changes = changes.filter_map(|group| change_for_group(facts, &user.name, group));
    let finding = Finding::of_option(
        "unknown-group",
        Warning,
        user_option(&user.name, "extraGroups"),
        format!(" has {}", groups.join(" ")),
        "the machine has no such group, so the user is not in it",
    );
    (!groups.is_empty()).then(|| finding.fix(changes))
}

/// The change with which `user` is in the group that is meant by the name of one that does not exist.
fn change_for_group(facts: &ConfigFacts, user: &str, group: &str) -> Option<Change> {
    let net = &facts.network;
    let in_place = |meant: &str| {
        let note = format!("in place of {}", nix_string(group));
        join_group(user, meant).note(note)
    };
    if OF_SUDO.contains(&group) {
        return Some(in_place("wheel"));
    }
    if let Some((_, option)) = OF_OPTIONS.iter().find(|(name, _)| *name == group) {
        // NixOS refuses both.
        let is_refused = group == "networkmanager" && (net.wireless || net.iwd);
        let note = format!("makes the group {group}, or leave the group out");
        return (!is_refused).then(|| Change::set(path(option), "true").note(note));
    }
    let known = facts.groups.iter().map(String::as_str);
    match similar_names(group, known) {
        Some(meant) if !meant.contains(' ') => Some(in_place(&meant)),
        Some(several) => {
            let note = format!("is {several} meant?");
            Some(Change::set(member("users.groups", group, ""), "{ }").note(note))
        }
        None => Some(Change::set(member("users.groups", group, ""), "{ }")),
    }
}
