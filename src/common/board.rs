//! The boards and virtual machines that images boot on, one row each. A new board is a new row here.

use super::system::{Architecture, System};

/// A board or a virtual machine that boots images of one system.
#[derive(Debug)]
pub struct Board {
    /// The system of the images that it boots.
    system: System,
    /// The model that `sdbuild boot` runs it as; `None` when QEMU has none that boots these images.
    qemu: Option<QemuModel>,
    /// What Raspberry Pi Imager calls it in the list of its devices (`tags` in
    /// <https://downloads.raspberrypi.com/os_list_imagingutility_v4.json>); boards that take the same
    /// images share one.
    imager_tag: Option<&'static str>,
}

/// A machine of QEMU's. All values are valid for QEMU 7.2 and later.
#[derive(Debug)]
pub struct QemuModel {
    /// The architecture of its processor.
    pub architecture: Architecture,
    /// The packages with its emulator, for a hint.
    pub packages: &'static str,
    /// Machine and processor as arguments, when every instruction is emulated.
    pub emulated: &'static [&'static str],
    /// The same, when the host's processor runs the machine. QEMU falls back to emulation where the kernel refuses.
    pub virtualized: &'static [&'static str],
    /// Its firmware; `None` for the one that QEMU brings.
    pub firmware: Option<QemuFirmware>,
}

/// The firmware of a machine, where it is a file of its own.
#[derive(Debug)]
pub struct QemuFirmware {
    /// What it is, for messages.
    pub name: &'static str,
    /// Where the host's packages install it.
    pub host_paths: &'static [&'static str],
    /// Where the emulator's container image has it.
    pub container_path: &'static str,
    /// Hints for a host without it.
    pub hints: &'static [&'static str],
}

/// QEMU's `virt` machine: U-Boot starts what the U-Boot of a real board would start (an extlinux menu).
/// The processor is that of a Raspberry Pi 4; with KVM any processor that the kernel offers will do.
const QEMU_VIRT: Board = Board {
    system: System::Aarch64Linux,
    qemu: Some(QemuModel {
        architecture: Architecture::Aarch64,
        packages: "qemu-system-arm (Debian, Ubuntu), qemu-system-aarch64 (Fedora, Alpine, Arch)",
        emulated: &["-M", "virt", "-cpu", "cortex-a72"],
        virtualized: &[
            "-M",
            "virt,gic-version=max",
            "-cpu",
            "max",
            "-accel",
            "kvm",
            "-accel",
            "tcg",
        ],
        firmware: Some(QemuFirmware {
            name: "U-Boot for QEMU's aarch64 machine",
            // Debian and Ubuntu, Fedora, Alpine, openSUSE.
            host_paths: &[
                "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
                "/usr/share/uboot/qemu_arm64/u-boot.bin",
                "/usr/share/u-boot/qemu_arm64/u-boot.bin",
                "/usr/share/u-boot/qemu-arm64/u-boot.bin",
            ],
            container_path: "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
            hints: &[
                "install it: u-boot-qemu (Debian, Ubuntu, Alpine), uboot-images-armv8 (Fedora)",
                "or name one with --firmware; nixpkgs has it as ubootQemuAarch64 (u-boot.bin)",
            ],
        }),
    }),
    imager_tag: None,
};

/// A PC, whose firmware is QEMU's own (`SeaBIOS`) unless `--firmware` names another one.
const QEMU_PC: Board = Board {
    system: System::X8664Linux,
    qemu: Some(QemuModel {
        architecture: Architecture::X86_64,
        packages: "qemu-system-x86 (Debian, Ubuntu, Fedora), qemu-system-x86_64 (Alpine)",
        emulated: &["-M", "q35", "-cpu", "max"],
        // Without arch-capabilities, a register that makes QEMU abort in nested virtualization.
        virtualized: &[
            "-M",
            "q35",
            "-cpu",
            "max,arch-capabilities=off",
            "-accel",
            "kvm",
            "-accel",
            "tcg",
        ],
        firmware: None,
    }),
    imager_tag: None,
};

/// A Raspberry Pi. Its boot ROM starts the firmware on the image's FAT partition, that starts U-Boot, and
/// U-Boot the extlinux menu. QEMU's `raspi` machines are not used: they lack the virtio devices of `virt`.
const fn raspberry_pi(imager_tag: &'static str) -> Board {
    Board {
        system: System::Aarch64Linux,
        qemu: None,
        imager_tag: Some(imager_tag),
    }
}

/// Raspberry Pi 4 and 400.
const RASPBERRY_PI_4: Board = raspberry_pi("pi4-64bit");
/// Compute Module 4.
const RASPBERRY_PI_CM4: Board = raspberry_pi("pi4-64bit");
/// Raspberry Pi 3.
const RASPBERRY_PI_3: Board = raspberry_pi("pi3-64bit");
/// Raspberry Pi Zero 2 W.
const RASPBERRY_PI_ZERO_2_W: Board = raspberry_pi("pi3-64bit");

static BOARDS: [Board; 6] = [
    QEMU_VIRT,
    QEMU_PC,
    RASPBERRY_PI_4,
    RASPBERRY_PI_CM4,
    RASPBERRY_PI_3,
    RASPBERRY_PI_ZERO_2_W,
];

fn boards_of(system: System) -> impl Iterator<Item = &'static Board> {
    BOARDS.iter().filter(move |board| board.system == system)
}

/// The QEMU model that boots images of `system`.
pub fn qemu_model(system: System) -> Option<&'static QemuModel> {
    boards_of(system).find_map(|board| board.qemu.as_ref())
}

/// The tags by which Raspberry Pi Imager offers images of the system named `system`, each once.
pub fn imager_tags(system: &str) -> Vec<&'static str> {
    let mut tags = Vec::new();
    let boards = BOARDS
        .iter()
        .filter(|board| board.system.to_string() == system);
    for tag in boards.filter_map(|board| board.imager_tag) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_system_has_one_qemu_model() {
        for board in &BOARDS {
            let models = boards_of(board.system).filter(|board| board.qemu.is_some());
            assert_eq!(models.count(), 1, "{}", board.system);
        }
        for system in System::value_variants() {
            let model = qemu_model(*system).unwrap();
            assert_eq!(model.architecture, system.architecture());
        }
    }

    /// The README says that no image boots a Raspberry Pi 5.
    #[test]
    fn imager_offers_no_board_that_does_not_boot() {
        assert_eq!(imager_tags("aarch64-linux"), ["pi4-64bit", "pi3-64bit"]);
        assert!(imager_tags("x86_64-linux").is_empty());
    }
}
