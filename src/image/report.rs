//! All that is said about an image, as one value: the object that `sdbuild inspect --json` prints.
//!
//! Its shape is described in docs/reference.md; `version` changes when something is renamed or goes.

use std::path::Path;

use serde::Serialize;

use super::boot::{BootReport, Volume};
use super::checksum::{self, Checksum};
use super::content::OpenedImage;
use super::disk::Section;
use super::entry::Summary;
use super::error::Error;
use super::files::FileSystem;
use super::manifest::{self, Manifest};
use super::partition::{Partition, Table, TableKind};
use super::table;
use crate::common::compression::Compression;

/// The version of the report's shape.
pub const VERSION: u32 = 1;

/// The image, decompressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RawSize {
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Option<String>,
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

/// All that is said about an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of this shape.
    pub version: u32,
    /// The file, as it was given.
    pub image: String,
    /// How it is compressed.
    pub compression: Compression,
    /// The file's length in bytes.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: Option<String>,
    /// The image, decompressed.
    pub raw: RawSize,
    /// What `<image>.sha256` says.
    pub checksum: Option<Checksum>,
    /// What `<image>.json` says.
    pub manifest: Option<Manifest>,
    /// The partition table.
    pub table: Table,
    /// Partitions by number; number 0 is an image that is one file system.
    pub partitions: Vec<PartitionReport>,
    /// How it boots.
    pub boot: BootReport,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// The file systems on a disk, and the table they are found by.
#[derive(Debug)]
pub struct Layout {
    /// The table.
    pub table: Table,
    /// The file systems that can be read.
    pub volumes: Vec<Volume>,
    /// The partitions.
    pub partitions: Vec<PartitionReport>,
    /// What is wrong with all of these.
    pub problems: Vec<String>,
}

impl Layout {
    /// Reads the table and every partition's file system.
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
            let what = "there is no partition table and no known file system in it";
            return Err(Error::refused(what));
        }
        Ok(layout)
    }

    fn add(&mut self, partition: Partition, disk: &Section) -> Result<(), Error> {
        let section = disk.part(partition.start, partition.size);
        let number = partition.number;
        let found = FileSystem::detect(&section);
        let found = found.or_else(|e| self.note(number, e))?;
        let summary = found.as_ref().map(FileSystem::summary).transpose();
        let file_system = summary.or_else(|e| self.note(number, e))?;
        self.volumes.extend(found.map(|fs| Volume { number, fs }));
        self.partitions.push(PartitionReport {
            partition,
            file_system,
        });
        Ok(())
    }

    /// Takes note of what is wrong with a partition, when the rest can still be read.
    fn note<T>(&mut self, number: u32, error: Error) -> Result<Option<T>, Error> {
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

/// Takes note of what is wrong with a file beside the image, when the rest can still be read.
fn noted<T>(
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

/// Everything about an opened image.
pub fn examine(path: &Path, opened: &OpenedImage) -> Result<Report, Error> {
    let facts = &opened.facts;
    let mut problems = Vec::new();
    let manifest = noted(manifest::compare(path, facts), &mut problems)?;
    if let Some(told) = manifest.as_ref().filter(|told| !told.mismatches.is_empty()) {
        let (file, fields) = (told.file.display(), told.mismatches.join(", "));
        problems.push(format!("{file} is of another image: not the same {fields}"));
    }
    let checksum = noted(checksum::compare(path, facts), &mut problems)?;
    if let Some(wrong) = checksum.as_ref().filter(|checksum| !checksum.matches) {
        problems.push(format!("{} gives another hash", wrong.file.display()));
    }
    let mut layout = Layout::read(&opened.disk)?;
    let mut boot = BootReport::find(&layout.volumes)?;
    problems.append(&mut layout.problems);
    problems.append(&mut boot.problems);
    Ok(Report {
        version: VERSION,
        image: path.to_string_lossy().into_owned(),
        compression: facts.compression,
        size: facts.size,
        sha256: facts.sha256.clone(),
        raw: RawSize {
            size: facts.raw_size,
            sha256: facts.raw_sha256.clone(),
        },
        checksum,
        manifest,
        table: layout.table,
        partitions: layout.partitions,
        boot,
        problems,
    })
}
