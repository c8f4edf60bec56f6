use super::*;
use crate::machine::Console;

fn lines(recorded: &str) -> Vec<String> {
    let mut console = Console::default();
    console.feed(recorded.as_bytes());
    console.lines()
}

fn diagnosed(recorded: &str, ssh_error: Option<&str>) -> String {
    let lines = lines(recorded);
    diagnose(&Evidence {
        lines: &lines,
        ssh_error,
    })
    .what
}

/// Asserts the diagnosis, and that the boot ends before the timeout.
#[track_caller]
fn ends(recorded: &str, what: &str) {
    let diagnosis = diagnosed(recorded, Some("Connection closed by 127.0.0.1 port 2222"));
    assert!(diagnosis.contains(what), "{diagnosis}");
    let ended = lines(recorded).iter().any(|line| is_final(line));
    assert!(ended, "no line ended it");
}

/// Asserts the diagnosis after the timeout, and that the boot does not end before it.
#[track_caller]
fn waits(recorded: &str, ssh_error: Option<&str>, what: &str) {
    let diagnosis = diagnosed(recorded, ssh_error);
    assert!(diagnosis.contains(what), "{diagnosis}");
    let end = lines(recorded).into_iter().find(|line| is_final(line));
    assert_eq!(end, None, "it would end too early");
}

const GOOD: &str = include_str!("login.txt");
const RESET: Option<&str> = Some("kex_exchange_identification: read: Connection reset by peer");

#[test]
fn firmware_finds_no_boot_loader() {
    ends(include_str!("blank.txt"), "no bootable device");
    ends(include_str!("pc.txt"), "no bootable device");
    ends(include_str!("noloader.txt"), "no boot loader");
}

#[test]
fn file_of_the_boot_menu_is_missing() {
    ends(
        include_str!("nokernel.txt"),
        "names a kernel that is not in",
    );
    ends(include_str!("noinitrd.txt"), "failure retrieving initrd");
}

/// Recorded from `raspi3b` with Debian's U-Boot 2025.01 and its kernel 6.12.107.
#[test]
fn kernel_over_the_device_tree() {
    ends(
        "Moving Image from 0x80000 to 0x200000, end=26f0000\n\
         ERROR: Did not find a cmdline Flattened Device Tree\n\
         Could not find a valid device tree\nBoot failed (err=-14)\nU-Boot> ",
        "too large for this U-Boot",
    );
    ends("No valid device tree\nU-Boot> ", "no boot loader");
}

#[test]
fn kernel_panics() {
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
fn root_file_system_is_missing() {
    ends(
        include_str!("wronglabel.txt"),
        "stage 1: no root file system LABEL=NIXOS_SD",
    );
    ends(include_str!("truncated.txt"), "incomplete");
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

#[test]
fn a_disk_without_a_driver_is_no_wrong_label() {
    let kernel = "[    0.000000] Linux version 6.12.107\n<<< NixOS Stage 1 >>>\n";
    let missing = "Timed out waiting for device /dev/disk/by-label/NIXOS_SD, trying to mount anyway.\n\
                   An error occurred in stage 1 of the boot process, which must mount the\n";
    ends(&format!("{kernel}{missing}"), "Linux found no disk");
    for disk in [
        "[    1.2] virtio_blk virtio1: [vda] 4194304 512-byte logical blocks (2.15 GB/2.00 GiB)\n",
        "[    2.1]  mmcblk0: p1 p2\n",
    ] {
        ends(
            &format!("{kernel}{disk}{missing}"),
            "not in the image: Timed out",
        );
    }
    // A quiet kernel says nothing of its disks either.
    ends(missing, "not in the image: Timed out");
}

const EMERGENCY: &str =
    "You are in emergency mode. After logging in, type \"journalctl -xb\" to view\n";

#[test]
fn emergency_mode_names_the_missing_device() {
    let missing = "[\x1b[0;1;31m TIME \x1b[0m] Timed out waiting for device \x1b[0;1;39m/dev/disk/by-label/DATA\x1b[0m.\n\
        [\x1b[0;1;38;5;185mDEPEND\x1b[0m] Dependency failed for /data.\n";
    ends(
        &format!("{missing}{EMERGENCY}"),
        "not in the image: Timed out waiting for device /dev/disk/by-label/DATA.",
    );
    ends(EMERGENCY, "emergency mode");
}

#[test]
fn missing_optional_device_is_not_the_diagnosis() {
    let optional = "[ TIME ] Timed out waiting for device /dev/disk/by-label/SWAP.\n";
    waits(
        &format!("{optional}{GOOD}"),
        RESET,
        "nothing answers on its SSH port",
    );
}

#[test]
fn machine_is_up_without_a_login() {
    waits(GOOD, RESET, "nothing answers on its SSH port");
    let refused = Some("root@127.0.0.1: Permission denied (publickey).");
    waits(
        LOGIN_PROMPT,
        refused,
        "refuses the key: root@127.0.0.1: Permission denied (publickey)",
    );
    waits("", refused, "refuses the key");
}

#[test]
fn every_stage_of_a_good_boot_is_recognized() {
    let before = |end: &str| GOOD.split(end).next().unwrap().to_owned();
    let stages = [
        ("U-Boot", "the console stayed empty"),
        ("Starting kernel", "looking for something to start"),
        ("[    0.0", "was started and prints nothing"),
        ("<<< NixOS Stage 1", "no system came up in time"),
        ("<<< NixOS Stage 2", "stage 1 of the boot is still waiting"),
        (" login: ", "not ready in time"),
    ];
    for (end, what) in stages {
        waits(&before(end), RESET, what);
    }
}

#[test]
fn a_console_that_the_kernel_has_is_not_asked_for() {
    let hint = |append: &str| {
        let lines = lines(&format!("{append}\nStarting kernel ...\n\n"));
        let evidence = Evidence {
            lines: &lines,
            ssh_error: RESET,
        };
        diagnose(&evidence).hint
    };
    let with = hint("append: init=/nix/store/x/init console=tty0 console=ttyAMA0,115200n8");
    assert!(
        with.contains("--timeout") && !with.contains("console="),
        "{with}"
    );
    let without = hint("append: init=/nix/store/x/init console=tty0");
    assert!(without.contains("console=ttyAMA0"), "{without}");
}

/// Recorded from `raspi3b` with Debian's kernel 6.12.107: the port has the kernel's messages and no prompt.
#[test]
fn a_port_of_the_bluetooth_chip_asks_for_no_login() {
    let taken = lines(
        "[   39.056121] printk: legacy console [ttyAMA0] enabled\n\
         [   39.094253] serial serial0: tty port ttyAMA0 registered\n<<< NixOS Stage 2 >>>\n",
    );
    let hint = hint_without_prompt(&taken).unwrap();
    assert!(hint.contains("console=ttyS1"), "{hint}");
    assert_eq!(hint_without_prompt(&lines(GOOD)), None);
}
