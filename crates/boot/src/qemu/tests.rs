use std::net::Ipv4Addr;

use super::*;
use sdbuild_core::system::System;
use sdbuild_image::board::generic_machine;

fn machine(system: System, kvm: bool, serial: Serial) -> Machine {
    Machine {
        model: generic_machine(system).qemu.as_ref().unwrap(),
        kvm,
        host_cores: 8,
        firmware: (system == System::Aarch64Linux).then(|| "/fw/u boot.bin".into()),
        memory_mib: 512,
        disk: "/proc/7/fd/9".into(),
        form: DiskForm::Raw,
        start: None,
        seed: None,
        ssh: Some(Forward {
            from: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2222),
            to: 22,
        }),
        serial,
    }
}

fn joined(argv: &[OsString]) -> String {
    let words: Vec<_> = argv.iter().map(|word| word.to_str().unwrap()).collect();
    words.join("|")
}

fn command_line(system: System, kvm: bool, serial: Serial) -> String {
    joined(&argv(&machine(system, kvm, serial)))
}

#[test]
fn image_is_read_only_and_the_port_is_local() {
    for kvm in [false, true] {
        for system in [System::Aarch64Linux, System::X8664Linux] {
            let line = command_line(system, kvm, Serial::Pipe);
            assert!(
                line.contains("-drive|file=/proc/7/fd/9,format=raw,if=none,id=card,snapshot=on")
            );
            assert!(line.contains("hostfwd=tcp:127.0.0.1:2222-:22"));
            assert!(line.contains("-m|512|"));
            assert_eq!(line.contains("-accel|kvm|-accel|tcg"), kvm);
            assert!(line.contains("|virtio-blk-pci,drive=card,romfile=,bootindex=1|"));
        }
    }
}

#[test]
fn the_port_of_the_images_ssh_server_is_forwarded() {
    let mut machine = machine(System::X8664Linux, false, Serial::Pipe);
    machine.ssh = machine.ssh.map(|ssh| Forward { to: 2022, ..ssh });
    let line = joined(&argv(&machine));
    assert!(line.contains("hostfwd=tcp:127.0.0.1:2222-:2022|"), "{line}");
}

#[test]
fn aarch64_machine_is_the_one_that_u_boot_supports() {
    let line = command_line(System::Aarch64Linux, false, Serial::Pipe);
    assert!(
        line.contains("-M|virt|-cpu|cortex-a72|-m|512|-smp|2|"),
        "{line}"
    );
    assert!(line.ends_with("-bios|/fw/u boot.bin"), "{line}");
}

#[test]
fn few_cores_emulate_one_processor() {
    for (host_cores, kvm, processors) in [(2, false, "1"), (4, false, "2"), (2, true, "2")] {
        let machine = Machine {
            host_cores,
            ..machine(System::X8664Linux, kvm, Serial::Pipe)
        };
        let line = joined(&argv(&machine));
        assert!(line.contains(&format!("|-smp|{processors}|")), "{line}");
    }
}

/// The board `name` with a card and files of the image to start with.
fn raspberry_pi(name: &str) -> Machine {
    let board: sdbuild_image::board::BoardName = name.parse().unwrap();
    Machine {
        model: board.0.qemu.as_ref().unwrap(),
        firmware: None,
        start: Some(DirectStart {
            card: Some("/card".into()),
            kernel: "/k".into(),
            device_tree: Some("/t".into()),
            initrd: None,
            command_line: None,
        }),
        ..machine(System::Aarch64Linux, true, Serial::Pipe)
    }
}

#[test]
fn raspberry_pi_starts_with_the_files_of_the_image() {
    assert_eq!(
        joined(&argv(&raspberry_pi("rpi3"))),
        "-no-user-config|-nodefaults|-nographic|-M|raspi3b|-accel|tcg,thread=single|-m|512|-serial|chardev:console|-serial|chardev:console|\
         -chardev|stdio,id=console,mux=on,signal=off|-mon|chardev=console|-drive|file=/card,format=qcow2,if=sd|-kernel|/k|-dtb|/t|\
         -netdev|user,id=net,hostfwd=tcp:127.0.0.1:2222-:22"
    );
}

#[test]
fn card_of_a_raspberry_pi_4_is_on_the_bus_of_the_board() {
    let line = joined(&argv(&raspberry_pi("rpi4")));
    let card = "-drive|file=/card,format=qcow2,if=none,id=card|-device|sd-card,drive=card,bus=/generic-sdhci/sd-bus";
    assert!(line.contains(card), "{line}");
}

#[test]
fn a_system_from_memory_has_neither_disk_nor_firmware() {
    let machine = Machine {
        start: Some(DirectStart {
            card: None,
            kernel: "/k".into(),
            device_tree: None,
            initrd: Some("/i".into()),
            command_line: Some("init=/x".into()),
        }),
        ..machine(System::Aarch64Linux, false, Serial::Pipe)
    };
    let line = joined(&argv(&machine));
    assert!(
        line.ends_with("-kernel|/k|-initrd|/i|-append|init=/x"),
        "{line}"
    );
    assert!(
        !line.contains("-bios") && !line.contains("/proc/7/fd/9"),
        "{line}"
    );
}

#[test]
fn an_iso_is_a_cd_for_the_firmware_and_for_linux() {
    let system = System::Aarch64Linux;
    let machine = Machine {
        form: DiskForm::Cd,
        ..machine(system, false, Serial::Pipe)
    };
    let line = joined(&argv(&machine));
    let drives = "-drive|file=/proc/7/fd/9,format=raw,if=none,id=cd0,media=cdrom,readonly=on|\
        -device|scsi-cd,drive=cd0,bus=scsi.0,bootindex=1|\
        -drive|file=/proc/7/fd/9,format=raw,if=none,id=cd1,media=cdrom,readonly=on|-device|ide-cd,drive=cd1,bus=sata.0";
    assert!(line.contains(drives), "{line}");
    assert!(!line.contains("virtio-blk"), "{line}");
}

#[test]
fn a_seed_is_a_read_only_disk_behind_the_first() {
    for form in [DiskForm::Raw, DiskForm::Cd] {
        let machine = Machine {
            form,
            seed: Some("/proc/7/fd/5".into()),
            ..machine(System::Aarch64Linux, false, Serial::Pipe)
        };
        let line = joined(&argv(&machine));
        let seed = "-drive|file=/proc/7/fd/5,format=raw,if=none,id=seed,readonly=on|-device|virtio-blk-pci,drive=seed,romfile=|-bios|";
        assert!(line.contains(seed), "{line}");
    }
    let without = command_line(System::Aarch64Linux, false, Serial::Pipe);
    assert!(!without.contains("seed"), "{without}");
}

#[test]
fn only_a_terminal_gets_the_monitor() {
    let line = |serial| command_line(System::X8664Linux, false, serial);
    assert!(line(Serial::Terminal).contains("-mon|chardev=console"));
    assert!(!line(Serial::Pipe).contains("-mon"));
}

#[test]
fn without_kvm_nothing_else_changes() {
    let machine = machine(System::X8664Linux, true, Serial::Pipe);
    let without = machine.without_kvm().unwrap();
    let (with, emulated) = (joined(&argv(&machine)), joined(&argv(&without)));
    assert!(
        with.contains("kvm") && !emulated.contains("kvm"),
        "{emulated}"
    );
    assert_eq!(
        emulated,
        command_line(System::X8664Linux, false, Serial::Pipe)
    );
    assert!(without.without_kvm().is_none());
}
