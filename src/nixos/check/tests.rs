mod warnings;

use serde_json::{Value, json};

use super::named_options::named_options;
use super::ways_in::who_gets_in;
use super::*;

pub(in crate::nixos) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c me";

/// Facts of a configuration without mistakes.
fn good() -> Value {
    let mut facts = json!({
        "assertions": [], "warnings": [], "image": true, "card": true, "container": false, "release": "26.05",
        "system": "aarch64-linux", "loaders": ["generic-extlinux-compatible"],
        "root": { "device": "/dev/disk/by-label/NIXOS_SD", "fs_type": "ext4", "grows": false },
        "file_systems": [
            disk("/", "/dev/disk/by-label/NIXOS_SD", true),
            disk("/boot/firmware", "/dev/disk/by-label/FIRMWARE", true),
            disk("/srv", "/dev/sda1", false),
            disk("/tmp", "tmpfs", true),
        ],
        "host_name": "pi",
        "users": [user("root", &[KEY], "none")],
        "autologin": null, "installer": false, "groups": ["wheel", "users", "video"], "podman_is_docker": false,
        "ssh": {
            "enable": true, "unit_off": null, "ports": [22], "root": "prohibit-password", "passwords": false,
            "keyboard": false, "keys": null, "allowed": null, "denied": null,
            "allowed_groups": null, "denied_groups": null, "addresses": [], "other_keys": false, "unread": [],
            "stored_host_keys": [], "has_other_host_keys": true,
        },
        "firewall": { "enable": true, "admitted": [22], "opened_by_ssh": true, "trusts": false, "has_own_rules": false, "ports": [22], "ports_priority": 100 },
        "network": network(),
        "sd": {
            "root_label": "NIXOS_SD", "root_uuid": null, "disk_id": "0x2178694e", "firmware_label": "FIRMWARE", "grows": true, "firmware_mib": 30, "offset_mib": 8, "written_files": [], "makes_menu": true,
            "firmware_files": ["u-boot-rpi3.bin", "u-boot-rpi4.bin", "armstub8-gic.bin"],
        },
        "state_version": "25.11", "time_zone": "Europe/Berlin", "locale": "en_US.UTF-8", "locale_is_built": true,
        "sudo": { "enable": true, "option": "security.sudo", "users": [], "groups": [], "other": false },
        "private_keys": [], "stored_secrets": [], "upgrades_to_nothing": false, "upgrade_has_channel": false,
    });
    // Beside the others: the macro takes no more of them.
    facts["grub_device"] = Value::Null;
    facts["unknown_members"] = json!([]);
    facts
}

/// The network of a configuration without mistakes.
fn network() -> Value {
    json!({
        "dhcp_off": [], "dhcp": true, "interfaces": false, "interface_dhcp": false, "addressed": [], "fixed": [], "replaced_names": [], "addresses": [], "ipv6_addresses": [], "destinations": [], "has_tunnels": false, "gateway_address": null, "routes": false, "gateway": false,
        "name_server": false, "networkd": false, "manager": false,
        "wireless": false, "iwd": false, "networks": 0, "elsewhere": false, "open_passphrases": [], "wrong_raw_keys": [], "keys_without_file": [], "unpublished": null, "secrets_file": null,
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
pub(in crate::nixos) fn traced_line(changes: &[(&str, Value)]) -> String {
    let text = format!("trace: sdbuild: facts: {}", changed(changes));
    let message = json!({ "action": "msg", "level": 0, "msg": text });
    format!("@nix {message}")
}

/// The ids of what is found in the good facts with `changes`.
pub(super) fn found(changes: &[(&str, Value)]) -> Vec<&'static str> {
    let found = findings(&with(changes), "aarch64-linux", None);
    found.into_iter().map(|finding| finding.id).collect()
}

fn disk(path: &str, device: &str, is_needed: bool) -> Value {
    json!({ "path": path, "device": device, "is_needed": is_needed })
}

pub(super) fn user(name: &str, keys: &[&str], password: &str) -> Value {
    json!({
        "name": name, "keys": keys, "key_files": [], "private_key_files": [], "password": password, "open_password": false, "password_option": "password",
        "invalid_hash": null, "has_relative_file": false, "has_hash_as_file": false, "shell": null, "groups": ["users"], "unknown_groups": [],
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
    assert_eq!(who_gets_in(&with(&[])), [("root", "with a key")]);
    assert_eq!(who_gets_in(&with(&[("/ssh/enable", json!(false))])), []);
    assert_eq!(who_logs_in(&with(&[])), [("root", "with a key")]);
    assert_eq!(who_logs_in(&with(&[("/firewall/admitted", json!([]))])), []);
}

/// Asserts that each of the changes leads to the finding in front of it only.
#[track_caller]
pub(super) fn assert_found(table: &[(&str, &[(&str, Value)])]) {
    for (id, changes) in table {
        assert_eq!(found(changes), [*id], "{changes:?}");
    }
}

#[test]
fn each_rule_is_triggered_by_its_own_fact_only() {
    assert_found(&[
        ("no-image", &[("/image", json!(false))]),
        ("wrong-system", &[("/system", json!("x86_64-linux"))]),
        ("no-boot-loader", &[("/loaders", json!([]))]),
        ("grub", &[("/loaders", json!(["grub"]))]),
        ("grub-device", &[("/grub_device", json!("/dev/sda"))]),
        ("systemd-boot", &[("/loaders", json!(["systemd-boot"]))]),
        ("no-root", &[("/root", Value::Null)]),
        ("root-type", &[("/root/fs_type", json!("btrfs"))]),
        ("mount-point", &[("/file_systems/3/path", json!("tmp"))]),
        ("small-root", &[("/sd/grows", json!(false))]),
        ("small-firmware", &[("/sd/firmware_mib", json!(10))]),
        ("no-network", &[("/network/dhcp", json!(false))]),
        ("wireless", &[("/network/wireless", json!(true))]),
        ("wireless-off", &[("/network/networks", json!(1))]),
        (
            "not-published",
            &[("/network/unpublished", json!("addresses"))],
        ),
        (
            "wireless-off",
            &[
                ("/network/networks", json!(1)),
                ("/network/manager", json!(true)),
            ],
        ),
        ("state-version", &[("/state_version", Value::Null)]),
        ("assertion", &[("/assertions", json!(["no"]))]),
        ("warning", &[("/warnings", json!(["old"]))]),
        ("time-zone", &[("/time_zone", json!("Europe/Berln"))]),
        ("locale", &[("/locale", json!("xx_YY.UTF-8"))]),
        (
            "open-passphrase",
            &[(
                "/network/open_passphrases",
                json!([{ "network": "Home", "bytes": 8 }]),
            )],
        ),
        ("ssh-unread", &[("/ssh/unread", json!(["match"]))]),
    ]);
    // The root file system of another disk, or of memory, has the type that it has.
    for device in [
        "none",
        "/dev/mapper/root",
        "/dev/disk/by-partuuid/2178694e-03",
    ] {
        let other = [
            ("/root/device", json!(device)),
            ("/root/fs_type", json!("btrfs")),
        ];
        assert_eq!(found(&other), [""; 0], "{device}");
    }
}

#[test]
fn systemd_boot_is_fine_on_an_image_without_a_menu() {
    let systemd_boot = || ("/loaders", json!(["systemd-boot"]));
    for more in [("/sd/makes_menu", json!(false)), ("/card", json!(false))] {
        assert_eq!(found(&[systemd_boot(), more]), [""; 0]);
    }
}

/// The message had a path of the builder and no line to write.
#[test]
fn an_option_with_a_new_name_is_told_with_its_line() {
    let told = |file: &str| {
        let text = format!(
            "The option `sdImage.imageName' defined in `{file}' has been renamed to `image.fileName'."
        );
        let mut found = findings(
            &with(&[("/warnings", json!([text]))]),
            "aarch64-linux",
            None,
        );
        found.remove(0)
    };
    let own = told("/build/config/sd-card.nix");
    let (is, line) = (
        "sdImage.imageName",
        "image.fileName = …; # replaces sdImage.imageName; keep its value",
    );
    assert_eq!((own.id, own.is.as_str()), ("warning", is));
    assert_eq!(own.why, "NixOS has renamed that option to image.fileName");
    assert_eq!(own.add, [line]);
    let of_others = told("/nix/store/x-source/module.nix");
    assert_eq!((of_others.id, of_others.add.len()), ("warning", 0));
}

#[test]
fn a_group_that_may_be_meant_is_named() {
    let mut ann = user("ann", &[KEY], "none");
    ann["unknown_groups"] = json!(["whel", "docker"]);
    let root = user("root", &[KEY], "none");
    let found = findings(
        &with(&[("/users", json!([root, ann]))]),
        "aarch64-linux",
        None,
    );
    assert_eq!(
        found[0].is,
        "users.users.ann.extraGroups has \"whel\" (did you mean wheel?) \"docker\""
    );
    let meant = "users.users.ann.extraGroups = [ \"wheel\" ]; # in place of \"whel\"";
    assert_eq!(found[0].add[0], meant);
    assert!(found[0].add[1].starts_with("virtualisation.docker.enable = true;"));
}

/// It was a note, though the build ends there.
#[test]
fn a_locale_at_which_the_build_fails_is_an_error() {
    let told = |name: &str, is_built: bool| {
        let facts = with(&[
            ("/locale", json!(name)),
            ("/locale_is_built", json!(is_built)),
        ]);
        let found = findings(&facts, "aarch64-linux", None);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].id, "locale");
        (found[0].severity, found[0].why.contains("build"))
    };
    assert_eq!(told("de_DE", true), (Severity::Error, true));
    assert_eq!(told("xx_YY.UTF-8", true), (Severity::Warning, true));
    assert_eq!(told("de_DE", false), (Severity::Warning, false));
    assert_eq!(told("xx_YY.UTF-8", false), (Severity::Warning, false));
}

#[test]
fn every_rule_is_documented() {
    let page = include_str!("../../../docs/errors.md");
    for rule in rules::all_rules() {
        let id = rule.id;
        assert!(page.contains(&format!("| `{id}` |")), "{id}");
    }
}

/// The line to paste had the locale of the example.
#[test]
fn the_line_to_add_has_what_was_meant() {
    for (path, value, line) in [
        ("/host_name", "my_pi", "networking.hostName = \"my-pi\";"),
        (
            "/state_version",
            "26.11",
            "system.stateVersion = \"26.05\"; # or a newer nixpkgs",
        ),
        (
            "/state_version",
            "latest",
            "system.stateVersion = \"26.05\";",
        ),
        ("/locale", "de_DE", "i18n.defaultLocale = \"de_DE.UTF-8\";"),
        ("/locale", "xx_YY", "i18n.defaultLocale = \"en_US.UTF-8\";"),
        (
            "/time_zone",
            "Europe/Viena",
            "time.timeZone = \"Europe/Vienna\";",
        ),
        (
            "/time_zone",
            "GMT+2",
            "time.timeZone = \"Etc/GMT-2\"; # GMT+2: names in Etc have the opposite sign and no summer time",
        ),
        (
            "/time_zone",
            "CEST",
            "time.timeZone = \"Europe/Berlin\"; # an example",
        ),
    ] {
        let found = findings(&with(&[(path, json!(value))]), "aarch64-linux", None);
        assert_eq!(found[0].add[0], line);
        // What was meant is no option: the finding has the place of the one that is wrong.
        assert_eq!(named_options(&found[0].is).len(), 1, "{}", found[0].is);
    }
}

#[test]
fn similar_settings_that_are_fine_are_not_reported() {
    let fine: [&[(&str, Value)]; 14] = [
        &[("/state_version", json!("26.04"))],
        &[("/state_version", json!("26.05"))],
        &[
            ("/state_version", json!("24.11")),
            ("/release", json!("26.05.20260601")),
        ],
        &[("/locale", json!("C.UTF-8"))],
        &[("/locale", json!("de_DE.ISO-8859-1"))],
        &[("/ssh/passwords", json!(true))],
        &[
            ("/firewall/enable", json!(false)),
            ("/firewall/admitted", json!([])),
        ],
        &[
            ("/firewall/trusts", json!(true)),
            ("/firewall/admitted", json!([])),
        ],
        &[
            ("/network/dhcp", json!(false)),
            ("/network/manager", json!(true)),
        ],
        &[
            ("/network/wireless", json!(true)),
            ("/network/networks", json!(1)),
        ],
        &[
            ("/network/wireless", json!(true)),
            ("/network/iwd", json!(true)),
        ],
        &[
            ("/sd/grows", Value::Null),
            ("/sd/firmware_mib", Value::Null),
        ],
        &[("/sd/grows", json!(false)), ("/root/grows", json!(true))],
        &[
            ("/ssh/root", json!("no")),
            (
                "/users",
                json!([user("root", &[], "none"), wheel("ann", &[KEY], "set")]),
            ),
        ],
    ];
    for changes in fine {
        assert_eq!(found(changes), [""; 0], "{changes:?}");
    }
}

#[test]
fn lines_are_filled_in_and_traps_come_first() {
    let facts = with(&[
        ("/state_version", Value::Null),
        ("/system", json!("x86_64-linux")),
        ("/ssh/ports", json!([2222])),
        ("/firewall/admitted", json!([])),
    ]);
    let found = findings(&facts, "aarch64-linux", None);
    let lines: Vec<&str> = found
        .iter()
        .flat_map(|f| &f.add)
        .map(String::as_str)
        .collect();
    assert_eq!(
        lines,
        [
            "nixpkgs.hostPlatform = \"aarch64-linux\";",
            "networking.firewall.allowedTCPPorts = [ 2222 ];",
            "system.stateVersion = \"26.05\";"
        ]
    );
}

#[test]
fn a_container_needs_no_network_of_its_own() {
    let off = ("/network/dhcp", json!(false));
    let found = |changes: &[(&str, Value)]| findings(&with(changes), "aarch64-linux", None);
    assert!(
        found(std::slice::from_ref(&off))
            .iter()
            .any(|f| f.id == "no-network")
    );
    let inside = found(&[off, ("/container", json!(true))]);
    assert!(inside.iter().all(|f| f.id != "no-network"));
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
