//! The machines of QEMU that run boards.

use sdbuild_core::system::Architecture;

/// A machine of QEMU's. All values are valid for QEMU 7.2 and later, unless [`QemuModel::since`] says more.
#[derive(Debug)]
pub struct QemuModel {
    /// The architecture of its processor.
    pub architecture: Architecture,
    /// The packages with its emulator, for a hint.
    pub packages: &'static str,
    /// Machine and processor as arguments, when every instruction is emulated.
    pub emulated: &'static [&'static str],
    /// The same, when the host's processor runs the machine. QEMU falls back to emulation where the kernel refuses.
    /// `None` for a machine that is always emulated.
    pub virtualized: Option<&'static [&'static str]>,
    /// How card and network are connected.
    pub wiring: Wiring,
    /// The first release of QEMU that has the machine, where 7.2 has not.
    pub since: Option<u32>,
    /// What the board has and the model lacks, or does otherwise; empty for a machine that is not a board.
    pub lacks: &'static str,
    /// Its firmware; `None` for the one that QEMU brings, or the one on the image.
    pub firmware: Option<QemuFirmware>,
    /// Its firmware for a disk that UEFI starts; `None` for a board, which has its own.
    pub uefi: Option<QemuFirmware>,
}

/// How card and network are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// As virtio devices on PCI; the memory can have any size.
    Virtio,
    /// As on a Raspberry Pi: an SD card, a kernel that is loaded before the machine starts, and two serial ports.
    RaspberryPi {
        /// The memory in MiB, which is fixed.
        memory_mib: u32,
        /// Whether there is USB, and so a network.
        network: bool,
        /// The path of the bus that the card is on, among QEMU's own names; `None` where QEMU puts it on the right one.
        card_bus: Option<&'static str>,
        /// What the board's device tree has and QEMU's machine lacks.
        absent: &'static [AbsentDevice],
    },
}

/// A device of a board's device tree, all or part of which QEMU's machine lacks.
#[derive(Debug, PartialEq, Eq)]
pub struct AbsentDevice {
    /// One of the names in its property `compatible`.
    pub compatible: &'static str,
    /// Its properties that lead to what is lacking; none if the device itself is.
    pub properties: &'static [&'static str],
}

impl AbsentDevice {
    /// Whether a device with this property `compatible` is meant.
    pub fn is(&self, compatible: &[u8]) -> bool {
        let mut names = compatible.split(|&byte| byte == 0);
        names.any(|name| name == self.compatible.as_bytes())
    }
}

impl QemuModel {
    /// The memory in MiB, where it is fixed.
    pub fn fixed_memory_mib(&self) -> Option<u32> {
        match self.wiring {
            Wiring::Virtio => None,
            Wiring::RaspberryPi { memory_mib, .. } => Some(memory_mib),
        }
    }

    /// Whether something leads to the machine's network.
    pub fn has_network(&self) -> bool {
        match self.wiring {
            Wiring::Virtio => true,
            Wiring::RaspberryPi { network, .. } => network,
        }
    }
}

/// The firmware of a machine, where it is a file of its own.
#[derive(Debug)]
pub struct QemuFirmware {
    /// The name of the firmware in messages.
    pub name: &'static str,
    /// Where the host's packages install it.
    pub host_paths: &'static [&'static str],
    /// Where the emulator's container image has it.
    pub container_path: &'static str,
    /// Hints for a host without it.
    pub hints: &'static [&'static str],
}

/// The packages with the emulator of 64-bit ARM machines.
pub(super) const ARM_PACKAGES: &str =
    "qemu-system-arm (Debian, Ubuntu), qemu-system-aarch64 (Fedora, Alpine, Arch)";

/// The properties that differ between QEMU's Raspberry Pi models.
pub(super) struct RaspberryPiModel {
    /// The machine as arguments.
    pub(super) machine: &'static [&'static str],
    /// The memory in MiB.
    pub(super) memory_mib: u32,
    /// Whether there is USB, and so a network.
    pub(super) network: bool,
    /// The bus of the card, and what the machine lacks of the device tree: see [`Wiring::RaspberryPi`].
    pub(super) card_bus: Option<&'static str>,
    pub(super) absent: &'static [AbsentDevice],
    /// See [`QemuModel::since`].
    pub(super) since: Option<u32>,
    /// See [`QemuModel::lacks`].
    pub(super) lacks: &'static str,
}

impl RaspberryPiModel {
    /// The machine. The firmware of its graphics processor is not emulated: what it would load is given to QEMU.
    pub(super) const fn qemu(self) -> QemuModel {
        QemuModel {
            architecture: Architecture::Aarch64,
            packages: ARM_PACKAGES,
            emulated: self.machine,
            virtualized: None,
            wiring: Wiring::RaspberryPi {
                memory_mib: self.memory_mib,
                network: self.network,
                card_bus: self.card_bus,
                absent: self.absent,
            },
            since: self.since,
            lacks: self.lacks,
            firmware: None,
            uefi: None,
        }
    }
}
