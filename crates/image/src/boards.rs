//! For which boards an image has all that their boot needs, and what is missing for the others.

use std::collections::BTreeSet;

use serde::Serialize;

use super::boot::{BootReport, LoaderKind, UEFI_ARM, UEFI_PC, Volume};
use super::disk::Section;
use super::entry::EntryKind;
use super::error::Error;
use super::files::FileSystem;
use super::partition::SECTOR_BYTES;
use super::pi_boot::PiBoot;
use super::u_boot::UBootBinary;
use crate::board::{Board, PiModel, Start, UBoot, boards_of};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::system::System;
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
            }
            None => second_kernel(volume, &boot, report)?,
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
