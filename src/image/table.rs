//! Partition tables: which kind, which partitions, and what is wrong with them.

use serde::Serialize;

use super::disk::Section;
use super::error::Error;
use super::{bytes, fat, gpt, mbr};

/// Tables count in these, whatever the card's own sectors are.
pub const SECTOR: u64 = 512;

/// The kind of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// The master boot record's.
    Mbr,
    /// The GUID partition table.
    Gpt,
    /// None: the whole image is one file system, or nothing known.
    None,
}

/// A partition table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Its kind.
    pub kind: TableKind,
    /// The disk's identifier.
    pub id: Option<String>,
    /// Its partitions by number.
    #[serde(skip)]
    pub partitions: Vec<Partition>,
    /// What is wrong with it.
    #[serde(skip)]
    pub problems: Vec<String>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// From 1 as Linux counts; 0 is an image that is one file system.
    pub number: u32,
    /// Where it begins, in bytes.
    pub start: u64,
    /// How long it says it is, in bytes.
    pub size: u64,
    /// Its type: `0x0b` or a GUID.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name, in a GUID partition table.
    pub name: Option<String>,
    /// Marked as bootable.
    pub bootable: bool,
}

impl Partition {
    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}

/// The table of `disk`.
pub fn read(disk: &Section) -> Result<Table, Error> {
    let none = Table {
        kind: TableKind::None,
        id: None,
        partitions: Vec::new(),
        problems: Vec::new(),
    };
    if disk.len() < SECTOR {
        return Ok(none);
    }
    let sector = disk.block(0, 512)?;
    // A FAT's first sector ends like a boot record and may hold anything where partitions stand.
    if !bytes::stands(&sector, 510, &[0x55, 0xaa]) || fat::looks_like_one(&sector) {
        return Ok(none);
    }
    let mut table = match mbr::read(disk, &sector)? {
        Some(table) if table.partitions.iter().any(|p| p.kind == mbr::PROTECTIVE) => {
            gpt::read(disk)?
        }
        Some(table) => table,
        None => return Ok(none),
    };
    check(&mut table, disk.len());
    Ok(table)
}

/// Says which partitions reach beyond the end and which lie over each other.
fn check(table: &mut Table, len: u64) {
    for p in table.partitions.iter().filter(|p| p.end() > len) {
        table.problems.push(format!(
            "partition {} ends at byte {}, beyond the end of the image at {len}",
            p.number,
            p.end()
        ));
    }
    let mut sorted: Vec<&Partition> = table
        .partitions
        .iter()
        .filter(|p| !mbr::is_container(&p.kind))
        .collect();
    sorted.sort_by_key(|p| (p.start, p.number));
    // The one that reaches furthest of those before: a long one may lie over several.
    let mut furthest: Option<&Partition> = None;
    for partition in sorted {
        match furthest {
            Some(before) if before.end() > partition.start => {
                table.problems.push(format!(
                    "partitions {} and {} overlap",
                    before.number, partition.number
                ));
            }
            _ => {}
        }
        if furthest.is_none_or(|before| partition.end() > before.end()) {
            furthest = Some(partition);
        }
    }
}
