//! Which disks are listed and which are refused, on the recorded files of other machines.

use std::fs;
use std::path::Path;

use sdbuild_image::flash::{Allowed, SysRoot};
use sdbuild_image::flash::{check_reach, find};

use crate::recorded_machine::Machine;

const EVERYTHING: Allowed = Allowed { fixed: true, unmount: true };

#[test]
fn laptop_lists_its_removable_disks() {
    let machine = Machine::new("laptop");
    // Not the empty slot, the optical drive, built-in disks and virtual ones.
    assert_eq!(machine.listed(), ["mmcblk0", "sda", "sdc", "sdd"]);
    let inventory = machine.inventory();
    let sda = inventory.candidates().find(|disk| disk.name == "sda").unwrap();
    assert_eq!(
        (sda.model.as_str(), sda.bus, sda.size),
        ("Generic STORAGE DEVICE", "usb", 62_333_952 * 512)
    );
    assert_eq!(sda.parts[2].label.as_deref(), Some("NIXOS_SD"));
    assert_eq!(sda.mounted().collect::<Vec<_>>(), [Path::new("/run/media/me/FIRM WARE")]);
}

#[test]
fn missing_disk_is_hinted_at_those_that_exist() {
    let inventory = Machine::new("laptop").inventory();
    let failure = find(Path::new("/dev/sdzzz"), &inventory, &SysRoot::here()).unwrap_err();
    assert_eq!(failure.to_string(), "there is no /dev/sdzzz");
    let hint = &failure.hints[0];
    assert!(hint.starts_with("removable disks in this machine: "), "{hint}");
    assert!(hint.contains("/dev/sda (Generic STORAGE DEVICE, usb, 32 GB)"), "{hint}");
    assert!(hint.contains("/dev/sdd (") && !hint.contains("nvme"), "{hint}");
    let failure = find(Path::new("/dev/null"), &inventory, &SysRoot::here()).unwrap_err();
    assert_eq!(failure.to_string(), "/dev/null is not a disk");
}

#[test]
fn container_without_disks_has_to_flash_outside() {
    let machine = Machine::new("laptop");
    for mark in [".dockerenv", "run/.containerenv"] {
        assert!(check_reach(&machine.inventory()).is_ok(), "{mark}");
        fs::remove_dir_all(machine.at("dev")).unwrap();
        assert!(check_reach(&machine.inventory()).is_ok(), "{mark}");
        machine.write(mark, "");
        let inventory = machine.inventory();
        let missing = find(Path::new("/dev/sdzzz"), &inventory, &SysRoot::here()).unwrap_err();
        let none = find(Path::new("/dev/null"), &inventory, &SysRoot::here()).unwrap_err();
        let listed = check_reach(&inventory).unwrap_err();
        for failure in [missing, none, listed] {
            let hint = &failure.hints[0];
            let start = "this is a container; run";
            assert!(hint.starts_with(start), "{hint}");
        }
        // One that was given a disk.
        machine.write("dev/sda", "");
        assert!(check_reach(&machine.inventory()).is_ok());
        fs::remove_file(machine.at(mark)).unwrap();
    }
}

#[test]
fn laptop_refuses_its_own_disks() {
    let machine = Machine::new("laptop");
    let none = Allowed::default();
    for (number, allowed, why) in [
        ("179:0", none, ""),
        (
            "259:0",
            EVERYTHING,
            "/dev/nvme0n1 is this machine's own disk: it holds /, /boot/efi, /boot, swap, the image to write",
        ),
        ("259:3", EVERYTHING, "it is a partition of /dev/nvme0n1, and an image needs a whole disk"),
        ("259:8", EVERYTHING, "the kernel's list of disks has no device 259:8"),
        ("259:9", none, "/dev/nvme1n1 is not removable (nvme)"),
        ("259:9", EVERYTHING, ""),
        ("253:2", EVERYTHING, "/dev/dm-2 is not a disk that an image can be flashed to"),
        ("252:0", EVERYTHING, "/dev/zram0 is not a disk that an image can be flashed to"),
        ("11:0", EVERYTHING, "/dev/sr0 is not a disk that an image can be flashed to"),
        ("8:0", none, "/dev/sda is mounted at /run/media/me/FIRM WARE"),
        ("8:0", EVERYTHING, ""),
        ("8:16", none, "there is no card in /dev/sdb"),
        ("8:32", none, "/dev/sdc is not removable (Samsung Portable SSD T5, usb)"),
        ("8:32", EVERYTHING, ""),
        ("8:48", EVERYTHING, "/dev/sdd is read-only"),
        ("7:0", EVERYTHING, "/dev/loop0 holds /snap/core"),
        ("99:0", none, "the kernel's list of disks has no device 99:0"),
    ] {
        assert_eq!(machine.refusal(number, allowed), why, "{number}");
    }
}

#[test]
fn raspberry_pi_refuses_the_card_that_it_runs_from() {
    let machine = Machine::new("pi");
    assert_eq!(machine.listed(), ["sda"]);
    let refused = machine.refusal("179:0", EVERYTHING);
    assert_eq!(
        refused,
        "/dev/mmcblk0 is this machine's own disk: it holds /, /boot/firmware, swap, the image to write"
    );
    assert_eq!(
        machine.refusal("179:32", Allowed::default()),
        "/dev/mmcblk1 is not removable (BJTD4R, mmc)"
    );
    assert_eq!(machine.refusal("179:32", EVERYTHING), "");
    let refused = machine.refusal("179:64", EVERYTHING);
    assert!(refused.contains("not a disk that an image can be flashed to"), "{refused}");
    assert_eq!(machine.refusal("8:0", Allowed::default()), "");
}

#[test]
fn all_disks_of_arrays_pools_and_multipaths_are_in_use() {
    let machine = Machine::new("arrays");
    assert_eq!(machine.listed(), ["sdg"]);
    for (number, why) in [
        ("8:0", "/dev/sda is this machine's own disk: it holds /"),
        ("8:16", "/dev/sdb is this machine's own disk: it holds /"),
        ("8:32", "/dev/sdc holds /home"),
        ("8:48", "/dev/sdd holds /home"),
        ("8:64", "/dev/sde holds the image to write"),
        ("8:80", "/dev/sdf holds the image to write"),
        ("8:96", "/dev/sdg is in use by dm-1 (secret)"),
    ] {
        assert_eq!(machine.refusal(number, EVERYTHING), why);
    }
}

#[test]
fn all_disks_with_a_zfs_member_are_in_use() {
    let machine = Machine::new("zfs");
    assert_eq!(machine.listed(), ["sdc"]);
    assert_eq!(
        machine.refusal("8:0", EVERYTHING),
        "/dev/sda is this machine's own disk: it holds /, /nix, the image to write"
    );
    assert_eq!(machine.refusal("8:16", EVERYTHING), "");
    // Without udev the file systems on a disk are unknown.
    fs::remove_dir_all(machine.at("run/udev")).unwrap();
    for number in ["8:0", "8:16"] {
        let refused = machine.refusal(number, EVERYTHING);
        assert!(refused.contains("perhaps / (on which disk is unknown"), "{refused}");
    }
    assert_eq!(machine.refusal("8:32", EVERYTHING), "");
}

#[test]
fn container_refuses_all_fixed_disks() {
    let machine = Machine::new("container");
    assert_eq!(machine.listed(), ["sdb"]);
    let refused = machine.refusal("8:0", EVERYTHING);
    assert!(refused.contains("perhaps / (on which disk is unknown"), "{refused}");
    assert_eq!(machine.refusal("8:16", EVERYTHING), "");
    // The file behind a loop device is visible.
    let refused = machine.refusal("7:3", EVERYTHING);
    assert!(refused.contains("too small"), "{refused}");
}

#[test]
fn live_system_refuses_its_own_stick() {
    let machine = Machine::new("live");
    assert_eq!(machine.listed(), ["sdb"]);
    let refused = machine.refusal("8:0", EVERYTHING);
    assert!(refused.starts_with("/dev/sda holds /nix/.ro-store, /nix/store"), "{refused}");
}

#[test]
fn server_refuses_fixed_disks_that_it_mounts() {
    let machine = Machine::new("server");
    // One of the USB disks holds a home directory.
    assert_eq!(machine.listed(), ["sdd"]);
    for (number, why) in [
        ("259:0", "/dev/nvme0n1 is this machine's own disk: it holds /, /boot, the image to write"),
        ("259:3", "/dev/nvme1n1 holds /var/lib/docker"),
        ("8:0", "/dev/sda holds /srv/mail, /opt"),
        ("8:16", "/dev/sdb holds /home/me"),
        // Temporary mounts, and removable disks.
        ("8:32", ""),
        ("8:48", ""),
    ] {
        assert_eq!(machine.refusal(number, EVERYTHING), why);
    }
    let refused = machine.refusal("8:48", Allowed::default());
    assert_eq!(refused, "/dev/sdd is mounted at /data");
}

#[test]
fn machine_without_devices_has_no_disks() {
    let machine = Machine { dir: tempfile::tempdir().unwrap() };
    machine.write("proc/self/mountinfo", "");
    assert_eq!(machine.inventory().candidates().count(), 0);
}

/// A directory in place of a file cannot be read, not even by root.
#[test]
fn unreadable_tables_of_mounts_and_swaps_are_errors() {
    let machine = Machine::new("laptop");
    let refusal = || machine.take().unwrap_err().to_string();
    fs::remove_file(machine.at("proc/swaps")).unwrap();
    assert!(machine.take().is_ok(), "a kernel without swap");
    fs::create_dir(machine.at("proc/swaps")).unwrap();
    assert_eq!(refusal(), "read what is swapped to from /proc/swaps: it is not a plain file");
    fs::remove_file(machine.at("proc/self/mountinfo")).unwrap();
    assert_eq!(
        refusal(),
        "read what is mounted from /proc/self/mountinfo: No such file or directory"
    );
    fs::create_dir(machine.at("proc/self/mountinfo")).unwrap();
    let expected = "read what is mounted from /proc/self/mountinfo: it is not a plain file";
    assert_eq!(refusal(), expected);
}
