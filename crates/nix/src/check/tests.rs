use serde_json::{Value, json};

use super::finding::option_text;
use super::*;
use crate::cli_module::CliModule;
use crate::user_files::UserFiles;
use sdbuild_image::board::BoardName;

pub const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c me";

/// Facts of a configuration without mistakes.
fn good() -> Value {
    json!({
        "assertions": [], "warnings": [], "image": { "attribute": "config.system.build.sdImage", "chosen_by": "image-module", "file": "sd-image.nix" },
        "missing": null, "card": true, "container": false, "release": "26.05",
        "system": "aarch64-linux", "loaders": ["generic-extlinux-compatible"],
        "root": { "device": "/dev/disk/by-label/NIXOS_SD", "fs_type": "ext4" },
        "file_systems": [
            { "path": "/", "device": "/dev/disk/by-label/NIXOS_SD", "fs_type": "ext4", "is_needed": true },
            { "path": "/boot/firmware", "device": "/dev/disk/by-label/FIRMWARE", "fs_type": "vfat", "is_needed": true },
            { "path": "/srv", "device": "/dev/sda1", "fs_type": "ext4", "is_needed": false },
            { "path": "/tmp", "device": "tmpfs", "fs_type": "tmpfs", "is_needed": true },
        ],
        "host_name": "pi",
        "users": [user("root", &[KEY], "none")],
        "autologin": null, "installer": false, "groups": ["wheel", "users", "video"],
        "ssh": {
            "enable": true, "unit_off": null, "ports": [22], "other_port": null, "root": "prohibit-password",
            "passwords": false, "keyboard": false, "keys": null, "allowed": null, "denied": null, "allowed_groups": null,
            "denied_groups": null, "addresses": [], "other_keys": false, "unread": [], "stored_host_keys": [],
            "has_other_host_keys": true,
        },
        "firewall": {
            "enable": true, "admitted": [22], "opened_by_ssh": true, "trusts": false, "has_own_rules": false, "ports": [22],
            "ports_priority": 100,
        },
        "network": {
            "dhcp_off": [], "interfaces": false, "interface_dhcp": false, "fixed": [], "replaced_names": [],
            "addresses": [{ "interface": "end0", "address": "192.168.1.5" }], "gateway_address": null, "routes": false,
            "gateway": false, "name_server": false, "networkd": false, "manager": false, "wireless": false, "iwd": false,
            "networks": false, "open_passphrases": [], "wrong_raw_keys": [], "keys_without_file": [], "old_names": [], "secrets_file": null,
        },
        "sd": {
            "root_label": "NIXOS_SD", "root_type": "ext4", "root_uuid": null, "disk_id": "0x2178694e", "firmware_label": "FIRMWARE",
            "firmware_mib": 30, "offset_mib": 8, "written_files": [], "makes_menu": true,
            "firmware_files": ["u-boot-rpi3.bin", "u-boot-rpi4.bin", "armstub8-gic.bin"], "pi": null, "menu_has_tree": true,
        },
        "state_version": "25.11", "time_zone": "Europe/Berlin", "locale": "en_US.UTF-8", "locale_is_built": true,
        "sudo": { "enable": true, "option": "security.sudo", "users": [], "groups": [], "other": false },
        "private_keys": [], "stored_secrets": [], "upgrades_to_nothing": false, "upgrade_has_channel": false,
        "upgrades_in_memory": false, "late_keys": [], "serial_services": [], "vendor_kernel": null,
    })
}

/// The good facts with `changes`, by JSON pointer.
fn changed(changes: &[(&str, Value)]) -> Value {
    let mut facts = good();
    for (pointer, value) in changes {
        *facts.pointer_mut(pointer).expect(pointer) = value.clone();
    }
    facts
}

pub(super) fn with(changes: &[(&str, Value)]) -> ConfigFacts {
    serde_json::from_value(changed(changes)).unwrap()
}

/// The line of Nix's log with the good facts and `changes`.
pub fn traced_line(changes: &[(&str, Value)]) -> String {
    let text = format!("trace: sdbuild: facts: {}", changed(changes));
    let message = json!({ "action": "msg", "level": 0, "msg": text });
    format!("@nix {message}")
}

fn all(changes: &[(&str, Value)]) -> Vec<Finding> {
    findings(&with(changes), "aarch64-linux", None)
}

/// The ids of what is found in the good facts with `changes`.
pub(super) fn found(changes: &[(&str, Value)]) -> Vec<&'static str> {
    all(changes).into_iter().map(|finding| finding.id).collect()
}

/// The only finding in the good facts with `changes`.
#[track_caller]
pub(super) fn only(changes: &[(&str, Value)]) -> Finding {
    let mut found = all(changes);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// The finding `id` in the good facts with `changes`.
#[track_caller]
pub(super) fn of_id(id: &str, changes: &[(&str, Value)]) -> Finding {
    let mut found = all(changes).into_iter();
    let found = found.find(|finding| finding.id == id);
    found.unwrap_or_else(|| panic!("{id}: {changes:?}"))
}

/// Pointers into the facts, each with the value that it gets.
pub(super) type Changes<'a> = &'a [(&'a str, Value)];

/// Asserts that each of the changes leads to the finding with that id about that option, if there is one, and to no other; to none
/// without an id.
#[track_caller]
pub(super) fn assert_found(table: &[(&str, &str, Changes<'_>)]) {
    let page = include_str!("../../../../docs/errors.md");
    for (id, option, changes) in table {
        let found = all(changes);
        let ids: Vec<&str> = found.iter().map(|finding| finding.id).collect();
        if id.is_empty() {
            assert_eq!(ids, [""; 0], "{changes:?}");
            continue;
        }
        assert_eq!(ids, [*id], "{changes:?}");
        let of_finding = found[0].option.as_deref().map(option_text);
        assert_eq!(of_finding.unwrap_or_default(), *option, "{id}");
        assert!(
            page.contains(&format!("| `{id}` |")),
            "{id} is not documented"
        );
    }
}

pub(super) fn user(name: &str, keys: &[&str], password: &str) -> Value {
    json!({
        "name": name, "keys": keys, "key_files": [], "private_key_files": [], "password": password, "invalid_hash": null,
        "has_wrong_file": false, "plain_password": null, "shell": null, "groups": ["users"], "unknown_groups": [],
        "has_expired_key": false,
    })
}

/// A user in the group `wheel`.
pub(super) fn wheel(name: &str, keys: &[&str], password: &str) -> Value {
    let mut user = user(name, keys, password);
    user["groups"] = json!(["users", "wheel"]);
    user
}

#[test]
fn a_good_configuration_has_no_findings() {
    assert_eq!(found(&[]), [""; 0]);
    assert_eq!(who_logs_in(&with(&[])), [("root", "with a key")]);
}

#[test]
fn what_was_looked_at_depends_on_the_image_and_the_board() {
    let looked = |changes: &[(&str, Value)], board: Option<&str>| {
        let board = board.map(|board| board.parse::<BoardName>().unwrap().0);
        looked_at(&with(changes), board).join(", ")
    };
    let plain = looked(&[], None);
    assert!(
        plain.contains("the root file system on the card"),
        "{plain}"
    );
    assert!(!plain.contains("firmware"), "{plain}");
    assert!(looked(&[], Some("rpi4")).contains("the firmware partition for Raspberry Pi 4"));
    let other = looked(&[("/sd/root_label", Value::Null)], Some("other"));
    assert!(!other.contains("root file system"), "{other}");
}

#[test]
fn errors_come_first() {
    let changes = [("/state_version", Value::Null), ("/loaders", json!([]))];
    assert_eq!(found(&changes), ["no-boot-loader", "state-version"]);
}

/// Nothing else of a configuration for another machine says anything.
#[test]
fn the_system_is_compared_first() {
    let changes = |system: &str| {
        let system = ("/system", json!(system));
        let others = [("/image", Value::Null), ("/root", Value::Null)];
        let found = all(&[system, others[0].clone(), others[1].clone()]);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let of_pc = changes("x86_64-linux");
    assert_eq!(of_pc.id, "wrong-system");
    assert!(of_pc.why.contains("--system x86_64-linux"), "{}", of_pc.why);
    let of_other = changes("armv6l-linux");
    assert!(!of_other.why.contains("--system"), "{}", of_other.why);
}

#[test]
fn a_missing_image_is_found_with_its_reason() {
    let missing = |value: Option<&str>, add: Option<&str>| {
        let missing = json!({
            "option": ["boot", "loader", "systemd-boot", "enable"], "value": value,
            "reason": "its boot loader is systemd-boot", "cure": "For a card, add a module", "add": add,
        });
        only(&[("/image", Value::Null), ("/missing", missing)])
    };
    let found = missing(Some("true"), Some("./card.nix"));
    assert_eq!(found.id, "no-image");
    assert_eq!(found.statement(), "boot.loader.systemd-boot.enable = true");
    assert_eq!(found.lines(None), ["imports = [ ./card.nix ];"]);
    assert!(
        found
            .why
            .contains("its boot loader is systemd-boot. For a card"),
        "{}",
        found.why
    );
    let found = missing(None, None);
    assert_eq!(found.statement(), "boot.loader.systemd-boot.enable is set");
    assert_eq!(found.fix, []);
}

#[test]
fn facts_are_read_from_pieces_of_a_line() {
    let text = format!("{}\ntrue", good());
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(facts(&lines), Some(with(&[])));
    let (one, two) = lines[0].split_at(100);
    assert_eq!(facts(&[one.to_owned(), two.to_owned()]), Some(with(&[])));
    assert_eq!(facts(&[]), None);
    assert_eq!(facts(&["{\"image\":".to_owned()]), None);
}

#[test]
fn a_build_warns_of_what_locks_out_or_fails_later() {
    let count = |changes: &[(&str, Value)]| {
        let facts = traced_facts(&traced_line(changes)).unwrap();
        warnings(&facts, System::Aarch64Linux, &OwnDefinitions::default()).len()
    };
    assert_eq!(count(&[]), 0);
    assert_eq!(count(&[("/state_version", Value::Null)]), 0);
    assert_eq!(count(&[("/ssh/enable", json!(false))]), 1);
    assert_eq!(count(&[("/time_zone", json!("Europe/Berln"))]), 1);
    // A failed assertion ends the build with its own text.
    assert_eq!(count(&[("/assertions", json!(["no"]))]), 0);
}

#[test]
fn only_a_trace_of_nix_has_facts() {
    assert!(is_trace(&traced_line(&[])));
    let quoted = r#"@nix {"action":"msg","msg":"error: x\n 31| builtins.trace \"sdbuild: facts: ${facts.value}\" value"}"#;
    assert!(!is_trace(quoted));
    let forged = "@nix {\"msg\":\"sdbuild: facts: {}\"}";
    assert_eq!(traced_facts(forged), None);
}

#[test]
fn a_build_names_the_place_of_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let text = "{\n  services.openssh.enable = false;\n}\n";
    std::fs::write(dir.path().join("sd-card.nix"), text).unwrap();
    let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
    let definitions = OwnDefinitions::read(Some(&files), "pi/", &CliModule::default());
    let facts = with(&[("/ssh/enable", json!(false))]);
    let texts = warnings(&facts, System::Aarch64Linux, &definitions);
    let start = "pi/sd-card.nix:2: services.openssh.enable = false: ";
    assert!(texts[0].starts_with(start), "{texts:?}");
}
