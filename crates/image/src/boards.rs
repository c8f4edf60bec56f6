//! For which boards an image has all that their boot needs, and what is missing for the others.

use std::collections::BTreeSet;

use serde::Serialize;

use super::boot::{BootReport, LoaderKind, UEFI_ARM, UEFI_PC, Volume};
use super::bytes::{has_magic, slice, u64_at};
use super::disk::Section;
use super::error::Error;
use super::files::{EntryKind, FileSystem};
use super::pi::PiBoot;
use super::report::PartitionReport;
use super::table::{Partition, SECTOR_BYTES};
use crate::board::{Board, PiModel, Start, UBoot, boards_of};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::system::System;
use sdbuild_core::text::{alternatives, listed};
use sdbuild_core::to_usize::to_usize;

/// Bytes of a boot loader that are read. U-Boot has less than 2 MiB.
const MAX_LOADER_BYTES: usize = 8 << 20;
/// Bytes in front of the first partition that are searched for U-Boot.
const MAX_GAP_BYTES: u64 = 32 << 20;

/// Whether an image has what the boot of one board needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoardReport {
    /// The name by which flags choose the board.
    pub board: &'static str,
    /// The name that its maker gave it.
    #[serde(skip)]
    pub title: &'static str,
    /// Whether the image can boot on the board: `missing` is empty.
    pub complete: bool,
    /// Missing parts, for users.
    pub missing: Vec<String>,
    /// What is there, and may be a mistake.
    pub notes: Vec<String>,
    /// What `config.txt` sets there, on a Raspberry Pi.
    pub config_txt: Option<Vec<String>>,
}

/// An image, for the boards to judge.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageParts<'a> {
    pub(super) disk: &'a Section,
    /// The start of the first partition in bytes.
    pub(super) first_partition: u64,
    pub(super) volumes: &'a [Volume],
    pub(super) partitions: &'a [PartitionReport],
    pub(super) boot: &'a BootReport,
}

/// The report for every board of the image's architecture; empty for an image that nothing starts.
pub(super) fn judge(parts: ImageParts<'_>) -> Result<Vec<BoardReport>, Error> {
    let is_of_pcs = parts.boot.systems() == BTreeSet::from([System::X8664Linux]);
    let gap = parts.gap()?;
    let boards: Vec<_> = boards_of(System::Aarch64Linux).collect();
    let has_header = boards.iter().any(|board| match &board.start {
        Start::UBoot(u_boot) => has_header(&gap, u_boot),
        Start::RaspberryPi(_) | Start::Uefi | Start::OwnUBoot | Start::Bios => false,
    });
    if is_of_pcs || parts.boot.loaders.is_empty() && !has_header {
        return Ok(Vec::new());
    }
    boards
        .into_iter()
        .map(|board| parts.judge(board, &gap))
        .collect()
}

/// The report for one board.
pub(super) fn judge_board(
    parts: ImageParts<'_>,
    board: &'static Board,
) -> Result<BoardReport, Error> {
    parts.judge(board, &parts.gap()?)
}

/// The first file system of a FAT type, where a Raspberry Pi's firmware looks for its files.
pub(super) fn firmware_volume(volumes: &[Volume]) -> Option<&Volume> {
    volumes
        .iter()
        .find(|volume| matches!(volume.fs, FileSystem::Fat(_)))
}

impl ImageParts<'_> {
    /// The bytes in front of the first partition.
    fn gap(&self) -> Result<Vec<u8>, Error> {
        let length = self.first_partition.min(MAX_GAP_BYTES).min(self.disk.len());
        let mut gap = vec![0; to_usize(length)];
        self.disk.read(0, &mut gap)?;
        Ok(gap)
    }

    fn judge(&self, board: &'static Board, gap: &[u8]) -> Result<BoardReport, Error> {
        let mut report = BoardReport {
            board: board.name,
            title: board.title,
            complete: false,
            missing: Vec::new(),
            notes: Vec::new(),
            config_txt: None,
        };
        match self.look(&board.start, gap, &mut report) {
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => report
                .missing
                .push(format!("files that can be read ({error})")),
            Ok(()) => {}
        }
        report
            .missing
            .extend(missing_driver(board, self.boot.drivers.as_ref()));
        report.complete = report.missing.is_empty();
        Ok(report)
    }

    fn look(&self, start: &Start, gap: &[u8], report: &mut BoardReport) -> Result<(), Error> {
        match start {
            Start::RaspberryPi(model) => self.raspberry_pi(model, report)?,
            Start::UBoot(u_boot) => {
                report.missing.extend(missing_u_boot(gap, u_boot));
                self.menu(UEFI_ARM, report);
                self.tree_of_menu(u_boot.device_tree, report)?;
            }
            Start::Uefi => {
                if !self.boot.has_program(UEFI_ARM) {
                    report.missing.push(format!("a UEFI program, {UEFI_ARM}"));
                }
            }
            Start::OwnUBoot => self.menu(UEFI_ARM, report),
            // QEMU's PC has UEFI for a disk with such a program.
            Start::Bios => self.menu(UEFI_PC, report),
        }
        Ok(())
    }

    fn has(&self, kind: LoaderKind) -> bool {
        self.boot.loaders.iter().any(|loader| loader.kind == kind)
    }

    /// Adds what the boot menu lacks. Without one the UEFI program `program` starts the image.
    fn menu(&self, program: &str, report: &mut BoardReport) {
        if !self.has(LoaderKind::Extlinux) && !self.boot.has_program(program) {
            report
                .missing
                .push("a boot menu, /boot/extlinux/extlinux.conf".to_owned());
        }
        report.missing.extend_from_slice(&self.boot.menu_problems);
    }

    /// Adds a note if the directory of device trees that the menu names lacks the board's.
    fn tree_of_menu(&self, tree: &str, report: &mut BoardReport) -> Result<(), Error> {
        let Some(menu) = &self.boot.menu else {
            return Ok(());
        };
        let Some((dir, volume)) = menu.device_trees.as_ref().zip(self.volume(menu.partition))
        else {
            return Ok(());
        };
        let path = format!("{dir}/{tree}");
        if volume.fs.find(&path)? != Some(EntryKind::File) {
            let text = format!("there is no {tree} in {dir}: U-Boot's own device tree is taken");
            report.notes.push(text);
        }
        Ok(())
    }

    fn volume(&self, number: u32) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.number == number)
    }

    fn raspberry_pi(&self, model: &PiModel, report: &mut BoardReport) -> Result<(), Error> {
        let Some(volume) =
            firmware_volume(self.volumes).filter(|_| self.has(LoaderKind::RaspberryPi))
        else {
            report
                .missing
                .push("the firmware of a Raspberry Pi, on a FAT partition".to_owned());
            return Ok(());
        };
        let mut boot = PiBoot::find(&volume.fs, model)?;
        report.missing.append(&mut boot.missing);
        report.missing.append(&mut boot.missing_firmware);
        report.notes.append(&mut boot.config.problems);
        report.notes.append(&mut boot.notes);
        report.missing.extend(self.hidden_firmware(volume.number));
        let settings = boot.config.settings.iter().map(ToString::to_string);
        report.config_txt = Some(settings.collect());
        let Some(kernel) = &boot.kernel else {
            return Ok(());
        };
        let bytes = volume
            .fs
            .start_of(kernel, MAX_LOADER_BYTES)?
            .unwrap_or_default();
        match UBootBinary::read(&bytes) {
            Some(u_boot) => {
                self.menu(UEFI_ARM, report);
                self.room_for_kernel(&u_boot, report)?;
                self.other_tree(model, &boot.config.tree_changes(), report)?;
            }
            None => second_kernel(volume, &boot, report)?,
        }
        Ok(())
    }

    /// What hides the firmware's partition from the boot ROM, which reads only those of FAT's types
    /// (<https://github.com/raspberrypi/firmware/issues/184>, <https://github.com/raspberrypi/rpi-eeprom/issues/243>).
    fn hidden_firmware(&self, number: u32) -> Option<String> {
        let mut all = self.partitions.iter().map(|report| &report.partition);
        let is_linux = |one: &&Partition| one.number == number && one.kind == "0x83";
        all.find(is_linux)?;
        Some(format!(
            "the type of a FAT, 0x0b or 0x0c, on partition {number}: it has 0x83"
        ))
    }

    /// Adds a note if `changes` of the firmware's device tree are lost: U-Boot loads another one, by its menu.
    fn other_tree(
        &self,
        model: &PiModel,
        changes: &[String],
        report: &mut BoardReport,
    ) -> Result<(), Error> {
        let Some((menu, volume)) = self
            .boot
            .menu
            .as_ref()
            .and_then(|menu| Some((menu, self.volume(menu.partition)?)))
        else {
            return Ok(());
        };
        let [_, upstream] = model.device_trees;
        let line = match (&menu.device_tree, &menu.device_trees) {
            (Some(_), _) => "FDT",
            // Without the board's own there, it keeps the firmware's.
            (None, Some(dir)) => {
                let tree = format!("{dir}/broadcom/{upstream}");
                match volume.fs.find(&tree)? {
                    Some(EntryKind::File) => "FDTDIR",
                    _ => return Ok(()),
                }
            }
            (None, None) => return Ok(()),
        };
        if !changes.is_empty() {
            report.notes.push(format!(
                "no effect of {} in config.txt: by {line} in {}, U-Boot loads another device tree than the firmware's. Set \
                 boot.loader.generic-extlinux-compatible.useGenerationDeviceTree = false",
                changes.join(", "),
                menu.config
            ));
        }
        Ok(())
    }

    /// Adds that the kernel of the boot menu overwrites what U-Boot loads beside it.
    fn room_for_kernel(&self, u_boot: &UBootBinary, report: &mut BoardReport) -> Result<(), Error> {
        let Some(menu) = &self.boot.menu else {
            return Ok(());
        };
        let Some((path, volume)) = menu.kernel.as_ref().zip(self.volume(menu.partition)) else {
            return Ok(());
        };
        let header = volume.fs.start_of(path, 64)?.unwrap_or_default();
        let size = size_of(volume, path)?;
        let loads_tree = menu.device_tree.is_some() || menu.device_trees.is_some();
        report
            .missing
            .extend(u_boot.overlap(&header, size, loads_tree));
        Ok(())
    }
}

/// The drivers of the board's card that are neither in the kernel nor in the initrd: Linux finds no root file system.
fn missing_driver(board: &Board, drivers: Option<&BTreeSet<String>>) -> Option<String> {
    let drivers = drivers?;
    let is_there = |name: &&'static str| drivers.contains(&name.replace('-', "_"));
    let groups = board.drivers.iter();
    let missing = groups.filter(|group| !group.iter().any(is_there));
    let one_of = |group: &&[&str]| match group {
        [name] => (*name).to_owned(),
        _ => format!("one of {}", alternatives(group)),
    };
    let missing: Vec<String> = missing.map(one_of).collect();
    let names = missing.iter().map(String::as_str).collect::<Vec<_>>();
    (!names.is_empty()).then(|| {
        format!(
            "the driver {} for its card, in the initrd or the kernel (boot.initrd.availableKernelModules)",
            listed(&names)
        )
    })
}

fn size_of(volume: &Volume, path: &str) -> Result<u64, Error> {
    let entries = volume.fs.list(path)?;
    Ok(entries.first().map_or(0, |entry| entry.size))
}

/// Adds a note if a partition with a kernel has no room for the next one beside it: an update of the system fails.
fn second_kernel(volume: &Volume, boot: &PiBoot, report: &mut BoardReport) -> Result<(), Error> {
    let mut needed = 0;
    for path in boot.kernel.iter().chain(&boot.initrd) {
        needed += size_of(volume, path)?;
    }
    let free = volume.fs.summary()?.free.unwrap_or(u64::MAX);
    if free < needed {
        let (free, needed) = (human_bytes(free), human_bytes(needed));
        report.notes.push(format!(
            "an update needs room for a second kernel: {needed} on partition {}, which has {free}",
            volume.number
        ));
    }
    Ok(())
}

fn has_header(gap: &[u8], u_boot: &UBoot) -> bool {
    let at = u_boot.header.sector * SECTOR_BYTES;
    let at = to_usize(at);
    let at = at.saturating_add(u_boot.header.offset);
    gap.get(at..)
        .is_some_and(|rest| rest.starts_with(u_boot.header.magic))
}

/// What is missing of U-Boot in the bytes in front of the first partition.
fn missing_u_boot(gap: &[u8], u_boot: &UBoot) -> Option<String> {
    let header = &u_boot.header;
    if !has_header(gap, u_boot) {
        return Some(format!(
            "U-Boot: {} is not at sector {}",
            header.name, header.sector
        ));
    }
    // With its end: `xunlong,orangepi-5-plus` is another board than `xunlong,orangepi-5`.
    let compatible = [u_boot.compatible.as_bytes(), b"\0"].concat();
    let is_own = gap
        .windows(compatible.len())
        .any(|window| window == compatible);
    (!is_own).then(|| {
        format!(
            "U-Boot for this board: the one at sector {} has no device tree of {}",
            header.sector, u_boot.compatible
        )
    })
}

/// The start of U-Boot's first message.
const BANNER: &[u8] = b"U-Boot 20";
/// What `booti` aligns a kernel to (`arch/arm/lib/image.c`).
const ALIGNMENT: u64 = 2 << 20;
/// What `booti` takes for the size of a kernel before Linux 3.17, whose header has none.
const OLD_KERNEL_BYTES: u64 = 16 << 20;

/// What a binary of U-Boot says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct UBootBinary {
    pub(super) version: String,
    /// Where the kernel, the device tree and the initial RAM disk are loaded, by the built-in environment.
    pub(super) kernel: Option<u64>,
    pub(super) device_tree: Option<u64>,
    pub(super) initrd: Option<u64>,
}

impl UBootBinary {
    /// Reads a binary; `None` when it is not U-Boot.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let at = find(bytes, BANNER)?;
        let version = slice(bytes, at, at + 32).iter().copied();
        let version: Vec<u8> = version
            .take_while(|b| b.is_ascii_graphic() || *b == b' ')
            .collect();
        let version = String::from_utf8_lossy(&version);
        Some(Self {
            version: version.split(" (").next().unwrap_or_default().to_owned(),
            kernel: address(bytes, b"\0kernel_addr_r="),
            device_tree: address(bytes, b"\0fdt_addr_r="),
            initrd: address(bytes, b"\0ramdisk_addr_r="),
        })
    }

    /// What a kernel overwrites, of which `header` are the first bytes and `size` the length. With
    /// `loads_tree`, the boot menu makes U-Boot load a device tree.
    pub(super) fn overlap(&self, header: &[u8], size: u64, loads_tree: bool) -> Option<String> {
        let end = self.kernel_end(header, size)?;
        let tree = self.device_tree.filter(|_| loads_tree);
        let hit = [("the device tree", tree), ("the initrd", self.initrd)];
        let over =
            |(what, at): (&'static str, Option<u64>)| Some((what, at.filter(|at| *at < end)?));
        let (what, at) = hit.into_iter().find_map(over)?;
        Some(format!(
            "room for the kernel: it ends at {end:#x}, and {} has {what} at {at:#x}",
            self.version
        ))
    }

    /// The end of a kernel in memory, where `booti` has moved it.
    fn kernel_end(&self, header: &[u8], size: u64) -> Option<u64> {
        if !has_magic(header, 0x38, b"ARM\x64") {
            return None;
        }
        let (offset, image, flags) = (u64_at(header, 8), u64_at(header, 16), u64_at(header, 24));
        let (offset, image) = if image == 0 {
            (0x80000, OLD_KERNEL_BYTES)
        } else {
            (offset, image)
        };
        let loaded = self.kernel?;
        // With bit 3, the kernel may lie anywhere; else it goes to the start of the memory.
        let base = if flags & 8 == 8 {
            loaded.saturating_sub(offset)
        } else {
            0
        };
        let moved = base
            .checked_next_multiple_of(ALIGNMENT)?
            .checked_add(offset)?;
        Some(moved.saturating_add(image).max(loaded.saturating_add(size)))
    }
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

/// The number behind `name`.
fn address(bytes: &[u8], name: &[u8]) -> Option<u64> {
    let at = find(bytes, name)? + name.len();
    let value = slice(bytes, at, at + 18);
    let value = value.split(|byte| *byte == 0).next()?;
    let digits = std::str::from_utf8(value).ok()?.trim_start_matches("0x");
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::BoardName;

    /// The map of U-Boot 2025.01 for a Raspberry Pi 3.
    fn u_boot() -> UBootBinary {
        let text = b"..U-Boot 2025.01-3+deb13u1 (Jun 24 2026 - 09:07:12 +0000)\0\0x=1\0fdt_addr_r=0x02600000\0\
            ramdisk_addr_r=0x02700000\0kernel_addr_r=0x00080000\0";
        UBootBinary::read(text).unwrap()
    }

    fn header(image: u64) -> Vec<u8> {
        let mut header = vec![0; 64];
        header[16..24].copy_from_slice(&image.to_le_bytes());
        header[24] = 0xa;
        header[0x38..0x3c].copy_from_slice(b"ARM\x64");
        header
    }

    #[test]
    fn a_driver_is_in_the_kernel_or_the_initrd() {
        let lacks = |board: &str, drivers: &[&str]| {
            let BoardName(board) = board.parse().unwrap();
            let drivers = drivers.iter().map(|&name| name.to_owned()).collect();
            missing_driver(board, Some(&drivers))
        };
        for (board, drivers) in [
            ("rpi4", &["mmc_block", "sdhci_iproc"][..]),
            ("rpi3", &["mmc_block", "bcm2835_sdhost"]),
            ("rock5b", &["mmc_block", "dw_mmc_rockchip"]),
            ("virt", &["virtio_blk", "virtio_pci"]),
            ("other", &["ext4"]),
        ] {
            assert_eq!(lacks(board, drivers), None, "{board}");
        }
        let text = lacks("rpi4", &["mmc_block", "sunxi_mmc"]).unwrap();
        assert!(
            text.starts_with("the driver sdhci-iproc for its card"),
            "{text}"
        );
        assert!(
            lacks("virt", &[])
                .unwrap()
                .contains("virtio_blk and virtio_pci")
        );
        let BoardName(board) = "virt".parse().unwrap();
        assert_eq!(missing_driver(board, None), None);
    }

    #[test]
    fn built_in_environment_is_read() {
        let u_boot = u_boot();
        assert_eq!(u_boot.version, "U-Boot 2025.01-3+deb13u1");
        assert_eq!(u_boot.kernel, Some(0x8_0000));
        assert_eq!(u_boot.device_tree, Some(0x260_0000));
        assert_eq!(u_boot.initrd, Some(0x270_0000));
        assert_eq!(UBootBinary::read(b"Linux version 6.12"), None);
    }

    /// Debian's 6.12.107 ended 960 KiB behind the place of the device tree.
    #[test]
    fn kernel_over_the_device_tree_is_reported() {
        let debian = header(0x24f_0000);
        let overlap = u_boot().overlap(&debian, 38_000_000, true).unwrap();
        assert_eq!(
            overlap,
            "room for the kernel: it ends at 0x26f0000, and U-Boot 2025.01-3+deb13u1 has the device tree at 0x2600000"
        );
        // With the device tree of the firmware, there is room up to the initrd.
        assert_eq!(u_boot().overlap(&debian, 38_000_000, false), None);
        assert!(
            u_boot()
                .overlap(&header(0x251_0000), 0, false)
                .unwrap()
                .contains("the initrd at")
        );
        assert_eq!(u_boot().overlap(&header(0x1e0_0000), 0, true), None);
        assert_eq!(u_boot().overlap(b"\x1f\x8b", 90 << 20, true), None);
    }
}
