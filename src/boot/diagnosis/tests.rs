//! Consoles of the miniature image and of broken copies of it, recorded from QEMU 7.2 with Debian's
//! U-Boot 2023.01 (a kernel's middle part is left out); what the real NixOS and systemd write, in
//! their own words from their sources.

use super::*;
use crate::boot::console::Console;

fn lines(recorded: &str) -> Vec<String> {
    let mut console = Console::default();
    console.feed(recorded.as_bytes());
    console.lines()
}

fn told(recorded: &str, answer: Option<&str>) -> String {
    let lines = lines(recorded);
    diagnose(&Evidence {
        lines: &lines,
        answer,
    })
    .what
}

/// Asserts what is told, and that nobody waits for the time to be up.
#[track_caller]
fn ends(recorded: &str, what: &str) {
    let told = told(recorded, Some("Connection closed by 127.0.0.1 port 2222"));
    assert!(told.contains(what), "{told}");
    let ended = lines(recorded).iter().any(|line| is_the_end(line));
    assert!(ended, "nothing ended it");
}

/// Asserts what is told when the time is up.
#[track_caller]
fn waits(recorded: &str, answer: Option<&str>, what: &str) {
    let told = told(recorded, answer);
    assert!(told.contains(what), "{told}");
    let end = lines(recorded).into_iter().find(|line| is_the_end(line));
    assert_eq!(end, None, "it would be given up too early");
}

const GOOD: &str = include_str!("login.txt");
const RESET: Option<&str> = Some("kex_exchange_identification: read: Connection reset by peer");

#[test]
fn the_firmware_finds_nothing() {
    ends(include_str!("blank.txt"), "no bootable device");
    ends(include_str!("pc.txt"), "no bootable device");
    ends(include_str!("noloader.txt"), "no boot loader");
}

#[test]
fn a_file_of_the_boot_menu_is_missing() {
    ends(
        include_str!("nokernel.txt"),
        "names a kernel that is not in",
    );
    ends(include_str!("noinitrd.txt"), "failure retrieving initrd");
}

#[test]
fn the_kernel_panics() {
    let what = "cannot mount the root file system: VFS: Cannot open root device \"LABEL=NIXOS_SD\"";
    ends(include_str!("noinitrdline.txt"), what);
    ends(
        include_str!("noinit.txt"),
        "switch_root: can't execute '/nix/store/none/init'",
    );
    ends(
        "[    9.1] Kernel panic - not syncing: Oops: Fatal exception\n",
        "the kernel panicked: Kernel panic - not syncing: Oops",
    );
}

#[test]
fn the_root_file_system_is_not_there() {
    ends(
        include_str!("wronglabel.txt"),
        "stage 1: no root file system LABEL=NIXOS_SD",
    );
    ends(include_str!("truncated.txt"), "not whole");
    ends(
        "<<< NixOS Stage 1 >>>\n\
         waiting for device /dev/disk/by-label/NIXOS_SD to appear............\n\
         Timed out waiting for device /dev/disk/by-label/NIXOS_SD, trying to mount anyway.\n\
         mounting /dev/disk/by-label/NIXOS_SD on /...\n\
         mount: mounting /dev/disk/by-label/NIXOS_SD on /mnt-root/ failed: No such file or directory\n\
         \n\
         An error occurred in stage 1 of the boot process, which must mount the\n\
         root filesystem on `/mnt-root' and then start stage 2.  Press one\n",
        "not in the image: Timed out waiting for device /dev/disk/by-label/NIXOS_SD",
    );
}

const EMERGENCY: &str =
    "You are in emergency mode. After logging in, type \"journalctl -xb\" to view\n";

#[test]
fn emergency_mode_tells_the_device_when_one_was_missing() {
    let missing = "[\x1b[0;1;31m TIME \x1b[0m] Timed out waiting for device \x1b[0;1;39m/dev/disk/by-label/DATA\x1b[0m.\n\
        [\x1b[0;1;38;5;185mDEPEND\x1b[0m] Dependency failed for /data.\n";
    ends(
        &format!("{missing}{EMERGENCY}"),
        "not in the image: Timed out waiting for device /dev/disk/by-label/DATA.",
    );
    ends(EMERGENCY, "emergency mode");
}

#[test]
fn a_device_that_may_be_missing_keeps_nobody_out() {
    let optional = "[ TIME ] Timed out waiting for device /dev/disk/by-label/SWAP.\n";
    waits(
        &format!("{optional}{GOOD}"),
        RESET,
        "nothing answers on its SSH port",
    );
}

#[test]
fn the_machine_is_up_but_nobody_is_let_in() {
    waits(GOOD, RESET, "nothing answers on its SSH port");
    let refused = Some("root@127.0.0.1: Permission denied (publickey).");
    waits(
        LOGIN,
        refused,
        "refuses the key: root@127.0.0.1: Permission denied (publickey)",
    );
    waits("", refused, "refuses the key");
}

#[test]
fn every_stretch_of_a_good_boot_is_told_by_how_far_it_came() {
    let before = |end: &str| GOOD.split(end).next().unwrap().to_owned();
    let told = [
        ("U-Boot", "the console stayed empty"),
        ("Starting kernel", "looking for something to start"),
        ("[    0.0", "was started and says nothing"),
        ("<<< NixOS Stage 1", "no system came up in time"),
        ("<<< NixOS Stage 2", "stage 1 still waits"),
        (" login: ", "not ready in time"),
    ];
    for (end, what) in told {
        waits(&before(end), RESET, what);
    }
}

#[test]
fn every_meaning_comes_with_a_hint() {
    for symptom in SYMPTOMS.iter().chain(&STAGES) {
        assert!(
            symptom.hint.len() > 10 && !symptom.hint.ends_with('.'),
            "{}",
            symptom.what
        );
    }
}
