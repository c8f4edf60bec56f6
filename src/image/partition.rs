//! A partition table and its partitions, whatever their format.

use serde::Serialize;

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
