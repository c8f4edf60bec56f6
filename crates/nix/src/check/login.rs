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
        ssh_local(facts),
        ssh_port(facts),
        firewall(facts),
        autologin(facts),
        no_admin(facts),
        sudo_password(facts),
    ];
    let of_users = facts.users.iter().flat_map(|user| {
        [
            missing_shell(facts, user),
            empty_password(facts, user),
            unknown_group(facts, user),
        ]
    });
    single.into_iter().chain(of_users).flatten().collect()
}

fn nobody_gets_in(facts: &ConfigFacts) -> Option<Finding> {
    // Other rules name the cause already.
    let is_explained = has_wrong_key(facts) || has_wrong_hash(facts);
    let names: Vec<&str> = facts.users.iter().map(|user| user.name.as_str()).collect();
    let expired = facts.users.iter().find(|user| user.has_expired_key);
    let expired =
        expired.map(|user| format!("; the expiry-time of a key of {} is over", user.name));
    let detail = format!(
        "no key and no password ({}{})",
        names.join(", "),
        expired.unwrap_or_default()
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
    Some(finding.fix([Change::set(option, "true")]))
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

fn ssh_local(facts: &ConfigFacts) -> Option<Finding> {
    let option = path("services.openssh.listenAddresses");
    let finding = Finding::of_option(
        "ssh-local",
        Warning,
        option.clone(),
        format!(" has only {}", facts.ssh.addresses.join(", ")),
        "no other machine can connect to the SSH server, except through a tunnel",
    );
    let is_local = facts.ssh.runs() && facts.ssh.serves_itself_only();
    is_local.then(|| finding.fix([Change::set(option, "lib.mkForce [ ]")]))
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
    /// The priority of what `lib.mkForce` sets.
    const FORCED: u32 = 50;
    /// The priority of a plain definition.
    const PLAIN: u32 = 100;
    let is_reached = facts.ssh.runs() && !facts.ssh.serves_itself_only();
    if !is_reached || !facts.firewall_is_shut() {
        return None;
    }
    let wall = &facts.firewall;
    let ports: Vec<String> = facts.ssh.ports.iter().map(u16::to_string).collect();
    let port = ports.first().map_or("22", String::as_str);
    let allowed = path("networking.firewall.allowedTCPPorts");
    let open = path("services.openssh.openFirewall");
    let change = if wall.ports_priority < PLAIN {
        // That list replaces every other one, also the one with the ports of the SSH server.
        let all = wall.ports.iter().map(u16::to_string);
        let all: Vec<String> = all.chain([port.to_owned()]).collect();
        let force = match wall.ports_priority {
            FORCED => "mkForce".to_owned(),
            priority => format!("mkOverride {priority}"),
        };
        Change::set(
            allowed.clone(),
            format!("lib.{force} [ {} ]", all.join(" ")),
        )
    } else if wall.opened_by_ssh {
        Change::add(allowed.clone(), [port.to_owned()])
    } else {
        Change::set(open.clone(), "true")
    };
    let ports = listed(&ports);
    let finding = if wall.opened_by_ssh {
        let detail = format!(" does not have {ports}");
        Finding::of_option("firewall", Error, allowed, detail, "")
    } else {
        let detail = format!(", and the firewall has no open port {ports}");
        Finding::of_value("firewall", Error, open, "false", "").detail(detail)
    };
    Some(if wall.has_own_rules {
        Finding {
            severity: Warning,
            why: "the firewall blocks the SSH server, unless your own rules for iptables or nftables open the port. check \
                  does not read those rules"
                .to_owned(),
            ..finding
        }
    } else {
        Finding {
            why: "the firewall blocks every connection to the SSH server".to_owned(),
            ..finding.fix([change])
        }
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

fn empty_password(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    // Those of an installer are meant to have one.
    let is_logged_in = facts.autologin.as_ref() == Some(&user.name) || facts.installer;
    let is_empty = user.password == PasswordState::Empty && !is_logged_in;
    is_empty.then(|| {
        Finding::of_option(
            "empty-password",
            Warning,
            member("users.users", &user.name, ""),
            " has an empty password",
            "anyone at the console can log in without a password. If that is not what you want, remove the definition",
        )
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::finding::option_text;
    use super::super::tests::{KEY, assert_found, found, of_id, user, wheel, with};
    use super::*;

    fn users(all: &[Value]) -> (&'static str, Value) {
        ("/users", json!(all))
    }

    fn root() -> Value {
        user("root", &[KEY], "none")
    }

    #[test]
    fn somebody_gets_in() {
        let nobody = users(&[user("root", &[], "none")]);
        let other_keys = ("/ssh/other_keys", json!(true));
        assert_found(&[
            ("nobody-gets-in", "", std::slice::from_ref(&nobody)),
            ("", "", &[nobody.clone(), other_keys]),
            (
                "ssh-off",
                "services.openssh.enable",
                &[("/ssh/enable", json!(false))],
            ),
            (
                "ssh-off",
                "systemd.services.sshd.enable",
                &[("/ssh/unit_off", json!("systemd.services.sshd.enable"))],
            ),
            (
                "ssh-unread",
                "services.openssh",
                &[("/ssh/unread", json!(["match"]))],
            ),
            (
                "ssh-local",
                "services.openssh.listenAddresses",
                &[("/ssh/addresses", json!(["127.0.0.1", "[::1]"]))],
            ),
            (
                "",
                "",
                &[("/ssh/addresses", json!(["127.0.0.1", "0.0.0.0"]))],
            ),
            (
                "ssh-port",
                "services.openssh.settings.Port",
                &[("/ssh/other_port", json!(2222))],
            ),
        ]);
        let mut expired = user("root", &[], "none");
        expired["has_expired_key"] = json!(true);
        let finding = of_id("nobody-gets-in", &[users(&[expired])]);
        assert!(finding.detail.contains("expiry-time"), "{}", finding.detail);
    }

    #[test]
    fn the_server_that_lets_nobody_in_names_its_setting() {
        let setting = |name: &str| format!("services.openssh.settings.{name}");
        for (who, change, option) in [
            (root(), ("/ssh/root", json!("no")), "PermitRootLogin"),
            (root(), ("/ssh/keys", json!("no")), "PubkeyAuthentication"),
            (root(), ("/ssh/allowed", json!(["bob"])), "AllowUsers"),
            (root(), ("/ssh/denied", json!(["root"])), "DenyUsers"),
            (
                wheel("ann", &[], "set"),
                ("/ssh/passwords", json!(false)),
                "PasswordAuthentication",
            ),
        ] {
            let changes = [users(&[who]), change];
            let finding = of_id("ssh-turns-away", &changes);
            assert_eq!(option_text(&finding.option.unwrap()), setting(option));
            // Of keys elsewhere nothing is known.
            let elsewhere = [&changes[..], &[("/ssh/other_keys", json!(true))]].concat();
            assert!(!found(&elsewhere).contains(&"ssh-turns-away"));
        }
        let two = users(&[root(), wheel("ann", &[], "set")]);
        let finding = of_id("ssh-turns-away", &[two, ("/ssh/root", json!("no"))]);
        assert_eq!(finding.option, None);
        assert_eq!(finding.lines(None).len(), 1, "{finding:?}");
    }

    #[test]
    fn the_firewall_opens_the_ports_of_the_server() {
        let shut = ("/firewall/admitted", json!([]));
        let lines = |more: &[(&str, Value)]| {
            let changes = [&[shut.clone()][..], more].concat();
            let finding = of_id("firewall", &changes);
            (
                option_text(finding.option.as_deref().unwrap()),
                finding.severity,
                finding.lines(None),
            )
        };
        let allowed = "networking.firewall.allowedTCPPorts";
        for (more, option, severity, line) in [
            (
                vec![],
                allowed,
                Error,
                Some("networking.firewall.allowedTCPPorts = [ 22 ];"),
            ),
            (
                vec![("/firewall/opened_by_ssh", json!(false))],
                "services.openssh.openFirewall",
                Error,
                Some("services.openssh.openFirewall = true;"),
            ),
            (
                vec![
                    ("/firewall/ports", json!([80])),
                    ("/firewall/ports_priority", json!(50)),
                ],
                allowed,
                Error,
                Some("networking.firewall.allowedTCPPorts = lib.mkForce [ 80 22 ];"),
            ),
            (
                vec![("/firewall/has_own_rules", json!(true))],
                allowed,
                Warning,
                None,
            ),
        ] {
            let expected: Vec<String> = line.into_iter().map(str::to_owned).collect();
            assert_eq!(lines(&more), (option.to_owned(), severity, expected));
        }
        for fine in [
            ("/firewall/enable", json!(false)),
            ("/firewall/trusts", json!(true)),
        ] {
            assert_eq!(found(&[shut.clone(), fine]), [""; 0]);
        }
    }

    #[test]
    fn a_shell_is_a_program_that_nixos_has() {
        let with_shell = |mut user: Value, shell: &str| {
            user["shell"] = json!(shell);
            user
        };
        let zsh = with_shell(root(), "/usr/bin/zsh");
        let option = "users.users.root.shell";
        let refusing = with_shell(root(), "nologin");
        assert_found(&[
            ("no-shell", option, &[users(std::slice::from_ref(&zsh))]),
            (
                "no-shell",
                option,
                &[users(std::slice::from_ref(&refusing))],
            ),
            (
                "",
                "",
                &[users(&[refusing.clone(), wheel("ann", &[KEY], "set")])],
            ),
            ("", "", &[users(&[with_shell(root(), "/bin/sh")])]),
        ]);
        let bob = with_shell(user("bob", &[], "none"), "/bin/zsh");
        let finding = of_id("no-shell", &[users(&[root(), bob])]);
        assert_eq!(finding.severity, Warning);
        let finding = of_id("no-shell", &[users(&[zsh])]);
        let lines = [
            "users.users.root.shell = pkgs.zsh;",
            "programs.zsh.enable = true;",
        ];
        assert_eq!(
            (finding.severity, finding.lines(None)),
            (Error, lines.map(str::to_owned).to_vec())
        );
        let block = [users(&[refusing]), ("/ssh/unread", json!(["match"]))];
        assert_eq!(found(&block), ["ssh-unread"]);
    }

    #[test]
    fn nobody_is_logged_in_without_a_password() {
        let at_console = || ("/autologin", json!("root"));
        let option = "services.getty.autologinUser";
        assert_found(&[
            ("autologin", option, &[at_console()]),
            (
                "autologin",
                option,
                &[at_console(), ("/installer", json!(true))],
            ),
            (
                "autologin",
                option,
                &[at_console(), users(&[user("root", &[], "none")])],
            ),
            (
                "empty-password",
                "users.users.ann",
                &[users(&[root(), wheel("ann", &[], "empty")])],
            ),
        ]);
        let last = |more: &[(&str, Value)]| {
            let fix = of_id("autologin", &[&[at_console()][..], more].concat()).fix;
            fix[0].option.last().unwrap().clone()
        };
        assert_eq!(last(&[]), "autologinUser");
        assert_eq!(last(&[("/installer", json!(true))]), "imports");
        assert_eq!(last(&[users(&[user("root", &[], "none")])]), "keys");
    }

    #[test]
    fn whoever_logs_in_can_administer_the_machine() {
        let lines = |who: Value, more: &[(&str, Value)]| {
            let changes = [&[users(&[who])][..], more].concat();
            of_id("no-admin", &changes).lines(None)
        };
        let group = "users.users.ann.extraGroups = [ \"wheel\" ];";
        let free = "security.sudo.wheelNeedsPassword = false; # or a password for ann";
        assert_eq!(lines(user("ann", &[KEY], "set"), &[]), [group]);
        assert_eq!(lines(user("ann", &[KEY], "none"), &[]), [group, free]);
        assert_eq!(lines(wheel("ann", &[KEY], "none"), &[]), [free]);
        let off = [("/sudo/enable", json!(false))];
        let on = "security.sudo.enable = true;";
        assert_eq!(lines(wheel("ann", &[KEY], "set"), &off), [on]);
        let in_rust = [("/sudo/option", json!("security.sudo-rs"))];
        let free = free.replace("sudo", "sudo-rs");
        assert_eq!(lines(wheel("ann", &[KEY], "none"), &in_rust), [free]);
        let at_console = [("/autologin", json!("ann"))];
        assert_eq!(lines(user("ann", &[], "set"), &at_console), [group]);
        let both = users(&[root(), wheel("ann", &[KEY], "none")]);
        assert_found(&[("sudo-password", "users.users.ann", &[both])]);
        let nobody = users(&[wheel("ann", &[], "none")]);
        assert_eq!(found(&[nobody]), ["nobody-gets-in"]);
    }

    #[test]
    fn a_group_that_does_not_exist_has_the_line_that_makes_it() {
        let lines = |group: &str, more: &[(&str, Value)]| {
            let mut ann = wheel("ann", &[], "set");
            ann["unknown_groups"] = json!([group]);
            let changes = [&[users(&[root(), ann])][..], more].concat();
            let finding = of_id("unknown-group", &changes);
            let option = option_text(finding.option.as_deref().unwrap());
            assert_eq!(option, "users.users.ann.extraGroups");
            finding.lines(None).concat()
        };
        for (group, line) in [
            (
                "sudo",
                "users.users.ann.extraGroups = [ \"wheel\" ]; # in place of \"sudo\"",
            ),
            (
                "vide",
                "users.users.ann.extraGroups = [ \"video\" ]; # in place of \"vide\"",
            ),
            (
                "docker",
                "virtualisation.docker.enable = true; # makes the group docker, or leave the group out",
            ),
            ("web site", "users.groups.\"web site\" = { };"),
        ] {
            assert_eq!(lines(group, &[]), line);
        }
        let wireless = [("/network/wireless", json!(true))];
        assert_eq!(lines("networkmanager", &wireless), "");
    }

    #[test]
    fn findings_name_their_users() {
        assert_eq!(with(&[]).inside(), ["root"]);
        let with_space = users(&[root(), wheel("ann b", &[], "empty")]);
        assert_found(&[("empty-password", "users.users.\"ann b\"", &[with_space])]);
    }
}
