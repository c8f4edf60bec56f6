//! Findings of `check` about units of the user's own that systemd does not start as they are meant, and about names and values of files.

use serde_json::Value;

use super::{IMAGE, check, ids, report};
use crate::support::*;

/// What `check` tells of a configuration without mistakes and these definitions, which begin in line 3.
fn told(user: &TestUser, public: &str, more: &str) -> Outcome {
    let text = format!(
        "{{ lib, pkgs, ... }}: {{ {IMAGE} system.stateVersion = \"26.05\"; services.openssh.enable = true;\n  \
         users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n{more}\n}}\n"
    );
    check(user, "pi.nix", &text).assert_exit_code(0)
}

/// A line of a configuration each, with the finding about it.
const WRONG: [(&str, &str); 19] = [
    (
        "systemd.services.a = { script = \"true\"; wantedBy = [ \"multiuser.target\" ]; };",
        "unknown-target",
    ),
    (
        "systemd.services.b = { script = \"true\"; requiredBy = [ \"graphical-session.target\" ]; };",
        "unknown-target",
    ),
    (
        "systemd.timers.c = { wantedBy = [ \"timer.target\" ]; timerConfig.OnBootSec = 60; };",
        "unknown-target",
    ),
    (
        "systemd.services.c2 = { script = \"true\"; wantedBy = [ \"multi-user\" ]; };",
        "unknown-target",
    ),
    (
        "systemd.services.c3 = { startAt = \"daily\"; serviceConfig.ExecStart = \"${pkgs.busybox}/bin/cat a &\"; };",
        "shell-command",
    ),
    (
        "systemd.timers.d = { timerConfig.OnBootSec = 60; };",
        "idle-timer",
    ),
    (
        "systemd.services.e = { startAt = \"daily\"; script = \"true\"; serviceConfig.User = \"rot\"; }; services.samba.winbindd.enable = true;",
        "no-account",
    ),
    (
        "systemd.services.f = { startAt = \"daily\"; script = \"true\"; serviceConfig.Group = \"apps\"; };",
        "no-account",
    ),
    (
        "systemd.services.g = { startAt = \"daily\"; serviceConfig.ExecStart = \"${pkgs.busybox}/bin/cat a > b\"; };",
        "shell-command",
    ),
    (
        "systemd.services.h = { startAt = \"daily\"; script = \"true\"; serviceConfig.ExecStartPre = [ \"${pkgs.busybox}/bin/true && x\" ]; };",
        "shell-command",
    ),
    (
        "systemd.services.i = { startAt = \"daily\"; serviceConfig.ExecStart = \"${pkgs.busybox}/bin/sh …\"; };",
        "placeholder",
    ),
    (
        "networking.wireless = { enable = true; networks.\"…\".pskRaw = \"ext:NAME\"; secretsFile = \"/etc/x\"; };",
        "placeholder",
    ),
    (
        "networking.wireless.networks.b.pskRaw = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\";",
        "placeholder",
    ),
    (
        "system.autoUpgrade = { enable = true; flake = \"github:me/config#NAME\"; };",
        "placeholder",
    ),
    (
        "environment.etc.\"/etc/motd2\" = { text = \"hi\"; };",
        "etc-in-etc",
    ),
    (
        "environment.etc.foo = { text = \"hi\"; target = \"etc/bar\"; };",
        "etc-in-etc",
    ),
    (
        "swapDevices = [ { device = \"/swapfile\"; } { device = \"/big\"; size = 10; } { device = \"/dev/sda9\"; } ];",
        "no-swap-file",
    ),
    (
        "services.avahi = { enable = true; publish.addresses = true; };",
        "not-published",
    ),
    (
        "users.users.ann = { isNormalUser = true; openssh.authorizedKeys.keys = [ \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ me\" ]; };",
        "placeholder",
    ),
];

/// Units that start as they are meant, names that are right, and what is not known.
const FINE: [&str; 25] = [
    "systemd.targets.mine = { }; systemd.services.a = { script = \"true\"; wantedBy = [ \"mine.target\" \"dev-x.device\" \"b.service\" ]; };",
    "systemd.services.b = { script = \"true\"; wantedBy = [ \"default.target\" \"some-packages.target\" ]; };",
    "systemd.services.c = { script = \"true\"; startAt = \"daily\"; }; systemd.timers.c.timerConfig.Persistent = true;",
    "systemd.timers.d.timerConfig.OnBootSec = 60; systemd.services.d2 = { startAt = \"daily\"; script = \"systemctl start d.timer\"; };",
    "systemd.timers.e.timerConfig.OnBootSec = 60; systemd.targets.mine.wants = [ \"e.timer\" ];",
    "systemd.timers.f = { enable = false; timerConfig.OnBootSec = 60; };",
    "systemd.services.g = { startAt = \"daily\"; script = \"true\"; serviceConfig = { User = \"g\"; DynamicUser = true; }; };",
    "systemd.services.h = { startAt = \"daily\"; script = \"true\"; serviceConfig = { User = \"g\"; Group = \"g\"; }; };",
    "systemd.services.i = { startAt = \"daily\"; script = \"true\"; serviceConfig = { User = \"%i\"; Group = 100; }; };",
    "systemd.services.j = { startAt = \"daily\"; script = \"true\"; serviceConfig = { User = \"1000\"; Group = \"users\"; }; };",
    "systemd.services.k = { startAt = \"daily\"; serviceConfig.ExecStart = \"${pkgs.busybox}/bin/sh -c 'a && b > c'\"; };",
    "systemd.services.l = { startAt = \"daily\"; serviceConfig.ExecStart = \"${pkgs.busybox}/bin/sh -c \\\"a | b\\\" a&&b\"; };",
    "systemd.services.l2 = { startAt = \"daily\"; serviceConfig.ExecStart = \"${pkgs.busybox}/bin/sh -c '${lib.concatStrings (lib.genList (_: \"true && \") 400)} true'\"; };",
    "systemd.services.l3 = { startAt = \"daily\"; serviceConfig.ExecStart = \"${pkgs.busybox}/bin/expr 1 | 2\"; };",
    "systemd.services.l4 = { startAt = \"daily\"; serviceConfig.ExecStart = \"${pkgs.busybox}/bin/echo Waiting … done\"; };",
    "systemd.timers.l5.timerConfig.OnBootSec = 60; systemd.services.l6 = { startAt = \"daily\"; script = \"systemctl start $T\"; environment.T = \"l5.timer\"; };",
    "systemd.services.l7 = { startAt = \"daily\"; script = \"dd of=$F\"; environment.F = \"/swap3\"; };",
    "i18n = { defaultLocale = \"de_DE\"; supportedLocales = [ \"de_DE/ISO-8859-1\" \"en_US.UTF-8/UTF-8\" ]; };",
    "systemd.services.m = { startAt = \"daily\"; script = \"true && true > /tmp/x\"; };",
    "environment.etc.\"my/etc/a\".text = \"\"; environment.etc.\"etc-b\".text = \"\";",
    "environment.etc.\"/etc/off\" = { enable = false; text = \"\"; };",
    "systemd.tmpfiles.rules = [ \"f /swap1\" ]; systemd.services.n = { startAt = \"daily\"; script = \"dd of=/swap2\"; };",
    "swapDevices = [ { device = \"/swap1\"; } { device = \"/swap2\"; } { device = \"/swap3\"; } { device = \"/x\"; options = [ \"nofail\" ]; } ];",
    "services.avahi.publish = { enable = true; addresses = true; }; services.avahi.enable = true;",
    "networking.wireless = { enable = true; networks.home.pskRaw = \"ext:home\"; secretsFile = \"/etc/wifi\"; };",
];

#[test]
fn units_and_names_that_do_nothing_are_found() {
    if !engine_ready() {
        return;
    }
    let user = TestUser::new();
    let (_, public) = key(&user);
    let lines: Vec<&str> = WRONG.iter().map(|(line, _)| *line).collect();
    let checked = told(&user, &public, &lines.join("\n"));
    let findings = report(&checked);
    let findings = findings["findings"].as_array().unwrap();
    let has_no_place = |one: &Value| one["line"].is_null();
    for (n, (line, id)) in WRONG.iter().enumerate() {
        // `swapDevices` is no path, by which options are known in a text.
        let is_there =
            |one: &&Value| one["line"] == n + 3 || has_no_place(one) && *id == "no-swap-file";
        let found: Vec<&Value> = findings
            .iter()
            .filter(|one| one["id"] == *id)
            .filter(is_there)
            .collect();
        assert_eq!(found.len(), 1, "{line}: {}", checked.stdout);
    }
    assert_eq!(findings.len(), WRONG.len(), "{}", checked.stdout);

    let checked = told(&user, &public, &FINE.join("\n"));
    assert_eq!(ids(&checked), [""; 0], "{}", checked.stdout);
    // What commands of the user's own may make is not known.
    let made = "swapDevices = [ { device = \"/a\"; } ]; systemd.services.a = { startAt = \"daily\"; script = \"true\"; serviceConfig.User = \"b\"; };";
    let file =
        "networking.wireless = { enable = true; networks.home = {\npskRaw = \"ext:home\"; }; };";
    let text = format!(
        "{{ {IMAGE}\nsystem.stateVersion = \"26.05\"; services.openssh.enable = true; users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n{file} }}"
    );
    let checked = check(&user, "pi.nix", &text).assert_exit_code(6);
    assert_eq!(ids(&checked), ["wireless-key"]);
    assert_eq!(report(&checked)["findings"][0]["line"], 4);
    // The main file on the machine may name the file with the key.
    let text = text.replace(
        "enable = true; networks",
        "enable = true; allowAuxiliaryImperativeNetworks = true; networks",
    );
    let checked = check(&user, "pi.nix", &text).assert_exit_code(0);
    assert_eq!(ids(&checked), [""; 0], "{}", checked.stdout);
    let of_commands = format!("{made} system.activationScripts.a = \"useradd b\";");
    assert_eq!(
        ids(&told(&user, &public, made)),
        ["no-account", "no-swap-file"]
    );
    assert_eq!(ids(&told(&user, &public, &of_commands)), [""; 0]);
}

/// A line of a configuration each, with the finding about it.
const MISSPELT: [(&str, &str); 10] = [
    (
        "services.openssh.settings.PasswordAuthentification = false;",
        "misspelt-setting",
    ),
    ("services.openssh.settings.Port = 2222;", "ssh-port"),
    (
        "nix.enable = true; nix.settings.experimental-feature = [ \"flakes\" ];",
        "misspelt-setting",
    ),
    (
        "nix.settings.auto-optimize-store = true;",
        "misspelt-setting",
    ),
    (
        "systemd.services.a = { startAt = \"daily\"; serviceConfig.execStart = \"${pkgs.busybox}/bin/true\"; };",
        "misspelt-setting",
    ),
    (
        "systemd.timers.b = { wantedBy = [ \"timers.target\" ]; timerConfig.OnCalender = \"daily\"; };",
        "misspelt-setting",
    ),
    (
        "systemd.timers.c = { wantedBy = [ \"timers.target\" ]; timerConfig.OnCalendar = \"dayly\"; };",
        "unreadable-time",
    ),
    (
        "systemd.services.d = { script = \"true\"; startAt = \"every day\"; };",
        "unreadable-time",
    ),
    (
        "systemd.services.e = { script = \"true\"; startAt = \"daily\"; unitConfig.conditionPathExists = \"/x\"; };",
        "misspelt-setting",
    ),
    (
        "nix.settings.experimental-features = \"nix-command, flakes\";",
        "feature-comma",
    ),
];

/// Names and times that are right, what is not known, and what has no effect.
const SPELT: [&str; 5] = [
    "services.openssh.settings = { PasswordAuthentication = false; UseDns = true; Port = 22; permitRootLogIn = null; };",
    "nix.enable = true; nix.settings = { extra-experimental-features = [ \"nix-command\" \"flakes\" ]; extra-substituters = [ ]; my-own = true; };",
    "systemd.services.a = { script = \"true\"; startAt = [ \"Mon..Fri 03:00\" \"weekly\" ]; serviceConfig = { Type = \"oneshot\"; X-Mine = 1; }; };",
    "systemd.timers.b = { enable = false; timerConfig.OnCalender = \"dayly\"; };",
    "systemd.timers.c = { wantedBy = [ \"timers.target\" ]; timerConfig = { OnCalendar = \"*-*-* 04:00 CEST\"; OnCalender = lib.mkIf false 1; }; };",
];

#[test]
fn misspelt_settings_and_unreadable_times_are_found() {
    if !engine_ready() {
        return;
    }
    let user = TestUser::new();
    let (_, public) = key(&user);
    let lines: Vec<&str> = MISSPELT.iter().map(|(line, _)| *line).collect();
    let checked = told(&user, &public, &lines.join("\n"));
    let findings = report(&checked);
    let findings = findings["findings"].as_array().unwrap();
    for (n, (line, id)) in MISSPELT.iter().enumerate() {
        let mut there = findings.iter().filter(|one| one["line"] == n + 3);
        let found = there.next().map(|one| one["id"].as_str());
        assert_eq!(found, Some(Some(*id)), "{line}: {}", checked.stdout);
    }
    assert_eq!(findings.len(), MISSPELT.len(), "{}", checked.stdout);
    let checked = told(&user, &public, &SPELT.join("\n"));
    assert_eq!(ids(&checked), [""; 0], "{}", checked.stdout);
}
