//! A machine that was started from a disk, and changes itself with `nixos-rebuild`.

use std::fs;

use crate::support::board::{Machine, disk_with_nix, generations};
use crate::support::*;

/// Asserts that each generation has its boot loader entry, and that the first one's files are there; `next` is the second one.
fn assert_both_can_start(machine: &Machine, next: &str) {
    let entries = machine.run("cd /boot/loader/entries && ls");
    assert_eq!(entries, "nixos-generation-1.conf\nnixos-generation-2.conf\n");
    let first = machine.run("cat /boot/loader/entries/nixos-generation-1.conf");
    let value = |key| {
        let mut values = first.lines().filter_map(|line| line.strip_prefix(key));
        values.next().unwrap()
    };
    let init = value("options init=").split(' ').next().unwrap();
    assert!(!init.starts_with(next), "{first}");
    let (linux, initrd) = (value("linux "), value("initrd "));
    machine.run(&format!("cd /boot && test -s .{linux} && test -s .{initrd} && test -x {init}"));
}

/// The same file builds the disk and, with another name, the next system on the machine: nothing is fetched or built that is there.
#[test]
fn a_machine_that_was_started_from_a_disk_rebuilds_itself() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new();
    let runs = user.track_runs();
    let (disk, key) = disk_with_nix(&user);
    let configuration = user.home.path().join("sd-card.nix");

    let mut machine = Machine::start(&disk, &key, &user.home.path().join("console"), 1024);
    machine.wait_for("first");
    let size = machine.run("df -m / | tail -n 1");
    let mib: u32 = size.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(mib > 800, "grown: {size}");
    assert_eq!(generations(&machine), ["1*"]);
    // The store is as it was registered.
    machine.run(
        "nix-store --verify --check-contents && nix-store --check-validity /run/current-system",
    );

    machine.copy_nixpkgs();
    let text = fs::read_to_string(&configuration).unwrap();
    user.write("next.nix", &text.replacen("\"first\"", "\"second\"", 1));
    machine.run("mkdir -p /etc/nixos");
    machine.write(&user.home.path().join("next.nix"), "/etc/nixos/configuration.nix");
    let command = "nixos-rebuild boot -I nixpkgs=/root/mini-nixpkgs --option substituters '' 2>&1";
    let rebuilt = machine.run(command);
    assert!(rebuilt.contains("-nixos-system-second-"), "{rebuilt}");
    assert!(!rebuilt.contains(".deb"), "fetched: {rebuilt}");
    assert_eq!(generations(&machine), ["1", "2*"]);
    let next = machine.run("readlink -f /nix/var/nix/profiles/system");
    // The connection may end before the answer.
    run(&mut machine.ssh("reboot"));

    machine.wait_for("second");
    assert_eq!(machine.run("readlink -f /run/current-system"), next);
    let command_line = machine.run("cat /proc/cmdline");
    let started = format!("init={}/init ", next.trim_end());
    assert!(command_line.contains(&started), "{command_line}");
    assert_both_can_start(&machine, next.trim_end());

    // Another name while it runs: the connection and the second generation stay.
    user.write("next.nix", &text.replacen("\"first\"", "\"third\"", 1));
    let file = user.home.path().join("next.nix");
    machine.put_by_sftp(&file, "/etc/nixos/configuration.nix");
    machine.run(&command.replacen("boot", "test", 1));
    assert_eq!(machine.run("hostname"), "third\n");
    assert_eq!(generations(&machine), ["1", "2*"]);
    machine.run(&command.replacen("boot", "switch", 1));
    assert_eq!(generations(&machine), ["1", "2", "3*"]);
    let profile = machine.run("readlink -f /nix/var/nix/profiles/system");
    assert_eq!(machine.run("readlink -f /run/current-system"), profile);
    drop(machine);
    runs.assert_nothing_left();
}
