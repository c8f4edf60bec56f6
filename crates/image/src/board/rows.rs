//! The boards, one row each.
//!
//! The boot ROM of a Raspberry Pi (from the Pi 4 on: the EEPROM) starts the firmware on the image's first FAT partition, that starts what
//! `config.txt` names, with the device tree of the model: on nixpkgs' images U-Boot, which reads the extlinux menu. Other boot ROMs start U-Boot
//! from fixed sectors of the card, in front of the first partition. Some boards have firmware of their own, as virtual machines do.

use sdbuild_core::system::{Architecture, System};

use super::model::{
    ARM_PACKAGES, AbsentDevice, Board, LoaderFile, PiModel, QemuFirmware, QemuModel,
    RaspberryPiModel, RomHeader, Start, TrialStage, UBoot, Wiring,
};

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

/// The card of a Raspberry Pi 3: `bcm2835` of Linux or `bcm2835-sdhost` of Raspberry Pi's kernel, or the other controller, to which
/// `dtoverlay=mmc` gives it (`drivers/mmc/host`).
const DRIVERS_3: &[&[&str]] = &[
    MMC,
    &["bcm2835", "bcm2835-sdhost", "sdhci-iproc", "bcm2835-mmc"],
];
/// The part of Linux that makes a disk of a card, for all controllers.
const MMC: &[&str] = &["mmc_block"];
/// The card of boards with Rockchip's processors (`rockchip,*-dw-mshc` in their device trees).
const DRIVERS_ROCKCHIP: &[&[&str]] = &[MMC, &["dw_mmc-rockchip"]];
/// The disk of a virtual machine, as `boot` connects it.
const DRIVERS_VIRTIO: &[&[&str]] = &[&["virtio_blk"], &["virtio_pci"]];
/// The port at pins 8 and 10, which has one of these names, by the configuration.
const PORTS_3: &[&str] = &["ttyAMA0", "ttyS0", "ttyS1", "serial0"];

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
    drivers: DRIVERS_3,
    serial_ports: PORTS_3,
    memory_mib: Some(1024),
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
    drivers: &[MMC, &["sdhci-iproc"]],
    serial_ports: PORTS_3,
    memory_mib: None,
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
    drivers: DRIVERS_3,
    serial_ports: PORTS_3,
    memory_mib: Some(512),
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
    drivers: &[MMC, &["sdhci-brcmstb"]],
    serial_ports: &["ttyAMA10"],
    memory_mib: None,
    qemu: None,
    imager_tag: Some("pi5-64bit"),
    stage: TrialStage::Evaluated,
    tried: "evaluated only: the configuration that init writes, with nixpkgs. QEMU has no model of this board",
};

/// The header of Rockchip's boot ROMs up to the RK3399: 0x0ff0aa55, encrypted with a key that is the same everywhere
/// (`tools/rkcommon.c` of U-Boot).
const ROCKCHIP_OLD: RomHeader = RomHeader {
    name: "Rockchip's boot header",
    sector: 64,
    offset: 0,
    magic: &[0x3b, 0x8c, 0xdc, 0xfc],
};

/// The header of Rockchip's boot ROMs from the RK3568 on (`RK_MAGIC_V2` there).
const ROCKCHIP: RomHeader = RomHeader {
    name: "RKNS",
    sector: 64,
    offset: 0,
    magic: b"RKNS",
};

/// The header of Allwinner's boot ROMs (`include/sunxi_image.h` of U-Boot).
const ALLWINNER: RomHeader = RomHeader {
    name: "eGON.BT0",
    sector: 16,
    offset: 4,
    magic: b"eGON.BT0",
};

/// U-Boot for Rockchip's processors in its two parts, where nixpkgs' package has no file with both.
const ROCKCHIP_PARTS: &[LoaderFile] = &[
    LoaderFile {
        name: "idbloader.img",
        sector: 64,
    },
    LoaderFile {
        name: "u-boot.itb",
        sector: 16384,
    },
];

/// U-Boot for Rockchip's processors in one file, with the second part at sector 16384.
const ROCKCHIP_FILES: &[LoaderFile] = &[LoaderFile {
    name: "u-boot-rockchip.bin",
    sector: 64,
}];

/// Between the end of U-Boot, behind sector 16384, and the first partition there is room for later releases.
const ROCKCHIP_GAP_MIB: u32 = 16;

const UNTESTED: &str = "evaluated only: the configuration that init writes, with nixpkgs. Its U-Boot was not built, and QEMU has no model of this board";

const fn board(name: &'static str, title: &'static str, u_boot: UBoot) -> Board {
    Board {
        name,
        title,
        system: System::Aarch64Linux,
        start: Start::UBoot(u_boot),
        drivers: DRIVERS_ROCKCHIP,
        serial_ports: &["ttyS2"],
        memory_mib: None,
        qemu: None,
        imager_tag: None,
        stage: TrialStage::Evaluated,
        tried: UNTESTED,
    }
}

/// ROCK64 (RK3328).
pub(super) static ROCK64: Board = board(
    "rock64",
    "PINE64 ROCK64",
    UBoot {
        package: "ubootRock64",
        files: ROCKCHIP_FILES,
        header: ROCKCHIP_OLD,
        compatible: "pine64,rock64",
        device_tree: "rockchip/rk3328-rock64.dtb",
        unfree: &[],
        gap_mib: ROCKCHIP_GAP_MIB,
    },
);

/// `RockPro64` (RK3399).
pub(super) static ROCKPRO64: Board = board(
    "rockpro64",
    "PINE64 ROCKPro64",
    UBoot {
        package: "ubootRockPro64",
        files: ROCKCHIP_PARTS,
        header: ROCKCHIP_OLD,
        compatible: "pine64,rockpro64",
        device_tree: "rockchip/rk3399-rockpro64.dtb",
        // The copy protection of its HDMI is a binary of Rockchip's.
        unfree: &["arm-trusted-firmware-rk3399"],
        gap_mib: ROCKCHIP_GAP_MIB,
    },
);

/// ROCK 5B (RK3588).
pub(super) static ROCK5B: Board = board(
    "rock5b",
    "Radxa ROCK 5B",
    UBoot {
        package: "ubootRock5ModelB",
        files: ROCKCHIP_FILES,
        header: ROCKCHIP,
        compatible: "radxa,rock-5b",
        device_tree: "rockchip/rk3588-rock-5b.dtb",
        unfree: &["rkbin"],
        gap_mib: ROCKCHIP_GAP_MIB,
    },
);

/// Orange Pi 5 (RK3588S).
pub(super) static ORANGEPI5: Board = board(
    "orangepi5",
    "Orange Pi 5",
    UBoot {
        package: "ubootOrangePi5",
        files: ROCKCHIP_FILES,
        header: ROCKCHIP,
        compatible: "xunlong,orangepi-5",
        device_tree: "rockchip/rk3588s-orangepi-5.dtb",
        unfree: &["rkbin"],
        gap_mib: ROCKCHIP_GAP_MIB,
    },
);

/// `NanoPi` R5S (RK3568).
pub(super) static NANOPI_R5S: Board = board(
    "nanopi-r5s",
    "FriendlyElec NanoPi R5S",
    UBoot {
        package: "ubootNanoPiR5S",
        files: ROCKCHIP_PARTS,
        header: ROCKCHIP,
        compatible: "friendlyarm,nanopi-r5s",
        device_tree: "rockchip/rk3568-nanopi-r5s.dtb",
        unfree: &["rkbin"],
        gap_mib: ROCKCHIP_GAP_MIB,
    },
);

/// PINE A64+ (Allwinner A64).
pub(super) static PINE64: Board = Board {
    drivers: &[MMC, &["sunxi-mmc"]],
    serial_ports: &["ttyS0"],
    ..board(
        "pine64",
        "PINE64 A64+",
        UBoot {
            package: "ubootPine64",
            files: &[LoaderFile {
                name: "u-boot-sunxi-with-spl.bin",
                sector: 16,
            }],
            header: ALLWINNER,
            compatible: "pine64,pine64-plus",
            device_tree: "allwinner/sun50i-a64-pine64-plus.dtb",
            unfree: &[],
            gap_mib: 8,
        },
    )
};

/// A board whose UEFI firmware is in its flash memory.
pub(super) static UEFI: Board = Board {
    name: "uefi",
    title: "a 64-bit ARM board with UEFI",
    system: System::Aarch64Linux,
    start: Start::Uefi,
    drivers: &[],
    serial_ports: &[],
    memory_mib: None,
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
    drivers: &[],
    serial_ports: &[],
    memory_mib: None,
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
    drivers: DRIVERS_VIRTIO,
    serial_ports: &[],
    memory_mib: None,
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
    drivers: DRIVERS_VIRTIO,
    serial_ports: &[],
    memory_mib: None,
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
