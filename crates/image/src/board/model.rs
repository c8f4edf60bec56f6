//! What is known of a board: how it starts, and the machine of QEMU that runs it.

use std::fmt;

use sdbuild_core::nix_string::nix_string;
use sdbuild_core::system::{Architecture, System};
use serde::Serialize;

/// A board or a virtual machine that boots images of one system.
#[derive(Debug)]
pub struct Board {
    /// The name by which flags and settings choose it.
    pub name: &'static str,
    /// The name that its maker gave it.
    pub title: &'static str,
    /// The system of the images that it boots.
    pub system: System,
    /// What its boot ROM looks for on the card.
    pub start: Start,
    /// The drivers that Linux needs to reach the card: one of each group, as modules or built into the kernel. The kernels of nixpkgs, by
    /// `arch/arm64/configs/defconfig` of Linux, have all of them built in; none for a board of which that is not known.
    pub drivers: &'static [&'static [&'static str]],
    /// The serial ports, by their names in Linux, at which its U-Boot listens while it waits to start.
    pub serial_ports: &'static [&'static str],
    /// The memory in MiB of a board that has never more than 1 GiB.
    pub memory_mib: Option<u32>,
    /// The model that `sdbuild boot` runs it as; `None` when QEMU has none that boots these images.
    pub qemu: Option<QemuModel>,
    /// What Raspberry Pi Imager calls it in the list of its devices (`tags` in
    /// <https://downloads.raspberrypi.com/os_list_imagingutility_v4.json>); boards that take the same
    /// images share one.
    pub imager_tag: Option<&'static str>,
    /// How far images for it were tried where sdbuild is developed. No image was tried on hardware.
    pub stage: TrialStage,
    /// The same in a sentence.
    pub tried: &'static str,
}

/// How far images for a board were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialStage {
    /// On QEMU's model of the board, or on the machine that starts the same.
    Booted,
    /// It has nothing that only this board needs, and its image was booted as another board.
    Shared,
    /// An image was built.
    Built,
    /// The configuration that `init` writes was evaluated.
    Evaluated,
}

impl fmt::Display for TrialStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Booted => "booted in QEMU",
            Self::Shared => "booted as another board",
            Self::Built => "built",
            Self::Evaluated => "evaluated with nixpkgs",
        })
    }
}

/// What starts the boot menu of an image.
#[derive(Debug)]
pub enum Start {
    /// The firmware of a Raspberry Pi, on the image's first FAT partition.
    RaspberryPi(PiModel),
    /// U-Boot in front of the first partition.
    UBoot(UBoot),
    /// UEFI in the board's own flash memory, which starts a program on the image.
    Uefi,
    /// U-Boot in the board's own flash memory: nothing of it is on the image.
    OwnUBoot,
    /// A BIOS, which starts the boot sector of the disk.
    Bios,
}

impl Board {
    /// The Raspberry Pi that it is.
    pub fn raspberry_pi(&self) -> Option<&PiModel> {
        match &self.start {
            Start::RaspberryPi(model) => Some(model),
            Start::UBoot(_) | Start::Uefi | Start::OwnUBoot | Start::Bios => None,
        }
    }

    /// Whether nixpkgs' images do not start it, but those of nixos-hardware's module do.
    pub fn needs_nixos_hardware(&self) -> bool {
        self.raspberry_pi().is_some_and(|model| !model.in_nixpkgs)
    }

    /// What its boot ROM starts, in a few words.
    pub fn start_text(&self) -> String {
        match &self.start {
            Start::RaspberryPi(PiModel { firmware: [], .. }) => {
                "U-Boot by its EEPROM and config.txt".to_owned()
            }
            Start::RaspberryPi(_) => "U-Boot by its firmware and config.txt".to_owned(),
            Start::UBoot(u_boot) => format!("U-Boot at sector {}", u_boot.header.sector),
            Start::Uefi => "/EFI/BOOT/BOOTAA64.EFI".to_owned(),
            Start::OwnUBoot => "a U-Boot that is not on the card".to_owned(),
            Start::Bios => "the boot sector of the disk".to_owned(),
        }
    }

    /// Whether its images have something that no other board needs.
    pub fn has_images_of_its_own(&self) -> bool {
        match &self.start {
            Start::RaspberryPi(_) => self.needs_nixos_hardware(),
            Start::UBoot(_) | Start::Uefi => true,
            Start::OwnUBoot | Start::Bios => false,
        }
    }

    /// Whether the image of nixpkgs' `sd-image-aarch64.nix` boots on it as it is.
    pub fn boots_plain_image(&self) -> bool {
        self.raspberry_pi().is_some_and(|model| model.in_nixpkgs)
    }
}

/// U-Boot on the card of a board.
#[derive(Debug)]
pub struct UBoot {
    /// The package in nixpkgs.
    pub package: &'static str,
    /// Its files and where each goes.
    pub files: &'static [LoaderFile],
    /// What the boot ROM looks for.
    pub header: RomHeader,
    /// The name of the board in device trees, which U-Boot has in its own.
    pub compatible: &'static str,
    /// Its device tree below the directory that the boot menu names.
    pub device_tree: &'static str,
    /// Packages with an unfree licence that U-Boot's package contains.
    pub unfree: &'static [&'static str],
    /// Where the first partition begins at the earliest, in MiB.
    pub gap_mib: u32,
}

impl UBoot {
    /// The line of a configuration that keeps the first partition away from U-Boot.
    pub fn gap_line(&self) -> String {
        format!("sdImage.firmwarePartitionOffset = {};", self.gap_mib)
    }

    /// The lines of a configuration that write U-Boot in front of the first partition.
    pub fn configuration(&self) -> Vec<String> {
        let package = self.package;
        let writes = self.files.iter().map(|file| {
            let (name, sector) = (file.name, file.sector);
            format!("  dd if=${{pkgs.{package}}}/{name} of=$img conv=notrunc bs=512 seek={sector}")
        });
        let mut lines = vec![self.gap_line(), "sdImage.postBuildCommands = ''".to_owned()];
        lines.extend(writes);
        lines.push("'';".to_owned());
        let unfree: Vec<String> = self.unfree.iter().map(|name| nix_string(name)).collect();
        if !unfree.is_empty() {
            let unfree = unfree.join(" ");
            lines.push("# Parts of it are not free.".to_owned());
            lines.push(format!(
                "nixpkgs.config.allowUnfreePredicate = package: builtins.elem (lib.getName package) [ {unfree} ];"
            ));
        }
        lines
    }
}

/// A file of U-Boot's package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderFile {
    /// The name in the package.
    pub name: &'static str,
    /// The sector of 512 bytes that it is written to.
    pub sector: u64,
}

/// How a boot ROM recognizes a boot loader.
#[derive(Debug, PartialEq, Eq)]
pub struct RomHeader {
    /// What the header is called, for messages.
    pub name: &'static str,
    /// The sector of 512 bytes.
    pub sector: u64,
    /// The position of the magic number in that sector.
    pub offset: usize,
    /// The magic number.
    pub magic: &'static [u8],
}

/// How the firmware of a Raspberry Pi starts, by
/// <https://www.raspberrypi.com/documentation/computers/config_txt.html>.
#[derive(Debug)]
pub struct PiModel {
    /// The conditional filters of `config.txt` that hold on it.
    pub filters: &'static [&'static str],
    /// Its type in the revision code, for the filter `[board-type=…]`.
    pub board_type: u32,
    /// Whether the kernel runs in 64-bit mode without `arm_64bit=1`.
    pub is_64_bit: bool,
    /// The 64-bit kernels that are looked for without `kernel=`.
    pub kernels: &'static [&'static str],
    /// Its device trees: the name in Raspberry Pi's kernel, then the one in Linux's.
    pub device_trees: [&'static str; 2],
    /// The files of the firmware itself; none where it is in an EEPROM.
    pub firmware: &'static [&'static str],
    /// Whether the image of nixpkgs' `sd-image-aarch64.nix` boots on it.
    pub in_nixpkgs: bool,
}

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
