//! For which boards an image has all that their boot needs.

use super::*;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::Events;
use sdbuild_core::system::System;

use sdbuild_image::board::BoardName;
use sdbuild_image::boards::BoardReport;
use sdbuild_image::{DiskForm, InstalledSystem, OpenOptions, OpenedImage};
use std::io::Write as _;

/// The reports about the image of these bytes.
fn judged(bytes: &[u8]) -> Vec<BoardReport> {
    sdbuild_image::examine(Path::new("a.img"), &opened(bytes)).unwrap().boards
}

fn opened(bytes: &[u8]) -> OpenedImage {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.img");
    fs::write(&path, bytes).unwrap();
    let options = OpenOptions { spool: dir.path().to_owned(), hash: false };
    let context = Context { cancel: Cancel::new(), events: Events::none() };
    sdbuild_image::open(&path, &options, &context).unwrap()
}

fn missing(reports: &[BoardReport], board: &str) -> String {
    let report = reports.iter().find(|report| report.board == board).unwrap();
    assert_eq!(report.complete, report.missing.is_empty());
    report.missing.join("; ")
}

#[test]
fn each_board_lacks_its_own_files() {
    needs!(have(&IMAGE_TOOLS));
    let reports = judged(&image("", |_| {}));
    assert_eq!(
        missing(&reports, "rpi4"),
        "a kernel (config.txt names none, and there is no kernel8.img); the device tree bcm2711-rpi-4-b.dtb; fixup4.dat"
    );
    assert!(missing(&reports, "rpi3").ends_with("bootcode.bin; start.elf; fixup.dat"));
    assert_eq!(missing(&reports, "rock5b"), "U-Boot: RKNS is not at sector 64");
    assert_eq!(missing(&reports, "pine64"), "U-Boot: eGON.BT0 is not at sector 16");
    assert_eq!(missing(&reports, "virt"), "");
    assert_eq!(missing(&reports, "uefi"), "a UEFI program, /EFI/BOOT/BOOTAA64.EFI");
}

#[test]
fn u_boot_is_that_of_the_board_whose_name_it_has() {
    needs!(have(&IMAGE_TOOLS));
    let mut bytes = image("", |_| {});
    bytes[64 * 512..64 * 512 + 4].copy_from_slice(b"RKNS");
    bytes[70_000..70_014].copy_from_slice(b"radxa,rock-5b\0");
    bytes[71_000..71_024].copy_from_slice(b"xunlong,orangepi-5-plus\0");
    let reports = judged(&bytes);
    assert_eq!(missing(&reports, "rock5b"), "");
    assert_eq!(
        missing(&reports, "orangepi5"),
        "U-Boot for this board: the one at sector 64 has no device tree of xunlong,orangepi-5"
    );
    assert!(missing(&reports, "rock64").starts_with("U-Boot: Rockchip's boot header is not"));
    bytes[8196..8204].copy_from_slice(b"eGON.BT0");
    assert!(missing(&judged(&bytes), "pine64").contains("pine64,pine64-plus"));
}

/// An image with these programs for UEFI and no boot menu.
fn uefi_disk(programs: &[&str]) -> Vec<u8> {
    let bytes = image("", |tree| fs::remove_dir_all(tree.join("boot")).unwrap());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("card.img"), bytes).unwrap();
    run("mmd -i card.img@@1M ::/EFI ::/EFI/BOOT", dir.path());
    for name in programs {
        fs::write(dir.path().join(name), "MZ").unwrap();
        let copy = format!("mcopy -i card.img@@1M {name} ::/EFI/BOOT/{name}");
        run(&copy, dir.path());
    }
    fs::read(dir.path().join("card.img")).unwrap()
}

/// What `board` lacks to start the image of these bytes.
fn missing_on(bytes: &[u8], board: &str) -> Vec<String> {
    let BoardName(board) = board.parse().unwrap();
    sdbuild_image::judge_for(&opened(bytes), board).unwrap().missing
}

#[test]
fn disk_of_a_pc_with_uefi_is_for_no_other_board() {
    needs!(have(&IMAGE_TOOLS));
    let pc = uefi_disk(&["BOOTX64.EFI"]);
    assert!(judged(&pc).is_empty());
    assert_eq!(missing_on(&pc, "pc"), [""; 0]);
    assert_eq!(missing_on(&pc, "uefi"), ["a UEFI program, /EFI/BOOT/BOOTAA64.EFI"]);
    let arm = uefi_disk(&["BOOTAA64.EFI"]);
    assert_eq!(missing(&judged(&arm), "uefi"), "");
    assert_eq!(missing_on(&arm, "pc").len(), 1);
    let systems = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let installed = InstalledSystem::read(file, DiskForm::Raw, &Cancel::new());
        Vec::from_iter(installed.unwrap().systems)
    };
    assert_eq!(systems(&pc), [System::X8664Linux]);
    assert_eq!(systems(&arm), [System::Aarch64Linux]);
    let both = uefi_disk(&["BOOTAA64.EFI", "BOOTX64.EFI"]);
    assert_eq!(systems(&both).len(), 2);
    assert_eq!(missing(&judged(&both), "uefi"), "");
    assert_eq!(missing_on(&both, "pc"), [""; 0]);
}

#[test]
fn menu_without_its_kernel_boots_nowhere() {
    needs!(have(&IMAGE_TOOLS));
    let reports = judged(&image("", |tree| {
        fs::remove_dir_all(tree.join("boot/nixos")).unwrap();
    }));
    assert!(reports.iter().all(|report| !report.complete));
    assert!(
        missing(&reports, "virt")
            .contains("names the kernel /boot/nixos/k-linux-6.6.6-Image, which is missing")
    );
}

/// Files of the firmware partition that start a Raspberry Pi 3 by U-Boot.
const PI_FILES: [(&str, &[u8]); 6] = [
    ("config.txt", b"[pi3]\nkernel=u-boot-rpi3.bin\n[all]\narm_64bit=1\n"),
    (
        "u-boot-rpi3.bin",
        b"..U-Boot 2025.01 (Jun 24)\0fdt_addr_r=0x2600000\0kernel_addr_r=0x80000\0",
    ),
    ("bcm2710-rpi-3-b.dtb", b"tree"),
    ("bootcode.bin", b"1"),
    ("start.elf", b"2"),
    ("fixup.dat", b"3"),
];

/// The bytes of a kernel's header, of which `size` are in memory.
fn kernel_header(size: u64) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[16..24].copy_from_slice(&size.to_le_bytes());
    header[24] = 0xa;
    header[0x38..0x3c].copy_from_slice(b"ARM\x64");
    header
}

/// The report on a Raspberry Pi 3 with the `files` in the firmware partition, and a kernel that has `kernel_mib` in memory.
fn raspberry_pi(files: &[(&str, &[u8])], kernel_mib: u64) -> BoardReport {
    let bytes = image("", |tree| {
        let menu = format!("{CONF}  FDTDIR ../nixos/dtbs\n");
        fs::write(tree.join("boot/extlinux/extlinux.conf"), menu).unwrap();
        let kernel = kernel_header(kernel_mib << 20);
        fs::write(tree.join("boot/nixos/k-linux-6.6.6-Image"), kernel).unwrap();
    });
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("card.img"), bytes).unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
        let copy = format!("mcopy -o -i card.img@@1M {name} ::/{name}");
        run(&copy, dir.path());
    }
    let bytes = fs::read(dir.path().join("card.img")).unwrap();
    let mut reports = judged(&bytes).into_iter();
    reports.find(|report| report.board == "rpi3").unwrap()
}

/// What a Raspberry Pi 3 lacks with `file` instead of the one of its name, or without it.
fn lacks(file: (&str, Option<&[u8]>)) -> String {
    let (name, content) = file;
    let others = PI_FILES.iter().filter(|(other, _)| *other != name);
    let files: Vec<_> = others.copied().chain(content.map(|content| (name, content))).collect();
    let report = raspberry_pi(&files, 16);
    report.missing.into_iter().chain(report.notes).collect::<Vec<_>>().join("; ")
}

#[test]
fn broken_firmware_partitions_are_distinguished() {
    needs!(have(&IMAGE_TOOLS));
    let whole = raspberry_pi(&PI_FILES, 16);
    assert!(whole.complete && whole.notes.is_empty(), "{whole:?}");
    assert_eq!(whole.config_txt.unwrap(), ["kernel=u-boot-rpi3.bin", "arm_64bit=1"]);
    assert_eq!(
        lacks(("u-boot-rpi3.bin", None)),
        "u-boot-rpi3.bin, which config.txt names as the kernel"
    );
    assert_eq!(
        lacks(("config.txt", Some(b"kernel=other.bin\narm_64bit=1\n"))),
        "other.bin, which config.txt names as the kernel"
    );
    assert_eq!(
        lacks(("config.txt", Some(b"[pi9]\nx=1\n[all]\nkernel=u-boot-rpi3.bin\narm_64bit=1\n"))),
        "config.txt, line 1: unknown section [pi9]"
    );
    assert_eq!(lacks(("bcm2710-rpi-3-b.dtb", None)), "the device tree bcm2710-rpi-3-b.dtb");
    assert_eq!(lacks(("start.elf", None)), "start.elf");
    assert_eq!(
        lacks(("config.txt", Some(b"kernel=u-boot-rpi3.bin\n"))),
        "arm_64bit=1 in config.txt"
    );
}

#[test]
fn kernel_that_overwrites_the_device_tree_is_reported() {
    needs!(have(&IMAGE_TOOLS));
    assert_eq!(
        raspberry_pi(&PI_FILES, 37).missing,
        [
            "room for the kernel: it ends at 0x2700000, and U-Boot 2025.01 has the device tree at 0x2600000"
        ]
    );
    assert!(raspberry_pi(&PI_FILES, 36).complete);
}
