//! QEMU's command line, the same for QEMU 7.2 and later.

use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use crate::common::board::QemuModel;

/// Where the machine's serial console is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serial {
    /// To QEMU's standard input and output, which are the user's terminal; Ctrl-A X ends QEMU.
    Terminal,
    /// To QEMU's standard output, which sdbuild reads.
    Pipe,
}

/// A machine for QEMU to run.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) model: &'static QemuModel,
    /// Whether to use the host's processor through KVM.
    pub(super) kvm: bool,
    pub(super) firmware: Option<PathBuf>,
    pub(super) memory_mib: u32,
    /// A path of the disk without commas.
    pub(super) disk: PathBuf,
    /// The address that is forwarded to the machine's SSH port.
    pub(super) ssh: Option<SocketAddrV4>,
    pub(super) serial: Serial,
}

/// The name of the program that emulates `model`.
pub(super) fn program_name(model: &QemuModel) -> String {
    format!("qemu-system-{}", model.architecture.kernel_name())
}

/// The arguments of QEMU after its name.
pub(super) fn argv(machine: &Machine) -> Vec<OsString> {
    let mut argv: Vec<OsString> = Vec::new();
    let mut add = |words: &[&str]| argv.extend(words.iter().map(OsString::from));
    // Nothing from the host's configuration, and no device that is not named here.
    add(&["-no-user-config", "-nodefaults", "-nographic"]);
    add(if machine.kvm {
        machine.model.virtualized
    } else {
        machine.model.emulated
    });
    add(&["-smp", "2", "-m", &machine.memory_mib.to_string()]);
    let mut drive = OsString::from("file=");
    drive.push(&machine.disk);
    // The image is opened read-only: what the machine writes goes to a file without a name.
    drive.push(",format=raw,if=none,id=card,snapshot=on");
    // Without romfile the packages with network boot ROMs are not needed.
    add(&["-device", "virtio-blk-pci,drive=card,romfile="]);
    let forward = |address: SocketAddrV4| format!(",hostfwd=tcp:{address}-:22");
    let forward = machine.ssh.map(forward).unwrap_or_default();
    add(&["-netdev", &format!("user,id=net{forward}")]);
    add(&["-device", "virtio-net-pci,netdev=net,romfile="]);
    add(&["-device", "virtio-rng-pci", "-serial", "chardev:console"]);
    match machine.serial {
        Serial::Terminal => add(&[
            "-chardev",
            "stdio,id=console,mux=on,signal=off",
            "-mon",
            "chardev=console",
        ]),
        Serial::Pipe => add(&["-chardev", "stdio,id=console,signal=off"]),
    }
    argv.extend(["-drive".into(), drive]);
    if let Some(firmware) = &machine.firmware {
        argv.extend(["-bios".into(), firmware.into()]);
    }
    argv
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::common::board::qemu_model;
    use crate::common::system::System;

    fn command_line(system: System, kvm: bool, serial: Serial) -> String {
        let argv = argv(&Machine {
            model: qemu_model(system).unwrap(),
            kvm,
            firmware: (system == System::Aarch64Linux).then(|| "/fw/u boot.bin".into()),
            memory_mib: 512,
            disk: "/proc/7/fd/9".into(),
            ssh: Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2222)),
            serial,
        });
        let words: Vec<_> = argv.iter().map(|word| word.to_str().unwrap()).collect();
        words.join("|")
    }

    #[test]
    fn image_is_read_only_and_the_port_is_local() {
        for kvm in [false, true] {
            for system in [System::Aarch64Linux, System::X8664Linux] {
                let line = command_line(system, kvm, Serial::Pipe);
                assert!(
                    line.contains(
                        "-drive|file=/proc/7/fd/9,format=raw,if=none,id=card,snapshot=on"
                    )
                );
                assert!(line.contains("hostfwd=tcp:127.0.0.1:2222-:22"));
                assert!(line.contains("-m|512|"));
                assert_eq!(line.contains("-accel|kvm|-accel|tcg"), kvm);
            }
        }
    }

    #[test]
    fn aarch64_machine_is_the_one_that_u_boot_supports() {
        let line = command_line(System::Aarch64Linux, false, Serial::Pipe);
        assert!(line.contains("-M|virt|-cpu|cortex-a72|-smp|2"), "{line}");
        assert!(line.ends_with("-bios|/fw/u boot.bin"), "{line}");
    }

    #[test]
    fn only_a_terminal_gets_the_monitor() {
        let line = |serial| command_line(System::X8664Linux, false, serial);
        assert!(line(Serial::Terminal).contains("-mon|chardev=console"));
        assert!(!line(Serial::Pipe).contains("-mon"));
    }
}
