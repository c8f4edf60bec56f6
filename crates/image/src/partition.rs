//! A partition table and its partitions, whatever their format.

use serde::Serialize;

/// Bytes in a sector of a partition table, whatever the sectors of the disk are.
pub const SECTOR_BYTES: u64 = 512;

/// The kind of a partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// The table in a master boot record.
    Mbr,
    /// A GUID partition table.
    Gpt,
    /// None: the image is one file system, or of no known kind.
    None,
}

/// A partition table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// The kind.
    pub kind: TableKind,
    /// The identifier of the disk.
    pub id: Option<String>,
    /// The partitions by number.
    #[serde(skip)]
    pub partitions: Vec<Partition>,
    /// Problems of the table.
    #[serde(skip)]
    pub problems: Vec<String>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// The number as in Linux, from 1; 0 for an image that is one file system.
    pub number: u32,
    /// The position in bytes.
    pub start: u64,
    /// The length in bytes that the table states.
    pub size: u64,
    /// The type: `0x0b` or a GUID.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name in a GUID partition table.
    pub name: Option<String>,
    /// Whether it is marked as bootable.
    pub bootable: bool,
}

impl Partition {
    /// The position after its last byte.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}
