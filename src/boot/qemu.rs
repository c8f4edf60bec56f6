//! QEMU's command line: pure. The same words for QEMU 7.2 and later.

use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use crate::common::system::Architecture;

/// How QEMU provides a machine of an architecture: for aarch64 its `virt` machine with U-Boot, which starts what a board's
/// U-Boot would start; for `x86_64` a PC with QEMU's own firmware, or what `--firmware` names.
impl Architecture {
    /// Whether this program runs on such a processor.
    pub(super) fn is_host(self) -> bool {
        std::env::consts::ARCH == self.kernel_name()
    }

    /// The distributions' packages that contain its system emulator.
    pub(super) fn qemu_packages(self) -> &'static str {
        match self {
            Self::Aarch64 => {
                "qemu-system-arm (Debian, Ubuntu), qemu-system-aarch64 (Fedora, Alpine, Arch)"
            }
            Self::X86_64 => "qemu-system-x86 (Debian, Ubuntu, Fedora), qemu-system-x86_64 (Alpine)",
        }
    }

    /// Processor and accelerator. With KVM any processor that the kernel offers will do, and QEMU
    /// goes on without it where the kernel refuses.
    fn processor(self, kvm: bool) -> &'static [&'static str] {
        match (self, kvm) {
            (Self::Aarch64, false) => &["-M", "virt", "-cpu", "cortex-a72"],
            (Self::Aarch64, true) => &[
                "-M",
                "virt,gic-version=max",
                "-cpu",
                "max",
                "-accel",
                "kvm",
                "-accel",
                "tcg",
            ],
            (Self::X86_64, false) => &["-M", "q35", "-cpu", "max"],
            // Without arch-capabilities, a register of which QEMU dies in a machine inside a machine.
            (Self::X86_64, true) => &[
                "-M",
                "q35",
                "-cpu",
                "max,arch-capabilities=off",
                "-accel",
                "kvm",
                "-accel",
                "tcg",
            ],
        }
    }
}

/// Where the machine's serial console goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serial {
    /// QEMU's standard input and output are a user's terminal; Ctrl-A X ends it.
    Terminal,
    /// Its standard output is read by us.
    Pipe,
}

/// A machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) architecture: Architecture,
    pub(super) kvm: bool,
    pub(super) firmware: Option<PathBuf>,
    pub(super) memory_mib: u32,
    /// A name of the disk without commas.
    pub(super) disk: PathBuf,
    /// The address that leads to its SSH, where there is one.
    pub(super) ssh: Option<SocketAddrV4>,
    pub(super) serial: Serial,
}

/// The words after the program's name.
pub(super) fn argv(machine: &Machine) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut add = |some: &[&str]| words.extend(some.iter().map(OsString::from));
    // Nothing from the host's configuration, and no device that is not named here.
    add(&["-no-user-config", "-nodefaults", "-nographic"]);
    add(machine.architecture.processor(machine.kvm));
    add(&["-smp", "2", "-m", &machine.memory_mib.to_string()]);
    let mut drive = OsString::from("file=");
    drive.push(&machine.disk);
    // The file is opened to be read only: what the machine writes goes into a nameless file.
    drive.push(",format=raw,if=none,id=card,snapshot=on");
    // Without romfile the packages with network boot ROMs are not needed.
    add(&["-device", "virtio-blk-pci,drive=card,romfile="]);
    let forward = |at: SocketAddrV4| format!(",hostfwd=tcp:{at}-:22");
    let network = format!(
        "user,id=net{}",
        machine.ssh.map(forward).unwrap_or_default()
    );
    add(&["-netdev", &network]);
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
    words.extend(["-drive".into(), drive]);
    if let Some(firmware) = &machine.firmware {
        words.extend(["-bios".into(), firmware.into()]);
    }
    words
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn line(architecture: Architecture, kvm: bool, serial: Serial) -> String {
        let aarch64 = architecture == Architecture::Aarch64;
        let words = argv(&Machine {
            architecture,
            kvm,
            firmware: aarch64.then(|| "/fw/u boot.bin".into()),
            memory_mib: 512,
            disk: "/proc/7/fd/9".into(),
            ssh: Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2222)),
            serial,
        });
        let words: Vec<_> = words.iter().map(|w| w.to_str().unwrap()).collect();
        words.join("|")
    }

    #[test]
    fn the_image_is_never_written_and_the_port_is_only_ours() {
        for kvm in [false, true] {
            for architecture in [Architecture::Aarch64, Architecture::X86_64] {
                let line = line(architecture, kvm, Serial::Pipe);
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
    fn an_aarch64_machine_is_the_one_that_u_boot_is_for() {
        let line = line(Architecture::Aarch64, false, Serial::Pipe);
        assert!(line.contains("-M|virt|-cpu|cortex-a72|-smp|2"), "{line}");
        assert!(line.ends_with("-bios|/fw/u boot.bin"), "{line}");
    }

    #[test]
    fn only_a_user_gets_the_monitor() {
        let architecture = Architecture::X86_64;
        assert!(line(architecture, false, Serial::Terminal).contains("-mon|chardev=console"));
        assert!(!line(architecture, false, Serial::Pipe).contains("-mon"));
    }
}
