//! Boards with firmware of their own, and virtual machines.

use super::model::{Board, Start, TrialStage};
use super::qemu::{ARM_PACKAGES, QemuFirmware, QemuModel, Wiring};
use sdbuild_core::system::{Architecture, System};

/// A board whose UEFI firmware is in its flash memory.
pub(super) static UEFI: Board = Board {
    name: "uefi",
    title: "a 64-bit ARM board with UEFI",
    system: System::Aarch64Linux,
    start: Start::Uefi,
    qemu: None,
    imager_tag: None,
    stage: TrialStage::Booted,
    tried: "as virt with edk2: a test boots a disk of the miniature system and logs in",
};

/// A board whose U-Boot is in its flash memory.
pub(super) static OTHER: Board = Board {
    name: "other",
    title: "a 64-bit ARM board with U-Boot in its flash memory",
    system: System::Aarch64Linux,
    start: Start::OwnUBoot,
    qemu: None,
    imager_tag: None,
    stage: TrialStage::Shared,
    tried: "as virt, which starts the same boot menu",
};

/// QEMU's `virt` machine: U-Boot starts what the U-Boot of a real board would start (an extlinux menu).
/// The processor is that of a Raspberry Pi 4; with KVM any processor that the kernel offers will do.
pub(super) static VIRT: Board = Board {
    name: "virt",
    title: "QEMU's virtual machine",
    system: System::Aarch64Linux,
    start: Start::OwnUBoot,
    qemu: Some(QemuModel {
        architecture: Architecture::Aarch64,
        packages: ARM_PACKAGES,
        emulated: &["-M", "virt", "-cpu", "cortex-a72"],
        virtualized: Some(&[
            "-M",
            "virt,gic-version=max",
            "-cpu",
            "max",
            "-accel",
            "kvm",
            "-accel",
            "tcg",
        ]),
        wiring: Wiring::Virtio,
        since: None,
        lacks: "",
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
        uefi: Some(QemuFirmware {
            name: "UEFI for QEMU's aarch64 machine (edk2)",
            // Debian and Ubuntu; Fedora and Arch; Alpine.
            host_paths: &[
                "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
                "/usr/share/edk2/aarch64/QEMU_EFI.fd",
                "/usr/share/AAVMF/QEMU_EFI.fd",
            ],
            container_path: "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
            hints: &[
                "install it: qemu-efi-aarch64 (Debian, Ubuntu), edk2-aarch64 (Fedora, Arch), aavmf (Alpine)",
            ],
        }),
    }),
    imager_tag: None,
    stage: TrialStage::Booted,
    tried: "the tests build the miniature image, boot it and log in",
};

/// A PC, whose firmware is QEMU's own (`SeaBIOS`) unless the disk is for UEFI or `--firmware` names another one.
pub(super) static PC: Board = Board {
    name: "pc",
    title: "QEMU's PC",
    system: System::X8664Linux,
    start: Start::Bios,
    qemu: Some(QemuModel {
        architecture: Architecture::X86_64,
        packages: "qemu-system-x86 (Debian, Ubuntu, Fedora), qemu-system-x86_64 (Alpine)",
        emulated: &["-M", "q35", "-cpu", "max"],
        // Without arch-capabilities, a register that makes QEMU abort in nested virtualization.
        virtualized: Some(&[
            "-M",
            "q35",
            "-cpu",
            "max,arch-capabilities=off",
            "-accel",
            "kvm",
            "-accel",
            "tcg",
        ]),
        wiring: Wiring::Virtio,
        since: None,
        lacks: "",
        firmware: None,
        uefi: Some(QemuFirmware {
            name: "UEFI for QEMU's PC (edk2)",
            // Debian and Ubuntu, Fedora, Arch, Alpine.
            host_paths: &[
                "/usr/share/ovmf/OVMF.fd",
                "/usr/share/edk2/ovmf/OVMF.fd",
                "/usr/share/edk2/x64/OVMF.4m.fd",
                "/usr/share/OVMF/OVMF.fd",
            ],
            container_path: "/usr/share/ovmf/OVMF.fd",
            hints: &["install it: ovmf (Debian, Ubuntu, Alpine), edk2-ovmf (Fedora, Arch)"],
        }),
    }),
    imager_tag: None,
    stage: TrialStage::Built,
    tried: "the tests build the miniature image, which has no boot loader there",
};
