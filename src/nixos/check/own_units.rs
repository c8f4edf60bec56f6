//! Targets and timers of the user's own that start nothing. Pure.

use super::facts::ConfigFacts;
use super::own_facts::{SuffixedFacts, TargetFacts};
use super::{Finding, Severity};
use crate::common::attribute_path;
use crate::common::nearest::similar_names;
use crate::common::nix_string::nix_string;

/// The targets of systemd itself (`systemd.special(7)`), without `.target`, also those that NixOS leaves out.
const OF_SYSTEMD: [&str; 75] = [
    "basic",
    "bluetooth",
    "boot-complete",
    "cryptsetup",
    "cryptsetup-pre",
    "ctrl-alt-del",
    "default",
    "emergency",
    "exit",
    "factory-reset",
    "final",
    "first-boot-complete",
    "getty",
    "getty-pre",
    "graphical",
    "halt",
    "hibernate",
    "hybrid-sleep",
    "imports",
    "initrd",
    "initrd-fs",
    "initrd-root-device",
    "initrd-root-fs",
    "initrd-switch-root",
    "initrd-usr-fs",
    "integritysetup",
    "kbrequest",
    "kexec",
    "local-fs",
    "local-fs-pre",
    "machines",
    "multi-user",
    "network",
    "network-online",
    "network-pre",
    "nss-lookup",
    "nss-user-lookup",
    "paths",
    "poweroff",
    "printer",
    "reboot",
    "remote-cryptsetup",
    "remote-fs",
    "remote-fs-pre",
    "remote-veritysetup",
    "rescue",
    "rpcbind",
    "runlevel0",
    "runlevel1",
    "runlevel2",
    "runlevel3",
    "runlevel4",
    "runlevel5",
    "runlevel6",
    "shutdown",
    "sigpwr",
    "sleep",
    "slices",
    "smartcard",
    "sockets",
    "soft-reboot",
    "sound",
    "ssh-access",
    "storage-target-mode",
    "suspend",
    "suspend-then-hibernate",
    "swap",
    "sysinit",
    "system-update",
    "time-set",
    "time-sync",
    "timers",
    "tpm2",
    "umount",
    "usb-gadget",
];
/// Targets that only the manager of a user's services has.
const OF_USERS: [&str; 3] = [
    "graphical-session",
    "graphical-session-pre",
    "xdg-desktop-autostart",
];

/// One for each target that does not exist and for which a unit is to be started, as far as that is certain; and one for each timer
/// that nothing starts.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let units = &facts.own_units;
    let targets = units.missing_targets.iter();
    let targets = targets.filter_map(|missing| unknown_target(facts, missing));
    let suffixed = units.suffixed.iter().map(suffixed);
    let targets = targets.chain(suffixed);
    targets.chain(units.idle_timers.iter().map(|name| idle_timer(name)))
}

/// What is said of a unit with the suffix that NixOS adds.
fn suffixed(unit: &SuffixedFacts) -> Finding {
    let option =
        |name: &str| attribute_path::text(&["systemd", &unit.kind, name].map(str::to_owned));
    let (name, kind) = unit.unit.rsplit_once('.').unwrap_or((&unit.unit, ""));
    Finding {
        id: "unit-suffix",
        severity: Severity::Warning,
        is: option(&unit.unit),
        why: format!(
            "NixOS adds the suffix itself, so the unit is called {}.{kind}, and {} does not exist",
            unit.unit, unit.unit
        ),
        add: vec![format!(
            "{} = …; # replaces \"{}\"; keep its value",
            option(name),
            unit.unit
        )],
        place: None,
    }
}

/// What is said of the name of a target without `.target`, which only is no name of a unit.
fn without_kind(facts: &ConfigFacts, missing: &TargetFacts) -> Option<Finding> {
    let name = missing.target.as_str();
    let own = facts.own_units.targets.iter().any(|own| own == name);
    let is_only = missing
        .all
        .iter()
        .all(|other| other == name || other.contains('.'));
    let path = ["systemd", &missing.kind, &missing.unit, &missing.option];
    let option = attribute_path::text(&path.map(str::to_owned));
    (own || OF_SYSTEMD.contains(&name)).then(|| Finding {
        id: "unknown-target",
        severity: Severity::Warning,
        is: format!("{option} has \"{name}\" (did you mean \"{name}.target\"?)"),
        why: "the name of a unit must end in its type, so this starts nothing".to_owned(),
        add: is_only
            .then(|| with_target(&option, missing, name))
            .into_iter()
            .collect(),
        place: None,
    })
}

/// What is said of a target, unless it may exist: packages have some too.
fn unknown_target(facts: &ConfigFacts, missing: &TargetFacts) -> Option<Finding> {
    let Some(name) = missing.target.strip_suffix(".target") else {
        return without_kind(facts, missing);
    };
    let own = facts.own_units.targets.iter().map(String::as_str);
    let known = OF_SYSTEMD.into_iter().chain(own);
    if OF_SYSTEMD.contains(&name) {
        return None;
    }
    let path = ["systemd", &missing.kind, &missing.unit, &missing.option];
    let option = attribute_path::text(&path.map(str::to_owned));
    let named = format!("{option} has \"{}\"", missing.target);
    let (is, why, add) = if OF_USERS.contains(&name) {
        let why = "only systemd.user.services has that target, so it starts nothing here. For services of the machine it \
                   is graphical.target";
        (named, why, Vec::new())
    } else {
        let meant = similar_names(name, known)?;
        let line = (!meant.contains(' ')).then(|| with_target(&option, missing, &meant));
        let why = "there is no such target, so it starts nothing";
        // In quotes it is no option, of which the place would be that of the finding.
        let meant = meant.replace(" or ", ".target\" or \"");
        let is = format!("{named} (did you mean \"{meant}.target\"?)");
        (is, why, line.into_iter().collect())
    };
    Some(Finding {
        id: "unknown-target",
        severity: Severity::Warning,
        is,
        why: why.to_owned(),
        add,
        place: None,
    })
}

/// The definition of the option with the target `meant` in place of the missing one.
fn with_target(option: &str, missing: &TargetFacts, meant: &str) -> String {
    let meant = format!("{meant}.target");
    let all = missing.all.iter().map(|target| {
        let target = if *target == missing.target {
            &meant
        } else {
            target
        };
        nix_string(target)
    });
    let all: Vec<String> = all.collect();
    format!("{option} = [ {} ];", all.join(" "))
}

fn idle_timer(name: &str) -> Finding {
    let timer = attribute_path::text(&["systemd", "timers", name].map(str::to_owned));
    Finding {
        id: "idle-timer",
        severity: Severity::Warning,
        is: format!("nothing in the configuration starts {timer}"),
        why: "it has no wantedBy, and no unit or script names it, so it starts no service"
            .to_owned(),
        add: vec![format!("{timer}.wantedBy = [ \"timers.target\" ];")],
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::with;
    use super::super::{Finding, OwnDefinitions, findings};
    use crate::nixos::cli_module::CliModule;
    use crate::nixos::user_files::UserFiles;

    fn told(changes: &[(&str, Value)]) -> Vec<Finding> {
        findings(&with(changes), "aarch64-linux", None)
    }

    #[test]
    fn a_target_that_is_not_there_has_the_one_that_is_meant() {
        let target = |name: &str| {
            let missing = json!([{ "kind": "services", "unit": "web", "option": "wantedBy", "target": name, "all": ["a.target", name] }]);
            told(&[
                ("/own_units/missing_targets", missing),
                ("/own_units/targets", json!(["my-machines"])),
            ])
        };
        let lines = |name: &str| {
            let found = target(name);
            let finding = found.first().unwrap_or_else(|| panic!("{name}"));
            assert_eq!(finding.id, "unknown-target");
            (finding.is.clone(), finding.add.concat())
        };
        let line = |name: &str| {
            format!("systemd.services.web.wantedBy = [ \"a.target\" \"{name}.target\" ];")
        };
        let is = "systemd.services.web.wantedBy has \"multiuser.target\" (did you mean \"multi-user.target\"?)";
        assert_eq!(
            lines("multiuser.target"),
            (is.to_owned(), line("multi-user"))
        );
        assert_eq!(lines("network_online.target").1, line("network-online"));
        assert_eq!(lines("my-machine.target").1, line("my-machines"));
        assert_eq!(lines("graphical-session.target").1, "");
        let is = "systemd.services.web.wantedBy has \"multi-user\" (did you mean \"multi-user.target\"?)";
        assert_eq!(lines("multi-user"), (is.to_owned(), line("multi-user")));
        assert_eq!(lines("my-machines").1, line("my-machines"));
        // Those that exist, and those that a package may have.
        for name in [
            "runlevel3.target",
            "getty.target",
            "docker-ready.target",
            "app.target",
            "app",
        ] {
            assert_eq!(target(name), [], "{name}");
        }
    }

    #[test]
    fn a_suffix_is_added_by_nixos() {
        let unit = json!([{ "kind": "services", "unit": "web.service" }]);
        let found = findings(
            &with(&[("/own_units/suffixed", unit)]),
            "aarch64-linux",
            None,
        );
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(finding.id, "unit-suffix");
        assert_eq!(finding.is, "systemd.services.\"web.service\"");
        let line = "systemd.services.web = …; # replaces \"web.service\"; keep its value";
        assert_eq!(finding.add, [line]);
    }

    #[test]
    fn an_own_timer_that_nothing_starts_is_told() {
        let idle = ("/own_units/idle_timers", json!(["backup", "of-a-module"]));
        let mut facts = with(&[idle]);
        let all = facts.clone();
        let dir = tempfile::tempdir().unwrap();
        let text = "{\n  systemd.timers.backup = {\n timerConfig.OnCalendar = \"daily\"; }; }";
        let own = |text: &str| {
            std::fs::write(dir.path().join("sd-card.nix"), text).unwrap();
            let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
            OwnDefinitions::read(Some(&files), "", &CliModule::default())
        };
        let definitions = own(text);
        definitions.keep_unexplained(&mut facts);
        let mut found = findings(&facts, "aarch64-linux", None);
        definitions.locate(&mut found);
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        let is = "nothing in the configuration starts systemd.timers.backup";
        assert_eq!((finding.id, finding.is.as_str()), ("idle-timer", is));
        let line = "systemd.timers.backup.wantedBy = [ \"timers.target\" ];";
        assert_eq!(finding.add, [line]);
        assert_eq!(finding.place.as_ref().map(|place| place.line), Some(2));
        // A script may start it.
        let text = text.replace("{\n  s", "{ system.activationScripts.a = \"\"; s");
        let mut facts = all;
        own(&text).keep_unexplained(&mut facts);
        assert_eq!(facts.own_units.idle_timers, [""; 0]);
    }
}
