use serde_json::{Value, json};

use super::super::tests::with;
use super::super::{Finding, OwnDefinitions, findings};
use super::{NIX, Program, SERVICE, SSHD, TIMER, UNIT};
use crate::nixos::cli_module::CliModule;
use crate::nixos::user_files::UserFiles;

fn told(changes: &[(&str, Value)]) -> Vec<Finding> {
    findings(&with(changes), "aarch64-linux", None)
}

/// What is said of the setting `name` in the set `path`: the text and the line.
fn of_name(path: &str, name: &str) -> Option<(String, String)> {
    let path: Vec<&str> = path.split('.').collect();
    let sets = json!([{ "path": path, "names": [name] }]);
    let found = told(&[("/own_settings/sets", sets)]);
    let finding = found.first()?;
    assert_eq!((found.len(), finding.id), (1, "misspelt-setting"));
    Some((finding.is.clone(), finding.add.concat()))
}

#[test]
fn a_misspelt_setting_has_the_name_that_is_meant() {
    for (path, name, meant) in [
        (
            "services.openssh.settings",
            "PasswordAuthentification",
            "PasswordAuthentication",
        ),
        (
            "services.openssh.settings",
            "AuthorizedKeyFile",
            "AuthorizedKeysFile",
        ),
        (
            "nix.settings",
            "experimental-feature",
            "experimental-features",
        ),
        (
            "nix.settings",
            "extra-experimental-feature",
            "extra-experimental-features",
        ),
        ("nix.settings", "auto-optimize-store", "auto-optimise-store"),
        ("nix.settings", "Max-Jobs", "max-jobs"),
        ("systemd.services.x.serviceConfig", "execStart", "ExecStart"),
        (
            "systemd.user.services.x.serviceConfig",
            "WorkingDirectroy",
            "WorkingDirectory",
        ),
        ("systemd.services.x.unitConfig", "Afters", "After"),
        ("systemd.timers.x.timerConfig", "OnCalender", "OnCalendar"),
    ] {
        let is = format!("{path}.{name} (did you mean {meant}?)");
        let line = format!("{path}.{meant} = …; # replaces {name}; keep its value");
        assert_eq!(of_name(path, name), Some((is, line)), "{name}");
    }
}

#[test]
fn names_that_are_known_or_not_similar_give_nothing() {
    for (path, name) in [
        // sshd ignores capitals, and NixOS has an assertion about two such names.
        ("services.openssh.settings", "passwordauthentication"),
        ("services.openssh.settings", "UseDns"),
        ("services.openssh.settings", "AuthorizedKeysFile2"),
        ("services.openssh.settings", "HPNDisabled"),
        ("nix.settings", "extra-substituters"),
        ("nix.settings", "extra-platforms"),
        ("nix.settings", "lazy-trees"),
        ("systemd.services.x.serviceConfig", "X-Restart"),
        ("systemd.services.x.serviceConfig", "preStart"),
        ("systemd.services.x.serviceConfig", "MemoryZSwapMax"),
        ("systemd.services.x.unitConfig", "wantedBy"),
        ("systemd.services.x.serviceConfig", "StartLimitInterval"),
        ("systemd.timers.x.timerConfig", "RandomizedOffsetSec"),
        ("systemd.timers.x.timerConfig", "ExecStart"),
    ] {
        assert_eq!(of_name(path, name), None, "{name}");
    }
}

/// What it has may be a set, as in the option `environment` of a service.
#[test]
fn variables_have_no_line() {
    let path = "systemd.services.x.serviceConfig";
    let is = format!("{path}.environment (did you mean Environment?)");
    assert_eq!(of_name(path, "environment"), Some((is, String::new())));
}

/// The line would define it twice.
#[test]
fn a_name_that_is_there_besides_has_no_line() {
    let sets = json!([{ "path": ["nix", "settings"], "names": ["cores", "core"] }]);
    let found = told(&[("/own_settings/sets", sets)]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].add, [""; 0]);
}

#[test]
fn the_lists_are_those_of_the_manual_pages() {
    let has = |program: &Program, names: &[&str]| {
        for name in names {
            assert!(program.names().any(|known| known == *name), "{name}");
        }
        for name in program.names() {
            assert_eq!(program.meant(name), [""; 0], "{name}");
        }
    };
    has(&SSHD, &["Port", "X11Forwarding", "MACs", "Subsystem"]);
    has(
        &NIX,
        &["cores", "trusted-users", "http2", "system-features"],
    );
    has(
        &SERVICE,
        &[
            "Type",
            "ExecStart",
            "User",
            "MemoryMax",
            "KillMode",
            "RestartSteps",
        ],
    );
    has(&TIMER, &["OnCalendar", "Unit", "Persistent"]);
    has(&UNIT, &["After", "ConditionPathExists", "StartLimitBurst"]);
}

#[test]
fn only_what_own_files_define_is_told_with_its_place() {
    let sets = json!([{ "path": ["systemd", "timers", "x", "timerConfig"], "names": ["OnCalender", "persistent"] }]);
    let mut facts = with(&[
        ("/own_settings/sets", sets),
        ("/own_settings/ssh_port", json!(2222)),
        (
            "/own_settings/times",
            json!([{ "option": ["systemd", "services", "a", "startAt"], "text": "dayly", "is_only": true }]),
        ),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let text = "{\n  systemd.timers.x = {\n timerConfig.OnCalender = \"daily\"; }; }";
    std::fs::write(dir.path().join("sd-card.nix"), text).unwrap();
    let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
    let definitions = OwnDefinitions::read(Some(&files), "", &CliModule::default());
    definitions.keep_unexplained(&mut facts);
    let mut found = findings(&facts, "aarch64-linux", None);
    definitions.locate(&mut found);
    let [finding] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(finding.place.as_ref().map(|place| place.line), Some(3));
}

#[test]
fn a_port_of_sshd_is_one_of_the_ports() {
    let port = ("/own_settings/ssh_port", json!(2222));
    let found = told(std::slice::from_ref(&port));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].is, "services.openssh.settings.Port = 2222");
    let line = "services.openssh.ports = [ 2222 ]; # replaces settings.Port";
    assert_eq!(found[0].add, [line]);
    let found = told(&[port, ("/own_settings/has_own_ssh_ports", json!(true))]);
    assert_eq!((found.len(), found[0].add.len()), (1, 0));
}

#[test]
fn features_with_commas_are_shown_as_a_list() {
    let of_texts = |texts: &[&str]| {
        let option = ["nix", "settings", "experimental-features"];
        told(&[(
            "/own_settings/features",
            json!([{ "option": option, "texts": texts }]),
        )])
    };
    let line = "nix.settings.experimental-features = [ \"nix-command\" \"flakes\" ];";
    for texts in [&["nix-command, flakes"][..], &["nix-command,", "flakes"]] {
        let found = of_texts(texts);
        assert_eq!((found.len(), found[0].id), (1, "feature-comma"));
        assert_eq!(found[0].add, [line]);
    }
    assert_eq!(of_texts(&["nix-command flakes"]), []);
    assert_eq!(of_texts(&["nix-command", "flakes"]), []);
}
