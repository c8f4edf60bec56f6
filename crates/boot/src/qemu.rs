//! QEMU's command line, the same for QEMU 7.2 and later.

use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use sdbuild_image::DiskForm;
use sdbuild_image::board::{QemuModel, Wiring};

/// Where the machine's serial console is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serial {
    /// To QEMU's standard input and output, which are the user's terminal; Ctrl-A X ends QEMU.
    Terminal,
    /// To QEMU's standard output, which sdbuild reads.
    Pipe,
}

/// An address of QEMU's machine that is forwarded to a port of the machine that it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forward {
    pub(super) from: SocketAddrV4,
    pub(super) to: u16,
}

/// A machine for QEMU to run.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) model: &'static QemuModel,
    /// Whether to use the host's processor through KVM.
    pub(super) kvm: bool,
    /// Cores of the machine that QEMU runs on.
    pub(super) host_cores: u32,
    pub(super) firmware: Option<PathBuf>,
    pub(super) memory_mib: u32,
    /// A path of the disk without commas.
    pub(super) disk: PathBuf,
    pub(super) form: DiskForm,
    /// What is loaded before the machine starts, in place of firmware.
    pub(super) start: Option<DirectStart>,
    /// A path, without commas, of the seed of cloud-init.
    pub(super) seed: Option<PathBuf>,
    /// What leads to the machine's SSH server.
    pub(super) ssh: Option<Forward>,
    pub(super) serial: Serial,
}

/// The command of QEMU's monitor that plugs a network adapter into a board's USB port. Without the port's number QEMU puts a
/// hub between them, which would have to be recognised first.
pub(super) const PLUG_NETWORK: &str = "device_add usb-net,netdev=net,id=adapter,port=1";
/// The command that takes it out again.
pub(super) const UNPLUG_NETWORK: &str = "device_del adapter";

/// The disk. Without `romfile` the packages with network boot ROMs are not needed. With `bootindex` edk2 starts the drivers of this
/// device only: those of its network wait forever once in some 150 boots, because its driver of virtio-rng is not reentrant and
/// a timer of theirs calls it in the middle of a call (edk2 2025.02, seen in its memory).
const DISK: &str = "virtio-blk-pci,drive=card,romfile=,bootindex=1";

/// Cores of the host from which on two processors are emulated.
const MIN_CORES_FOR_TWO: u32 = 4;

/// Files that QEMU loads in place of a board's firmware, by paths without commas.
#[derive(Clone, Debug)]
pub(super) struct DirectStart {
    /// The card of a board, a qcow2 file over the image.
    pub(super) card: Option<PathBuf>,
    pub(super) kernel: PathBuf,
    /// The device tree of the board; `None` for QEMU's own.
    pub(super) device_tree: Option<PathBuf>,
    pub(super) initrd: Option<PathBuf>,
    pub(super) command_line: Option<String>,
}

impl Machine {
    /// The same machine without KVM; `None` if it does not use that.
    pub(super) fn without_kvm(&self) -> Option<Self> {
        self.virtualized().map(|_| Self {
            kvm: false,
            ..self.clone()
        })
    }

    /// The arguments for the processor and what runs it.
    fn processor(&self) -> &'static [&'static str] {
        self.virtualized().unwrap_or(self.model.emulated)
    }

    /// The number of processors. Where QEMU emulates them on fewer than four cores a second one is of no use: on two cores an image
    /// booted in the same time with one, which took a fifth less of the cores' time, and a third less beside other boots.
    fn processors(&self) -> &'static str {
        if self.virtualized().is_some() || self.host_cores >= MIN_CORES_FOR_TWO {
            "2"
        } else {
            "1"
        }
    }

    fn virtualized(&self) -> Option<&'static [&'static str]> {
        self.model.virtualized.filter(|_| self.kvm)
    }
}

/// The name of the program that emulates `model`.
pub(super) fn program_name(model: &QemuModel) -> String {
    format!("qemu-system-{}", model.architecture.kernel_name())
}

/// The arguments of QEMU after its name.
pub(super) fn argv(machine: &Machine) -> Vec<OsString> {
    let mut argv: Vec<OsString> = Vec::new();
    // Nothing from the host's configuration, and no device that is not named here.
    add(&mut argv, &["-no-user-config", "-nodefaults", "-nographic"]);
    add(&mut argv, machine.processor());
    add(&mut argv, &["-m", &machine.memory_mib.to_string()]);
    match machine.model.wiring {
        Wiring::Virtio => add_virtio(&mut argv, machine),
        Wiring::RaspberryPi {
            network, card_bus, ..
        } => {
            add_serial(&mut argv, machine.serial, 2);
            if let Some(start) = &machine.start {
                add_card(&mut argv, start, card_bus);
            }
            if network {
                add_user_network(&mut argv, machine.ssh);
            }
        }
    }
    // Firmware would look for a disk.
    let from_memory = machine.model.wiring == Wiring::Virtio && machine.start.is_some();
    if let Some(firmware) = machine.firmware.as_ref().filter(|_| !from_memory) {
        argv.extend(["-bios".into(), firmware.into()]);
    }
    argv
}

fn add(argv: &mut Vec<OsString>, words: &[&str]) {
    argv.extend(words.iter().map(OsString::from));
}

/// Processors, card, network and console of a machine with virtio devices.
fn add_virtio(argv: &mut Vec<OsString>, machine: &Machine) {
    add(argv, &["-smp", machine.processors()]);
    match (&machine.start, machine.form) {
        (Some(_), _) => {}
        (None, DiskForm::Cd) => add_cd_drives(argv, &machine.disk),
        (None, _) => add(argv, &["-device", DISK]),
    }
    add_user_network(argv, machine.ssh);
    add(argv, &["-device", "virtio-net-pci,netdev=net,romfile="]);
    add(argv, &["-device", "virtio-rng-pci"]);
    add_serial(argv, machine.serial, 1);
    match (&machine.start, machine.form) {
        (Some(start), _) => add_start(argv, start),
        (None, DiskForm::Cd) => {}
        (None, form) => {
            // The image is opened read-only: what the machine writes goes to a file without a name.
            let form = form.qemu_name();
            let options = format!("format={form},if=none,id=card,snapshot=on");
            add_drive(argv, &machine.disk, &options);
        }
    }
    // After the disk that the machine starts from: firmware takes the first one.
    if let Some(seed) = &machine.seed {
        add_drive(argv, seed, "format=raw,if=none,id=seed,readonly=on");
        add(argv, &["-device", "virtio-blk-pci,drive=seed,romfile="]);
    }
}

/// A drive with the content of the file `file`.
fn add_drive(argv: &mut Vec<OsString>, file: &Path, options: &str) {
    let mut drive = OsString::from("file=");
    drive.push(file);
    drive.push(format!(",{options}"));
    argv.extend(["-drive".into(), drive]);
}

/// The same CD in two drives: edk2 for 64-bit ARM has no driver for SATA, and an initial RAM disk often has none for virtio.
fn add_cd_drives(argv: &mut Vec<OsString>, disk: &Path) {
    add(argv, &["-device", "virtio-scsi-pci,id=scsi,romfile="]);
    add(argv, &["-device", "ich9-ahci,id=sata"]);
    let devices = [
        ("cd0", "scsi-cd,drive=cd0,bus=scsi.0,bootindex=1"),
        ("cd1", "ide-cd,drive=cd1,bus=sata.0"),
    ];
    for (id, device) in devices {
        let options = format!("format=raw,if=none,id={id},media=cdrom,readonly=on");
        add_drive(argv, disk, &options);
        add(argv, &["-device", device]);
    }
}

/// A network of QEMU's own, to which no device is connected yet.
fn add_user_network(argv: &mut Vec<OsString>, ssh: Option<Forward>) {
    let forward = |Forward { from, to }| format!(",hostfwd=tcp:{from}-:{to}");
    let forward = ssh.map(forward).unwrap_or_default();
    add(argv, &["-netdev", &format!("user,id=net{forward}")]);
}

/// Connects all serial ports of the machine to the console: the image decides which of them it uses.
fn add_serial(argv: &mut Vec<OsString>, serial: Serial, ports: usize) {
    for _ in 0..ports {
        add(argv, &["-serial", "chardev:console"]);
    }
    let is_shared = serial == Serial::Terminal || ports > 1;
    let shared = if is_shared { ",mux=on" } else { "" };
    let console = format!("stdio,id=console{shared},signal=off");
    add(argv, &["-chardev", &console]);
    // Without a terminal, sdbuild types there itself: see `plug_network`.
    if is_shared {
        add(argv, &["-mon", "chardev=console"]);
    }
}

/// The card of a Raspberry Pi, and what its firmware would have loaded.
fn add_card(argv: &mut Vec<OsString>, start: &DirectStart, bus: Option<&str>) {
    if let Some(card) = &start.card {
        let interface = bus.map_or("if=sd", |_| "if=none,id=card");
        add_drive(argv, card, &format!("format=qcow2,{interface}"));
        if let Some(bus) = bus {
            add(argv, &["-device", &format!("sd-card,drive=card,bus={bus}")]);
        }
    }
    add_start(argv, start);
}

/// What is loaded before the machine starts.
fn add_start(argv: &mut Vec<OsString>, start: &DirectStart) {
    argv.extend(["-kernel".into(), (&start.kernel).into()]);
    if let Some(tree) = &start.device_tree {
        argv.extend(["-dtb".into(), tree.into()]);
    }
    if let Some(initrd) = &start.initrd {
        argv.extend(["-initrd".into(), initrd.into()]);
    }
    if let Some(line) = &start.command_line {
        argv.extend(["-append".into(), line.into()]);
    }
}

#[cfg(test)]
mod tests;
