//! Boards whose boot ROM starts U-Boot from fixed sectors of the card, in front of the first partition.

use super::loader::{LoaderFile, RomHeader, UBoot};
use super::model::{Board, Start, TrialStage};
use sdbuild_core::system::System;

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
pub(super) static PINE64: Board = board(
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
);
