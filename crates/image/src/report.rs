//! The report about an image: the object that `sdbuild inspect --json` prints. Its fields are described in docs/reference.md; `version` changes
//! when one is renamed or removed. Also the path of a file on an image as users write it: `/path`, or `2:/path` for partition 2.

use std::path::Path;

use serde::Serialize;

use super::boards;
use super::boards::{BoardReport, ImageParts};
use super::boot::{BootReport, MAX_CONFIG_BYTES, Volume};
use super::card::{Card, CardPartition, Location, mounts_in};
use super::cluster_disk::DiskForm;
use super::disk::Section;
use super::error::Error;
use super::files::{FileSystem, Summary};
use super::installed_system::keys_of_server;
use super::open::OpenedImage;
use super::sidecars;
use super::sidecars::{Checksum, Manifest};
use super::table;
use super::table::{Partition, Table, TableKind};
use crate::board::Board;
use sdbuild_core::compression::Compression;
use sdbuild_core::hash::Sha256Hash;

/// The version of the report's format.
pub const VERSION: u32 = 1;

/// The decompressed image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RawSize {
    /// The length in bytes.
    pub size: u64,
    /// SHA-256, when requested.
    pub sha256: Option<Sha256Hash>,
}

/// The disk in the decompressed image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskReport {
    /// How the image holds it: `raw`, `qcow2` or `vmdk`.
    pub form: DiskForm,
    /// Its length in bytes.
    pub size: u64,
}

/// A partition and its file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    /// What the partition table states.
    #[serde(flatten)]
    pub partition: Partition,
    /// Its file system, if known.
    pub file_system: Option<Summary>,
}

impl PartitionReport {
    /// The kind of FAT that the partition's type in an MBR stands for, if its file system is a FAT of another kind. Linux and U-Boot do not
    /// look at the type; the boot ROM of some Compute Modules 3 does (<https://github.com/raspberrypi/firmware/issues/1738>).
    pub fn other_fat(&self) -> Option<&'static str> {
        let kind = match self.partition.kind.as_str() {
            "0x0b" | "0x0c" => "fat32",
            "0x04" | "0x06" | "0x0e" => "fat16",
            _ => return None,
        };
        let own = self.file_system.as_ref()?.kind.as_str();
        (own.starts_with("fat") && own != kind).then_some(kind)
    }
}

/// The report about an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of this format.
    pub version: u32,
    /// The path of the image file as the user gave it.
    pub image: String,
    /// Compression of the file.
    pub compression: Compression,
    /// The length of the file in bytes.
    pub size: u64,
    /// SHA-256 of the file, when requested.
    pub sha256: Option<Sha256Hash>,
    /// The decompressed image.
    pub raw: RawSize,
    /// The disk in it.
    pub disk: DiskReport,
    /// The comparison with `<image>.sha256`.
    pub checksum: Option<Checksum>,
    /// The comparison with `<image>.json`.
    pub manifest: Option<Manifest>,
    /// The partition table.
    pub table: Table,
    /// Partitions by number; number 0 is an image that is one file system.
    pub partitions: Vec<PartitionReport>,
    /// Boot loaders, menu, kernel and system.
    pub boot: BootReport,
    /// For which boards it has all that their boot needs.
    pub boards: Vec<BoardReport>,
    /// Problems of the image.
    pub problems: Vec<String>,
}

/// The partition table of a disk and its file systems.
#[derive(Debug)]
pub struct Layout {
    /// The partition table.
    pub table: Table,
    /// The file systems that can be read.
    pub volumes: Vec<Volume>,
    /// The partitions.
    pub partitions: Vec<PartitionReport>,
    /// Problems of all of these.
    pub problems: Vec<String>,
}

impl Layout {
    /// Reads the partition table and the file system of every partition.
    pub fn read(disk: &Section) -> Result<Self, Error> {
        let mut table = table::read(disk)?;
        let mut layout = Self {
            problems: std::mem::take(&mut table.problems),
            volumes: Vec::new(),
            partitions: Vec::new(),
            table,
        };
        let mut partitions = std::mem::take(&mut layout.table.partitions);
        partitions.sort_by_key(|partition| partition.number);
        if layout.table.kind == TableKind::None {
            partitions.push(Partition {
                number: 0,
                start: 0,
                size: disk.len(),
                kind: "whole".to_owned(),
                name: None,
                bootable: false,
            });
        }
        for partition in partitions {
            layout.add(partition, disk)?;
        }
        let nothing = layout.partitions.iter().all(|p| p.file_system.is_none());
        if layout.table.kind == TableKind::None && nothing && layout.problems.is_empty() {
            let other = super::files::other_file(disk)?;
            let what = if super::files::begins_with_zeros(disk)? {
                "it begins only with zeros, so it is not an image, or is an incomplete copy"
            } else {
                "there is no partition table and no known file system in it"
            };
            return Err(Error::refused(other.unwrap_or(what)));
        }
        Ok(layout)
    }

    /// How the image starts.
    pub(super) fn boot(&self) -> Result<BootReport, Error> {
        let mut boot = BootReport::find(&self.volumes)?;
        boot.add_system_start(&self.volumes, &self.card())?;
        Ok(boot)
    }

    /// The NixOS on it, if there is one.
    pub fn installed(&self) -> Result<Option<Installed>, Error> {
        let Some(system) = BootReport::find(&self.volumes)?.system.path else {
            return Ok(None);
        };
        let mut mounts = Vec::new();
        for volume in &self.volumes {
            let table = format!("{system}/etc/fstab");
            if let Some(table) = volume.fs.start_of(&table, MAX_CONFIG_BYTES)? {
                let card = self.card();
                let table = String::from_utf8_lossy(&table);
                mounts = mounts_in(&table)
                    .into_iter()
                    .map(|mount| {
                        let location = card.location(mount.device, mount.fs_type);
                        (mount.path.to_owned(), location)
                    })
                    .collect();
                break;
            }
        }
        let (takes_only_listed_keys, host_keys) = keys_of_server(&self.volumes, &system)?;
        Ok(Some(Installed {
            system,
            mounts,
            takes_only_listed_keys,
            host_keys,
        }))
    }

    /// The names of the partitions.
    fn card(&self) -> Card {
        let id = self
            .table
            .id
            .as_deref()
            .filter(|_| self.table.kind == TableKind::Mbr);
        let partition = |report: &PartitionReport| {
            let summary = report.file_system.as_ref();
            CardPartition {
                number: report.partition.number,
                label: summary.and_then(|fs| fs.label.clone()),
                uuid: summary.and_then(|fs| fs.uuid.clone()),
                fs_type: summary.map(|fs| fs.kind.clone()),
                part_label: report.partition.name.clone(),
            }
        };
        // Those of a file system that is not read are not known.
        let is_known = |report: &PartitionReport| {
            let summary = report.file_system.as_ref();
            summary.is_some_and(|fs| fs.kind.starts_with("ext") || fs.kind.starts_with("fat"))
        };
        Card {
            id: id.map(|id| id.trim_start_matches("0x").to_owned()),
            partitions: self.partitions.iter().map(partition).collect(),
            has_unknown: self.table.kind == TableKind::None
                || !self.partitions.iter().all(is_known),
        }
    }

    /// What boards judge of `disk`, whose layout this is, and which starts as `boot` says.
    pub(super) fn parts<'a>(&'a self, disk: &'a Section, boot: &'a BootReport) -> ImageParts<'a> {
        ImageParts {
            disk,
            first_partition: self.first_partition(),
            volumes: &self.volumes,
            partitions: &self.partitions,
            boot,
        }
    }

    /// The start of the first partition in bytes; 0 without a partition table.
    fn first_partition(&self) -> u64 {
        let starts = self.partitions.iter().map(|report| report.partition.start);
        starts.min().unwrap_or_default()
    }

    fn add(&mut self, partition: Partition, disk: &Section) -> Result<(), Error> {
        let section = disk.part(partition.start, partition.size);
        let number = partition.number;
        let found = FileSystem::detect(&section);
        let found = found.or_else(|e| self.add_problem(number, e))?;
        let summary = found.as_ref().map(FileSystem::summary).transpose();
        let file_system = summary.or_else(|e| self.add_problem(number, e))?;
        self.volumes.extend(found.map(|fs| Volume { number, fs }));
        self.partitions.push(PartitionReport {
            partition,
            file_system,
        });
        Ok(())
    }

    /// Adds the error of a partition to the problems, unless nothing more can be read.
    fn add_problem<T>(&mut self, number: u32, error: Error) -> Result<Option<T>, Error> {
        if error.is_fatal() {
            return Err(error);
        }
        self.problems.push(match number {
            0 => error.to_string(),
            _ => format!("partition {number}: {error}"),
        });
        Ok(None)
    }
}

/// Adds the error of a sidecar to the problems, unless nothing more can be read.
fn or_problem<T>(
    read: Result<Option<T>, Error>,
    problems: &mut Vec<String>,
) -> Result<Option<T>, Error> {
    match read {
        Err(error) if !error.is_fatal() => {
            problems.push(error.to_string());
            Ok(None)
        }
        read => read,
    }
}

/// Whether the image has what the boot of `board` needs.
pub fn judge_for(opened: &OpenedImage, board: &'static Board) -> Result<BoardReport, Error> {
    let layout = Layout::read(&opened.disk)?;
    let boot = layout.boot()?;
    boards::judge_board(layout.parts(&opened.disk, &boot), board)
}

/// What keeps an image from starting on any machine.
pub fn start_problems(opened: &OpenedImage) -> Result<Vec<String>, Error> {
    let boot = Layout::read(&opened.disk)?.boot()?;
    Ok([boot.menu_problems, boot.problems].concat())
}

/// The report about an opened image.
pub fn examine(path: &Path, opened: &OpenedImage) -> Result<Report, Error> {
    let facts = &opened.facts;
    let mut problems = Vec::new();
    let manifest = or_problem(sidecars::compare_manifest(path, facts), &mut problems)?;
    if let Some(manifest) = manifest.as_ref().filter(|m| !m.mismatches.is_empty()) {
        let (file, fields) = (manifest.file.display(), manifest.mismatches.join(", "));
        problems.push(format!("{file} belongs to another image: {fields} differ"));
    }
    let checksum = or_problem(sidecars::compare_checksum(path, facts), &mut problems)?;
    if let Some(checksum) = checksum.as_ref().filter(|checksum| !checksum.matches) {
        problems.push(format!("{} has another hash", checksum.file.display()));
    }
    let mut layout = Layout::read(&opened.disk)?;
    let mut boot = layout.boot()?;
    problems.append(&mut layout.problems);
    let boards = boards::judge(layout.parts(&opened.disk, &boot))?;
    problems.append(&mut boot.menu_problems);
    problems.append(&mut boot.problems);
    Ok(Report {
        version: VERSION,
        image: path.to_string_lossy().into_owned(),
        compression: facts.compression,
        size: facts.size,
        sha256: facts.sha256,
        raw: RawSize {
            size: facts.raw_size,
            sha256: facts.raw_sha256,
        },
        disk: DiskReport {
            form: opened.form,
            size: opened.disk.len(),
        },
        checksum,
        manifest,
        table: layout.table,
        partitions: layout.partitions,
        boot,
        boards,
        problems,
    })
}

/// A NixOS on a disk.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The path of its system.
    pub system: String,
    /// The paths where it has file systems, and which these are; empty if that is not known.
    pub mounts: Vec<(String, Location)>,
    /// Whether its SSH server certainly accepts no keys but those of its configuration.
    pub takes_only_listed_keys: bool,
    /// Where its SSH server looks for its own keys; empty if that is not known.
    pub host_keys: Vec<String>,
}

/// A path on one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePath {
    /// The number of the partition; 0 for an image that is one file system.
    pub partition: u32,
    /// The path on the partition.
    pub path: String,
}

/// The directory that NixOS fills from its system when it starts.
const MADE_AT_START: &str = "/etc";

/// The number of the partition, if given, and the path.
fn parse(text: &str) -> (Option<u32>, &str) {
    match text.split_once(':').map(|(n, path)| (n.parse(), path)) {
        Some((Ok(number), path)) => (Some(number), path),
        Some((Err(_), _)) | None => (None, text),
    }
}

impl ImagePath {
    /// The path that `text` names; without a number it is on the root file system of NixOS if that has it, else on the first one
    /// that does: `/` is not the firmware's. A file in `/etc` that NixOS makes at its start is the one in its system.
    pub fn find(text: &str, layout: &Layout) -> Result<Self, Error> {
        let (number, path) = parse(text);
        let at = |partition| Self {
            partition,
            path: path.to_owned(),
        };
        if let Some(number) = number {
            return Ok(at(number));
        }
        let mut first = None;
        let has_store = |volume: &&Volume| matches!(volume.fs.find("/nix/store"), Ok(Some(_)));
        let (roots, others): (Vec<_>, Vec<_>) = layout.volumes.iter().partition(has_store);
        for volume in roots.into_iter().chain(others) {
            match volume.fs.find(path) {
                Ok(Some(_)) => return Ok(at(volume.number)),
                Ok(None) => {}
                Err(e) if e.is_fatal() => return Err(e),
                Err(e) => first = first.or(Some(e)),
            }
        }
        let whole = format!("/{}", path.trim_start_matches('/'));
        if Path::new(&whole).starts_with(MADE_AT_START)
            && let Some(system) = BootReport::find(&layout.volumes)?.system.path
        {
            return Self::find(&format!("{system}{whole}"), layout);
        }
        let problem = || layout.problems.first().cloned().map(Error::Damaged);
        let missing = || Error::refused(format!("no file system on it has {path}"));
        Err(first.or_else(problem).unwrap_or_else(missing))
    }

    /// The file system of its partition.
    pub fn volume<'a>(&self, layout: &'a Layout) -> Result<&'a Volume, Error> {
        let number = self.partition;
        let found = layout.volumes.iter().find(|volume| volume.number == number);
        found.ok_or_else(|| {
            let exists = layout
                .partitions
                .iter()
                .any(|report| report.partition.number == number);
            Error::refused(if exists {
                format!("partition {number} has no file system that can be read")
            } else {
                format!("there is no partition {number}")
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_before_the_colon_is_a_partition() {
        assert_eq!(parse("2:/a:b"), (Some(2), "/a:b"));
        assert_eq!(parse("/a:b"), (None, "/a:b"));
        assert_eq!(parse("x:/b"), (None, "x:/b"));
        assert_eq!(parse("99999999999:/b"), (None, "99999999999:/b"));
    }
}
