//! Raspberry Pis. The boot ROM (from the Pi 4 on: the EEPROM) starts the firmware on the image's first FAT partition, that
//! starts what `config.txt` names, with the device tree of the model: on nixpkgs' images U-Boot, which reads the extlinux menu.

use super::model::{Board, Start, TrialStage};
use super::pi_model::PiModel;
use super::qemu::{AbsentDevice, RaspberryPiModel};
use sdbuild_core::system::System;

/// Reading the registers of HDMI (0x7ef00000) is a fault on `raspi4b` of QEMU 10, which ends in a panic of Linux 6.12; its firmware
/// answers no question about its GPIO pins, on which the voltage of the card depends, so that Linux would wait for it forever.
const ABSENT_4: &[AbsentDevice] = &[
    absent("brcm,brcm2711-dvp"),
    absent("brcm,bcm2711-l2-intc"),
    absent("brcm,bcm2711-hdmi0"),
    absent("brcm,bcm2711-hdmi1"),
    absent("brcm,bcm2711-hdmi-i2c"),
    AbsentDevice {
        compatible: "brcm,bcm2711-emmc2",
        properties: &["vmmc-supply", "vqmmc-supply"],
    },
];

const fn absent(compatible: &'static str) -> AbsentDevice {
    AbsentDevice {
        compatible,
        properties: &[],
    }
}

/// Until Linux starts them, three of the four cores wait in a loop. With a thread for each core, these loops took more than half
/// of the processor time of a boot on `raspi3b` of QEMU 7.2.
const ONE_THREAD: &str = "tcg,thread=single";
/// The same loops took three quarters of it on `raspi4b` of QEMU 10, where one thread for all is slower still. With one core,
/// which has a thread anyway, `raspi3b` is no faster than with [`ONE_THREAD`].
const ONE_CORE: &str = "bcm2838.enabled-cpus=1";

const FIRMWARE_3: &[&str] = &["bootcode.bin", "start.elf", "fixup.dat"];

/// Raspberry Pi 3.
pub(super) static RPI3: Board = Board {
    name: "rpi3",
    title: "Raspberry Pi 3",
    system: System::Aarch64Linux,
    start: Start::RaspberryPi(PiModel {
        filters: &["pi3"],
        board_type: 0x08,
        is_64_bit: false,
        kernels: &["kernel8.img"],
        device_trees: ["bcm2710-rpi-3-b.dtb", "bcm2837-rpi-3-b.dtb"],
        firmware: FIRMWARE_3,
        in_nixpkgs: true,
    }),
    qemu: Some(
        RaspberryPiModel {
            machine: &["-M", "raspi3b", "-accel", ONE_THREAD],
            memory_mib: 1024,
            network: true,
            card_bus: None,
            absent: &[],
            since: None,
            lacks: "wireless, Bluetooth, and its Ethernet chip: the network is a USB adapter",
        }
        .qemu(),
    ),
    imager_tag: Some("pi3-64bit"),
    stage: TrialStage::Booted,
    tried: "a test boots the miniature image on raspi3b and logs in over SSH",
};

/// Raspberry Pi 4, 400 and Compute Module 4.
pub(super) static RPI4: Board = Board {
    name: "rpi4",
    title: "Raspberry Pi 4, 400, CM4",
    system: System::Aarch64Linux,
    start: Start::RaspberryPi(PiModel {
        filters: &["pi4"],
        board_type: 0x11,
        is_64_bit: true,
        kernels: &["kernel8.img"],
        device_trees: ["bcm2711-rpi-4-b.dtb", "bcm2711-rpi-4-b.dtb"],
        firmware: &["start4.elf", "fixup4.dat"],
        in_nixpkgs: true,
    }),
    qemu: Some(
        RaspberryPiModel {
            machine: &["-M", "raspi4b", "-global", ONE_CORE],
            memory_mib: 2048,
            network: false,
            // As on the board; QEMU's choice is the controller of the wireless chip.
            card_bus: Some("/generic-sdhci/sd-bus"),
            absent: ABSENT_4,
            since: Some(9),
            lacks: "Ethernet, USB, PCIe, wireless, HDMI, and the firmware's GPIO pins, which switch the card's \
                    voltage. sdbuild removes them from the device tree of the firmware partition. One of the four processors runs",
        }
        .qemu(),
    ),
    imager_tag: Some("pi4-64bit"),
    stage: TrialStage::Booted,
    tried: "a test boots the miniature image on raspi4b to the prompt of its login",
};

/// Raspberry Pi Zero 2 W.
pub(super) static RPI02: Board = Board {
    name: "rpi02",
    title: "Raspberry Pi Zero 2 W",
    system: System::Aarch64Linux,
    start: Start::RaspberryPi(PiModel {
        filters: &["pi02", "pi0w", "pi0"],
        board_type: 0x12,
        is_64_bit: false,
        kernels: &["kernel8.img"],
        device_trees: ["bcm2710-rpi-zero-2-w.dtb", "bcm2837-rpi-zero-2-w.dtb"],
        firmware: FIRMWARE_3,
        in_nixpkgs: true,
    }),
    // The 3A+ has the same processor and as much memory.
    qemu: Some(
        RaspberryPiModel {
            machine: &["-M", "raspi3ap", "-accel", ONE_THREAD],
            memory_mib: 512,
            network: true,
            card_bus: None,
            absent: &[],
            since: None,
            lacks: "wireless and Bluetooth; QEMU has no Zero 2 W, and U-Boot treats this one as a Raspberry Pi 3 A+. The \
                    network is a USB adapter",
        }
        .qemu(),
    ),
    imager_tag: Some("pi3-64bit"),
    stage: TrialStage::Shared,
    tried: "nothing of its own; it starts the files of a Raspberry Pi 3",
};

/// Raspberry Pi 5, 500 and Compute Module 5.
pub(super) static RPI5: Board = Board {
    name: "rpi5",
    title: "Raspberry Pi 5, 500, CM5",
    system: System::Aarch64Linux,
    start: Start::RaspberryPi(PiModel {
        filters: &["pi5"],
        board_type: 0x17,
        is_64_bit: true,
        kernels: &["kernel_2712.img", "kernel8.img"],
        device_trees: ["bcm2712-rpi-5-b.dtb", "bcm2712-rpi-5-b.dtb"],
        firmware: &[],
        in_nixpkgs: false,
    }),
    qemu: None,
    imager_tag: Some("pi5-64bit"),
    stage: TrialStage::Evaluated,
    tried: "evaluated only: the configuration that init writes, with nixpkgs. QEMU has no model of this board",
};
