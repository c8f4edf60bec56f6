//! The rules as rows: facts that are changed, and what is found then.

use serde_json::{Value as Json, json};

use super::finding::{Replaced, path};
use super::ways_in::admitted;
use super::*;
use crate::attribute_path;
use crate::cli_module::CliModule;
use crate::user_files::UserFiles;
use sdbuild_image::board::BoardName;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c me";

/// Facts of a configuration without mistakes.
const GOOD: &str = include_str!("../../../build/src/follow/facts.json");

/// Pointers into the facts, each with the value that it gets.
type Changes<'a> = &'a [(&'a str, Json)];

/// The good facts with `changes`.
fn changed(changes: Changes<'_>) -> Json {
    let mut facts: Json = untrusted::json(GOOD).unwrap();
    for (pointer, value) in changes {
        *facts.pointer_mut(pointer).expect(pointer) = value.clone();
    }
    facts
}

pub(super) fn with(changes: Changes<'_>) -> ConfigFacts {
    serde_json::from_value(changed(changes)).unwrap()
}

/// The line of Nix's log with the good facts and `changes`.
pub fn traced_line(changes: &[(&str, Json)]) -> String {
    let text = format!("trace: sdbuild: facts: {}", changed(changes));
    let message = json!({ "action": "msg", "level": 0, "msg": text });
    format!("@nix {message}")
}

/// The users in `NAME:KEY:PASSWORD:GROUP, …`: `key` for [`KEY`], `-` for none, and what further members of a user become.
fn users(text: &str) -> Json {
    let user = |text: &str| {
        let mut parts = text.split(':');
        let mut next = || parts.next().unwrap_or("-");
        let (name, key, password, group) = (next(), next(), next(), next());
        let keys: Vec<&str> = match key {
            "-" => vec![],
            "key" => vec![KEY],
            other => vec![other],
        };
        let groups: Vec<&str> = ["users", group]
            .into_iter()
            .filter(|name| *name != "-")
            .collect();
        let mut user = json!({
            "name": name, "keys": keys, "key_files": [], "private_key_files": [], "password": password,
            "invalid_hash": null, "has_wrong_file": false, "plain_password": null, "shell": null, "groups": groups,
            "unknown_groups": [], "has_expired_key": false,
        });
        for more in parts {
            let (member, value) = more.split_once('~').unwrap();
            user[member] = untrusted::json(value).unwrap_or_else(|_| json!(value));
        }
        user
    };
    text.split(", ").map(user).collect()
}

/// The changes in `/POINTER=JSON /POINTER=JSON`, and `/users=USERS`.
fn changes(text: &str) -> Vec<(String, Json)> {
    let parts = text.split(" /").filter(|part| !part.trim().is_empty());
    let change = |part: &str| {
        let (pointer, value) = part
            .trim()
            .trim_start_matches('/')
            .split_once('=')
            .expect(part);
        let value = match pointer {
            "users" => users(value),
            _ => untrusted::json(value).expect(part),
        };
        (format!("/{pointer}"), value)
    };
    parts.map(change).collect()
}

/// Asserts that each row `ID OPTION CHANGES`, with `-` for neither, has this one finding, about that option. After ` => ` are the lines
/// that correct it, after ` ? ` a part of its text; an id ends with `!` for errors.
#[track_caller]
fn assert_found(board: Option<&str>, rows: &str) {
    let page = include_str!("../../../../docs/errors.md");
    let board = board.map(|board| board.parse::<BoardName>().unwrap().0);
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (rest, lines) = row
            .split_once(" => ")
            .map_or((row, None), |(row, it)| (row, Some(it)));
        let (rest, part) = rest.split_once(" ? ").unwrap_or((rest, ""));
        let (id, rest) = rest.split_once(' ').expect(row);
        let (option, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let changes = changes(&format!(" {rest}"));
        let borrowed: Vec<_> = changes
            .iter()
            .map(|(at, value)| (at.as_str(), value.clone()))
            .collect();
        let found = findings(&with(&borrowed), board);
        let ids: Vec<&str> = found.iter().map(|finding| finding.id).collect();
        let expected: Vec<&str> = id.split(',').map(|id| id.trim_end_matches('!')).collect();
        assert_eq!(ids.join(","), expected.join(",").trim_matches('-'), "{row}");
        let Some(first) = found.first() else { continue };
        assert_eq!(first.severity == Severity::Error, id.contains('!'), "{row}");
        let of_finding = first
            .option
            .as_deref()
            .map_or("-".to_owned(), attribute_path::text);
        assert_eq!(of_finding.replace(' ', "_"), option, "{row}");
        assert!(
            format!("{} {}", first.detail, first.why).contains(part),
            "{row}: {first:?}"
        );
        if let Some(lines) = lines {
            assert_eq!(
                first.lines(None).join(" | "),
                lines.trim_matches('-'),
                "{row}"
            );
        }
        for id in expected {
            assert!(
                page.contains(&format!("| `{id}` |")),
                "{id} is not documented"
            );
        }
    }
}

#[test]
fn an_image_needs_its_system_and_a_boot_loader() {
    assert_found(
        None,
        r#"
        - -
        no-image! system.build.sdImage /image=null
        no-boot-loader! - /loaders=[]
        systemd-boot! boot.loader.systemd-boot.enable /loaders=["systemd-boot"]
        small-firmware sdImage.firmwareSize /sd/firmware_mib=29 => sdImage.firmwareSize = 30;
        - - /sd/firmware_mib=null
        - - /loaders=[] /card=false
        - - /loaders=[] /sd/makes_menu=false
        - - /loaders=["systemd-boot"] /sd/makes_menu=false
        - - /loaders=["systemd-boot"] /card=false
        no-kernel! - /sd/pi={"u_boot":false,"config_txt":"enable_uart=1"} /sd/firmware_files=["install-rpi-firmware"]
        - - /sd/pi={"u_boot":true,"config_txt":"kernel=u-boot.bin"} /sd/firmware_files=["install-rpi-firmware"]
        no-kernel! - /sd/pi={"u_boot":true,"config_txt":"kernel=mine.img"} /sd/firmware_files=["install-rpi-firmware"] ? mine.img => -
        lost-overlay boot.loader.generic-extlinux-compatible.useGenerationDeviceTree /sd/pi={"u_boot":true,"config_txt":"kernel=u-boot.bin\ndtoverlay=x"}
        - - /sd/pi={"u_boot":true,"config_txt":"kernel=u-boot.bin\ndtoverlay=x"} /sd/menu_has_tree=false
        busy-port services.gpsd.devices /serial_services=[{"option":["services","gpsd","devices"],"port":"/dev/ttyAMA0"}]
        - - /serial_services=[{"option":["services","gpsd","devices"],"port":"/dev/ttyACM0"}]
        no-image! boot.loader.x.enable /image=null /missing={"option":["boot","loader","x","enable"],"value":"true","reason":"its boot loader is x","cure":"Add a module","add":"./card.nix","off":true} ? its boot loader is x. Add => imports = [ ./card.nix ]; | boot.loader.x.enable = false;
        "#,
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_board_needs_its_firmware_or_its_u_boot() {
    for (board, rows) in [
        (
            "rock5b",
            r#"
            no-u-boot -
            u-boot-gap! sdImage.firmwarePartitionOffset /sd/written_files=["u-boot-rockchip.bin"]
            - - /sd/written_files=["u-boot-rockchip.bin"] /sd/offset_mib=16
            - - /sd/written_files=null
            no-image! system.build.sdImage /image=null
            "#,
        ),
        (
            "rockpro64",
            r#"
            no-u-boot - /sd/written_files=["idbloader.img"] /sd/offset_mib=16
            - - /sd/written_files=["idbloader.img","u-boot.itb"] /sd/offset_mib=16
            "#,
        ),
        (
            "rpi3",
            r#"
            busy-port a /serial_services=[{"option":["a"],"port":"/dev/ttyS0"}]
            "#,
        ),
        (
            "rpi4",
            r#"
            - -
            - - /upgrades_in_memory=true
            unknown-firmware - /sd/firmware_files=[]
            no-kernel! - /sd/pi={"u_boot":false,"config_txt":""} /sd/firmware_files=["install-rpi-firmware"]
            "#,
        ),
        (
            "rpi5",
            r#"
            no-firmware! -
            - - /sd/firmware_files=["u-boot-rpi4.bin","install-rpi-firmware"]
            unknown-firmware - /sd/firmware_files=null
            no-firmware! - /serial_services=[{"option":["a"],"port":"/dev/ttyAMA0"}]
            no-kernel! - /sd/pi={"u_boot":true,"config_txt":"[pi4]\nkernel=u-boot.bin"} /sd/firmware_files=["install-rpi-firmware"]
            "#,
        ),
        (
            "rpi02",
            r"
            upgrade-memory system.autoUpgrade.enable /upgrades_in_memory=true
            no-upgrade system.autoUpgrade.enable /upgrades_in_memory=true /upgrades_to_nothing=true
            ",
        ),
        (
            "uefi",
            r#"
            no-uefi-loader! -
            - - /loaders=["systemd-boot"]
            no-boot-loader! - /loaders=[]
            "#,
        ),
        ("other", "- -"),
    ] {
        assert_found(Some(board), rows);
    }
    let BoardName(board) = "nanopi-r5s".parse().unwrap();
    let lines = findings(&with(&[]), Some(board))[0].lines(None).join("\n");
    for part in [
        "${pkgs.ubootNanoPiR5S}/u-boot.itb of=$img",
        "firmwarePartitionOffset = 16;",
    ] {
        assert!(lines.contains(part), "as init writes it: {lines}");
    }
}

/// A file system as one of the facts.
fn fs(path: &str, device: &str, is_needed: bool) -> Json {
    json!([{ "path": path, "device": device, "fs_type": "ext4", "is_needed": is_needed, "is_early": false, "needed_for_boot": false }])
}

#[test]
fn a_disk_has_the_file_systems_that_the_boot_mounts() {
    let early = fs("/data", "/dev/disk/by-label/DATA", true).to_string();
    let early = early.replace("\"is_early\":false", "\"is_early\":true");
    let asked = early.replace("boot\":false", "boot\":true");
    let partition = |number: u32, name: &str, uuid: &str, kind: &str| json!({ "number": number, "label": name, "part_label": name, "uuid": uuid, "fs_type": kind });
    let disk = json!([
        partition(1, "ESP", "4E49-584F", "vfat"),
        partition(2, "nixos", "1-1", "ext4")
    ]);
    let disk = format!("/card=false /file_systems=[] /disk={disk}");
    assert_found(
        None,
        &format!(
            r#"
            other-root! fileSystems."/".device {disk} /root/device="/dev/disk/by-uuid/2-2" => fileSystems."/".device = lib.mkForce "/dev/disk/by-label/nixos";
            other-root! fileSystems."/".device {disk} /root/device="LABEL=NIXOS_SD"
            other-root! fileSystems."/".fsType {disk} /root={{"device":"none","fs_type":"tmpfs"}} => fileSystems."/card" = {{ device = "/dev/disk/by-label/nixos"; fsType = "ext4"; neededForBoot = true; }}; | fileSystems."/nix" = {{ device = "/card/nix"; fsType = "none"; options = [ "bind" ]; neededForBoot = true; }};
            root-type! fileSystems."/".fsType {disk} /root={{"device":"LABEL=nixos","fs_type":"xfs"}}
            needed-disk fileSystems."/boot" {disk} /root/device="LABEL=nixos" /file_systems={}
            needed-disk fileSystems."/data" /file_systems={asked} ? with neededForBoot => -
            needed-disk fileSystems."/data" /file_systems={early} ? in the first stage of the boot => -
            - - {disk} /root/device="LABEL=nixos" /file_systems={}
            - - {disk} /root/device="UUID=1-1" /file_systems={}
            - - {disk} /root/device="/dev/disk/by-partlabel/nixos"
            "#,
            fs("/boot", "/dev/disk/by-uuid/2178-694E", true),
            fs("/boot", "LABEL=ESP", true),
            fs("/boot", "/dev/sda1", true),
        ),
    );
}

#[test]
fn the_card_has_the_file_systems_that_the_boot_mounts() {
    assert_found(
        None,
        r#"
        no-root! fileSystems."/" /root=null
        root-type! fileSystems."/".fsType /root/fs_type="btrfs"
        other-root! fileSystems."/".device /root/device="/dev/disk/by-label/nixos"
        other-root! fileSystems."/".device /root/device="LABEL=nixos_sd"
        other-root! fileSystems."/".device /root/device="/dev/disk/by-uuid/0af0e371-4b1e-4b5c-8c1e-0d6a32e2b2b1"
        other-root! fileSystems."/".device /root={"device":"/dev/mapper/root","fs_type":"ext4"}
        other-root! fileSystems."/".device /root={"device":"rpool/root","fs_type":"zfs"}
        other-root! fileSystems."/".device /root={"device":"/dev/disk/by-partlabel/disk-main-root","fs_type":"btrfs"} => fileSystems."/".device = lib.mkForce "/dev/disk/by-label/NIXOS_SD"; | fileSystems."/".fsType = lib.mkForce "ext4";
        other-root fileSystems."/".device /root/device="/dev/disk/by-id/usb-T7-part2"
        other-root! fileSystems."/".device /root/device="LABEL=NIXOS_SD" /sd/root_label="STICK" => fileSystems."/".device = lib.mkForce "/dev/disk/by-label/STICK";
        - - /root/device="LABEL=nixos" /sd/root_label=null
        - - /root/device="LABEL=nixos" /card=false
        - - /root/device="LABEL=NIXOS_SD"
        - - /root/device="/dev/disk/by-uuid/44444444-4444-4444-8888-888888888888"
        - - /root/device="/dev/disk/by-partuuid/2178694e-02"
        - - /root/device="/dev/mmcblk1p2"
        - - /root={"device":"none","fs_type":"btrfs"}
        - - /root/fs_type="btrfs" /sd/root_type="btrfs"
        root-type! fileSystems."/".fsType /sd/root_type="btrfs"
        "#,
    );
    for (path, device, needed) in [
        ("/data", "/dev/disk/by-label/DATA", true),
        ("/data", "/dev/sda1", true),
        ("/data", "LABEL=DATA", true),
        ("/boot/firmware", "/dev/disk/by-label/FIRMWARE", false),
        ("/boot/firmware", "/dev/disk/by-uuid/2178-694E", false),
        ("/boot", "/dev/disk/by-partuuid/2178694e-01", false),
        ("/boot", "/dev/mmcblk0p1", false),
        ("/home", "/dev/vg/home", false),
        ("/tmp", "tmpfs", false),
        ("/srv", "nas:/srv", false),
    ] {
        let id = if needed {
            "needed-disk fileSystems.\"/data\""
        } else {
            "- -"
        };
        let file_systems = fs(path, device, true);
        assert_found(None, &format!("{id} /file_systems={file_systems}"));
        let other = format!("- - /sd/root_label=null /file_systems={file_systems}");
        assert_found(None, &other);
    }
    let memory = "/root={\"device\":\"none\",\"fs_type\":\"tmpfs\"} /file_systems=";
    let without = format!("other-root! fileSystems.\"/\".fsType {memory}");
    assert_found(
        None,
        &format!("{without}{}", fs("/card", "LABEL=nixos", false)),
    );
    assert_found(
        None,
        &format!("- - {memory}{}", fs("/card", "LABEL=NIXOS_SD", false)),
    );
}

#[test]
fn keys_and_passwords_are_what_they_have_to_be() {
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----";
    let keys = "users.users.root.openssh.authorizedKeys.keys";
    assert_found(
        None,
        &format!(
            r#"
            nobody-gets-in! - /users=root:-:none
            - - /users=root:-:none /ssh/other_keys=true
            nobody-gets-in! - /users=root:-:none, ann:-:late:wheel ? the password of ann
            - - /users=ann:key:late:wheel
            nobody-gets-in! - /users=root:-:none:-:has_expired_key~true ? expiry-time
            nobody-gets-in! - /users=ann:-:none:wheel
            key-is-none! {keys} /users=root:AAAA:none ? no user has another key => {keys} = [ "ssh-ed25519 …" ]; # the line that `cat ~/.ssh/id_ed25519.pub` prints; `ssh-keygen -t ed25519` makes that file
            key-is-none! {keys} /users=root:-:none:-:keys~["{KEY}","~.ssh"] => -
            private-key! {keys} /users=root:-:none:-:keys~["{KEY}","{private}\nb3Bl"]
            private-key! users.users.root.openssh.authorizedKeys.keyFiles /users=root:key:none:-:private_key_files~["id"]
            - - /users=root:-:none:-:keys~["{KEY}",""]
            password-hash! users.users.ann.initialHashedPassword /users=root:key:none, ann:-:none:wheel:invalid_hash~initialHashedPassword
            password-hash users.users.ann.hashedPasswordFile /users=root:key:none, ann:-:none:wheel:has_wrong_file~true
            stored-password users.users.ann.initialPassword /users=root:key:none, ann:-:set:wheel:plain_password~initialPassword
            open-password users.users.ann.initialPassword /ssh/passwords=true /users=root:key:none, ann:-:set:wheel:plain_password~initialPassword
            no-shell! users.users.root.shell /users=root:key:none:-:shell~/usr/bin/zsh => users.users.root.shell = pkgs.zsh; | programs.zsh.enable = true;
            no-shell users.users.bob.shell /users=root:key:none, bob:-:none:-:shell~/bin/bash
            no-shell! users.users.root.shell /users=root:key:none:-:shell~nologin
            - - /users=root:key:none:-:shell~nologin, ann:key:set:wheel
            - - /users=root:key:none:-:shell~/bin/sh
            ssh-unread services.openssh /users=root:key:none:-:shell~nologin /ssh/unread=["match"]
            "#
        ),
    );
    let secret = findings(
        &with(&[("/users", users(&format!("root:{private} b3Bl:none")))]),
        None,
    );
    assert!(!format!("{secret:?}").contains("b3Bl"), "{secret:?}");
}

#[test]
fn somebody_reaches_the_machine_and_can_administer_it() {
    let console = "/autologin=\"root\"";
    let settings = "services.openssh.settings";
    assert_found(
        None,
        &format!(
            r#"
            ssh-off! services.openssh.enable /ssh/enable=false
            ssh-off! systemd.services.sshd.enable /ssh/unit_off="systemd.services.sshd.enable"
            - - /ssh/enable=false /ssh/by_tailscale=true
            ssh-unread services.openssh /ssh/unread=["match"]
            ssh-port services.openssh.settings.Port /ssh/other_port=2222
            ssh-turns-away! {settings}.PermitRootLogin /ssh/root="no"
            ssh-turns-away! {settings}.PubkeyAuthentication /ssh/keys="no"
            ssh-turns-away! {settings}.AllowUsers /ssh/allowed=["bob"]
            ssh-turns-away! {settings}.DenyUsers /ssh/denied=["root"]
            ssh-turns-away! {settings}.PasswordAuthentication /users=ann:-:set:wheel
            ssh-turns-away! - /ssh/root="no" /users=root:key:none, ann:-:set:wheel
            - - /ssh/root="no" /ssh/other_keys=true
            firewall! networking.firewall.allowedTCPPorts /firewall/admitted=[] => networking.firewall.allowedTCPPorts = [ 22 ];
            firewall! services.openssh.openFirewall /firewall/admitted=[] /firewall/opened_by_ssh=false => services.openssh.openFirewall = true;
            firewall networking.firewall.allowedTCPPorts /firewall/admitted=[] /firewall/has_own_rules=true => -
            firewall! services.openssh.openFirewall /firewall/admitted=[] /firewall/opened_by_ssh=false /firewall/later=["docker0"] ? 22 but on docker0
            - - /firewall/admitted=[] /ssh/by_tailscale=true
            - - /firewall/admitted=[] /firewall/enable=false
            - - /firewall/admitted=[] /firewall/trusts=true
            autologin services.getty.autologinUser {console} => services.getty.autologinUser = lib.mkForce null;
            autologin services.getty.autologinUser {console} /installer=true ? installer
            autologin services.getty.autologinUser {console} /users=root:-:none ? nobody can log in over SSH
            no-admin! users.users.ann.extraGroups /users=ann:key:set => users.users.ann.extraGroups = [ "wheel" ];
            no-admin! users.users.ann /users=ann:key:none:wheel => security.sudo.wheelNeedsPassword = false; # or a password for ann
            no-admin! security.sudo.enable /users=ann:key:set:wheel /sudo/enable=false => security.sudo.enable = true;
            no-admin! users.users.ann /users=ann:key:none:wheel /sudo/option="security.sudo-rs" => security.sudo-rs.wheelNeedsPassword = false; # or a password for ann
            sudo-password users.users.ann /users=root:key:none, ann:key:none:wheel
            - - /users=pi:key:none:wheel /sudo/groups=["wheel"]
            - - /users=pi:key:none:wheel /sudo/users=["pi"]
            - - /users=pi:key:none:wheel /sudo/other=true
            unknown-group users.users.ann.extraGroups /users=root:key:none, ann:-:set:wheel:unknown_groups~["sudo"] => users.users.ann.extraGroups = [ "wheel" ]; # in place of "sudo"
            unknown-group users.users.ann.extraGroups /users=root:key:none, ann:-:set:wheel:unknown_groups~["vide"] => users.users.ann.extraGroups = [ "video" ]; # in place of "vide"
            unknown-group users.users.ann.extraGroups /users=root:key:none, ann:-:set:wheel:unknown_groups~["docker"] => virtualisation.docker.enable = true; # makes the group docker, or leave the group out
            unknown-group users.users.ann.extraGroups /users=root:key:none, ann:-:set:wheel:unknown_groups~["web-site"] => users.groups.web-site = {{ }};
            "#
        ),
    );
    assert_eq!(who_logs_in(&with(&[])), [("root", "with a key")]);
    for (at, value) in [
        ("/ssh/enable", json!(false)),
        ("/firewall/admitted", json!([])),
        ("/ssh/addresses", json!(["127.0.0.1", "[::1]"])),
    ] {
        assert_eq!(who_logs_in(&with(&[(at, value)])), []);
    }
}

/// For each user and setting of the server the last names of the options that change, of which nothing is needed for those who get in.
#[test]
fn each_setting_that_keeps_a_user_out_is_removed() {
    for row in [
        "ann:key:none:wheel /ssh/passwords=false => ",
        "ann:-:set:wheel /ssh/passwords=true => ",
        "ann:-:set:wheel /ssh/keyboard=null => ",
        "ann:-:set:wheel /ssh/passwords=false => keys",
        "ann:-:empty:wheel /ssh/passwords=true => keys",
        "ann:key:none:wheel /ssh/keys=\"no\" => PubkeyAuthentication",
        "ann:key:none:wheel /ssh/keys=false => PubkeyAuthentication",
        "ann:key:none:wheel /ssh/allowed=[\"bob\"] => AllowUsers",
        "ann:key:none:wheel /ssh/allowed=[\"a?n@10.0.0.*\"] => ",
        "ann:key:none:wheel /ssh/denied=[\"a*\"] => DenyUsers",
        "ann:key:none:wheel /ssh/denied=[\"ann@10.0.0.1\"] => ",
        "ann:key:none:wheel /ssh/allowed_groups=[\"whe*\"] => ",
        "ann:key:none:wheel /ssh/allowed_groups=[\"ssh\"] => ssh extraGroups",
        "ann:key:none:wheel /ssh/allowed_groups=[\"video\"] => extraGroups",
        "ann:key:none:wheel /ssh/denied_groups=[\"users\"] => DenyGroups",
        "root:key:none /ssh/root=null => ",
        "root:key:none /ssh/root=\"no\" => PermitRootLogin",
        "root:-:set /ssh/root=null => keys",
        "root:-:set /ssh/root=\"no\" => PermitRootLogin keys",
        "root:key:none /ssh/root=\"no\" /ssh/allowed=[\"ann\"] => AllowUsers PermitRootLogin",
        "ann:-:set:wheel /ssh/keys=\"no\" => keys PubkeyAuthentication",
        "ann:key:none:wheel /ssh/denied=[\"*\"] /ssh/allowed_groups=[\"s*\"] => DenyUsers AllowGroups",
    ] {
        let (rest, expected) = row.split_once(" => ").unwrap();
        let all = changes(&format!("/users={rest}"));
        let all: Vec<_> = all
            .iter()
            .map(|(at, value)| (at.as_str(), value.clone()))
            .collect();
        let facts = with(&all);
        let name = facts.users[0].name.clone();
        let (changes, corrected) = admitted(facts, &name);
        let last: Vec<&str> = changes
            .iter()
            .map(|one| one.option.last().unwrap().as_str())
            .collect();
        assert_eq!(last.join(" "), expected, "{row}");
        assert_eq!(who_logs_in(&corrected).len(), 1, "{row}");
    }
    let old = format!("root:expiry-time=\"20200101\" {KEY}:none");
    let now = with(&[("/users", users(&old))]).at(Timestamp::now());
    assert!(now.users[0].keys.is_empty() && now.users[0].has_expired_key);
}

#[test]
fn the_machine_has_a_network() {
    let option = "networking.wireless.networks";
    let on = "/network/wireless=true /network/networks=true";
    assert_found(
        None,
        &format!(
            r#"
            no-network! networking.useDHCP /network/dhcp_off=["useDHCP"] => networking.useDHCP = true;
            - - /network/dhcp_off=["useDHCP"] /network/interfaces=true
            - - /network/dhcp_off=["useDHCP"] /network/networkd=true
            - - /network/dhcp_off=["useDHCP"] /container=true
            no-gateway networking.defaultGateway /network/fixed=["eth0"] /network/name_server=true
            no-name-server networking.nameservers /network/fixed=["eth0"] /network/gateway=true
            - - /network/fixed=["eth0"] /network/interface_dhcp=true
            - - /network/fixed=["eth0"] /network/manager=true
            - - /network/fixed=["eth0"] /network/routes=true
            - - /network/fixed=["eth0"] /network/wireless=true
            - - /network/fixed=["wg0"]
            no-gateway,no-name-server networking.defaultGateway /network/fixed=["eth0","eth1"] /network/dhcp_off=["useDHCP"] /network/interfaces=true
            wrong-gateway networking.defaultGateway /network/gateway_address="10.0.0.1/8" => networking.defaultGateway = "10.0.0.1"; # the address of your router
            - - /network/gateway_address="fe80::1%end0"
            host-name networking.hostName /host_name="my_pi" => networking.hostName = "my-pi";
            host-name networking.hostName /host_name="a_-" => networking.hostName = "nixos";
            - - /host_name=""
            wireless-off {option} /network/networks=true
            open-passphrase {option}.Home.psk {on} /network/open_passphrases=[{{"network":"Home","bytes":63}}]
            open-passphrase {option}.Home.psk {on} /network/secrets_file="/run/wifi" /network/open_passphrases=[{{"network":"Home","bytes":8}}] => {option}.Home.pskRaw = "ext:NAME"; # replaces psk, with the line NAME=the passphrase in /run/wifi
            wireless-key!,open-passphrase {option}.Home.psk {on} /network/open_passphrases=[{{"network":"Home","bytes":7}}]
            wireless-key! {option}.Home.pskRaw {on} /network/wrong_raw_keys=["Home"]
            wireless-key! {option}.Home.psk {on} /network/secrets_file="" /network/old_names=[{{"network":"Home","name":"PSK"}}] => {option}.Home.pskRaw = "ext:PSK"; # instead of psk
            wireless-key! {option}.Home.pskRaw {on} /groups=["wpa_supplicant"] /network/keys_without_file=[{{"network":"Home","name":"home"}}] => networking.wireless.secretsFile = "/etc/wifi-secrets"; # a file on the card that wpa_supplicant can read, with the line home=the passphrase | systemd.tmpfiles.rules = [ "z /etc/wifi-secrets 0640 root wpa_supplicant" ];
            "#
        ),
    );
}

#[test]
fn secrets_are_neither_in_the_store_nor_without_their_key() {
    let late = |path: &str| {
        format!(
            "/late_keys=[{{\"option\":[\"age\",\"identityPaths\"],\"paths\":[\"{path}\"],\"secrets\":[\"wifi\"]}}]"
        )
    };
    let (host, own) = (
        late("/etc/ssh/ssh_host_ed25519_key"),
        late("/var/lib/age.key"),
    );
    let stored = |object: &str, name: &str| {
        format!("/stored_secrets=[{{\"object\":{object},\"name\":\"{name}\",\"is_file\":false}}]")
    };
    let wg = "networking.wireguard.interfaces.wg0";
    let wg0 = r#"["networking","wireguard","interfaces","wg0"]"#;
    assert_found(
        None,
        &format!(
            r#"
            stored-secret {wg}.privateKey {} => {wg}.privateKeyFile = "/etc/wireguard/wg0.key"; # instead of privateKey; a file that you put on the card
            stored-secret {wg}.peers {} => -
            stored-secret services.k3s.token {} => services.k3s.tokenFile = "/etc/k3s-token"; # instead of token; a file that you put on the card
            stored-host-key services.openssh.hostKeys /ssh/stored_host_keys=["a"]
            stored-host-key! services.openssh.hostKeys /ssh/stored_host_keys=["a"] /ssh/has_other_host_keys=false
            ssh-off! services.openssh.enable /ssh/stored_host_keys=["a"] /ssh/enable=false
            late-key age.identityPaths {host} ? SSH makes another key
            late-key age.identityPaths {host} ? DISK --host-key KEY`
            late-key age.identityPaths {own} ? --put KEY:/var/lib/age.key:0600`
            - - /card=false {own}
            "#,
            stored(wg0, "privateKey"),
            stored(wg0, "presharedKey"),
            stored("[\"services\",\"k3s\"]", "token"),
        ),
    );
}

#[test]
fn the_release_and_nixos_own_messages_are_findings() {
    let removed = r"The option definition `boot.loader.raspberryPi' in `/build/config/a.nix' no longer has any effect; please remove it.\nUse b.";
    let other = removed.replace("/build/config", "/nix/store/x");
    let renamed =
        "The option `a.old' defined in `/build/config/a.nix' has been renamed to `a.new'.";
    let theirs = renamed.replace("/build/config", "/nix/store/x");
    assert_found(
        None,
        &format!(
            r#"
            state-version system.stateVersion /state_version=null
            time-zone time.timeZone /time_zone="Europe/Viena" => time.timeZone = "Europe/Vienna";
            time-zone time.timeZone /time_zone="CEST" => time.timeZone = "Europe/Berlin"; # an example
            locale! i18n.defaultLocale /locale="de_DE" => i18n.defaultLocale = "de_DE.UTF-8";
            locale i18n.defaultLocale /locale="xx_YY.UTF-8" => i18n.defaultLocale = "en_US.UTF-8";
            locale i18n.defaultLocale /locale="de_DE" /locale_is_built=false
            - - /locale="C.UTF-8"
            - - /locale="de_DE.ISO-8859-1"
            no-upgrade system.autoUpgrade.enable /upgrades_to_nothing=true
            no-upgrade system.autoUpgrade.enable /upgrades_to_nothing=true /upgrade_has_channel=true => system.autoUpgrade.flake = "github:me/config#NAME"; # replaces channel; the flake with the configuration of this machine
            - - /upgrades_to_nothing=true /card=false
            - - /upgrades_in_memory=true
            vendor-kernel boot.kernelPackages /vendor_kernel="linux-rpi-6.18.39" => boot.kernelPackages = pkgs.linuxPackages;
            assertion! - /assertions=["Enable it. You can fix it with:\na.b = true;\n"] => a.b = true;
            assertion! - /assertions=["You can fix it with: a restart;"] => -
            assertion! - /assertions=["in:/build/config/a.nix."] ? in:a.nix NixOS
            assertion! boot.loader.grub.enable /loaders=["grub"] /assertions=["set ‘boot.loader.grub.devices’"]
            assertion! boot.loader.raspberryPi /assertions=["{removed}"] ? from a.nix. The image starts by U-Boot
            assertion! boot.loader.raspberryPi /loaders=["raspberry-pi"] /assertions=["{removed}"] ? Use b
            assertion! - /assertions=["{other}"]
            warning - /warnings=["old"]
            warning - /warnings=["{theirs}"]
            warning a.old /warnings=["{renamed}"] => a.new = …; # replaces a.old; keep its value
            state-version,warning system.stateVersion /state_version=null /warnings=["{}"]
            no-boot-loader!,state-version - /state_version=null /loaders=[]
            "#,
            renamed.replace("a.new", "system.stateVersion"),
        ),
    );
}

#[test]
fn a_change_says_what_it_replaces() {
    let definition = |line: usize, member: &str, numbers: Option<&[&str]>| {
        let numbers = numbers.map(|all| all.iter().map(|&text| text.to_owned()).collect());
        let (file, member) = ("a.nix".to_owned(), path(member));
        let place = Place { file, line };
        Some(Replaced::Definition {
            place,
            member,
            numbers,
        })
    };
    let set = || Change::set(path("a.b"), "true").note("why");
    let add = || Change::add(path("a.ports"), ["22".to_owned()]);
    let flag = Some(Replaced::Flag("--set a.b=…".to_owned()));
    for (change, replaces, text) in [
        (set(), None, "a.b = true; # why"),
        (
            set(),
            definition(3, "b", None),
            "b = true; # replaces b in line 3; why",
        ),
        (set(), flag, "a.b = true; # replaces --set a.b=…; why"),
        (
            add(),
            definition(1, "ports", None),
            "ports = [ … 22 ]; # extends ports in line 1",
        ),
        (
            add(),
            definition(1, "ports", Some(&["80"])),
            "ports = [ 80 22 ]; # replaces ports in line 1",
        ),
    ] {
        let finding = |file: &str| {
            let change = Change {
                replaces: replaces.clone(),
                ..change.clone()
            };
            let mut finding = Finding::general("x", Severity::Error, "", "").fix([change]);
            let file = file.to_owned();
            finding.place = Some(Place { file, line: 1 });
            finding.lines(None).concat()
        };
        assert_eq!(finding("a.nix"), text);
        let elsewhere = text.replace("in line ", "in a.nix:");
        assert_eq!(finding("b.nix"), elsewhere);
    }
    // The line stays whole: a key that is broken in two is not a key.
    let own = Finding::general("x", Severity::Error, "", "").fix([Change::own_key("a.b")]);
    let line = format!("users.users.\"a.b\".openssh.authorizedKeys.keys = [ \"{KEY}\" ];");
    assert_eq!(own.lines(Some(KEY)), [line]);
    let network = ["networks", "My ${x} \"Wi-Fi\"", "psk"]
        .map(str::to_owned)
        .to_vec();
    let finding = Finding::of_option("x", Severity::Error, network, " is short", "");
    assert_eq!(
        finding.statement(),
        r#"networks."My \${x} \"Wi-Fi\"".psk is short"#
    );
}

#[test]
fn what_was_looked_at_depends_on_the_image_and_the_board() {
    let looked = |changes: Changes<'_>, board: Option<&str>| {
        let board = board.map(|board| board.parse::<BoardName>().unwrap().0);
        looked_at(&with(changes), board).join(", ")
    };
    let plain = looked(&[], None);
    assert!(
        plain.contains("the root file system") && !plain.contains("firmware"),
        "{plain}"
    );
    assert!(looked(&[], Some("rpi4")).contains("the firmware partition for Raspberry Pi 4"));
    let other = looked(&[("/sd/root_label", Json::Null)], Some("other"));
    assert!(!other.contains("root file system"), "{other}");
    let disk = looked(&[("/card", json!(false)), ("/disk", json!([]))], None);
    assert!(disk.contains("root file system"), "{disk}");
}

#[test]
fn facts_are_read_from_pieces_of_a_line_and_from_traces_of_nix() {
    let text = format!("{}\ntrue", changed(&[]));
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (one, two) = lines[0].split_at(100);
    assert_eq!(facts(&[one.to_owned(), two.to_owned()]), Some(with(&[])));
    assert_eq!(
        (facts(&[]), facts(&["{\"image\":".to_owned()])),
        (None, None)
    );
    assert!(is_trace(&traced_line(&[])));
    let quoted =
        r#"@nix {"msg":"error: x\n 31| builtins.trace \"sdbuild: facts: ${facts.value}\" value"}"#;
    assert!(!is_trace(quoted));
    assert_eq!(traced_facts("@nix {\"msg\":\"sdbuild: facts: {}\"}"), None);
}

#[test]
fn a_build_warns_of_what_locks_out_or_fails_later_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let text = "{\n  services.openssh.enable = false;\n}\n";
    std::fs::write(dir.path().join("sd-card.nix"), text).unwrap();
    let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
    let definitions = OwnDefinitions::read(Some(&files), "pi/", &CliModule::default());
    for (at, value, start) in [
        ("/card", json!(true), None),
        ("/state_version", Json::Null, None),
        // A failed assertion ends the build with its own text.
        ("/assertions", json!(["no"]), None),
        (
            "/ssh/enable",
            json!(false),
            Some("pi/sd-card.nix:2: services.openssh.enable = false: "),
        ),
        (
            "/time_zone",
            json!("Europe/Berln"),
            Some("time.timeZone = "),
        ),
    ] {
        let facts = traced_facts(&traced_line(&[(at, value)])).unwrap();
        let texts = warnings(&facts, &definitions);
        let is_shown = |start: &str| texts.len() == 1 && texts[0].starts_with(start);
        assert!(start.map_or(texts.is_empty(), is_shown), "{at}: {texts:?}");
    }
}
