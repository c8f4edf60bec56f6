//! The master boot record (MBR): four partitions, and chains of logical partitions in extended ones.
//!
//! Considered: mbrman 0.6.1. This file is as short as the conversion of its types would be, and reports a damaged
//! table as problems instead of one error.

use super::bytes::{u8_at, u32_at};
use super::disk::Section;
use super::error::Error;
use super::partition::{Partition, SECTOR_BYTES, Table, TableKind};

/// The type of the partition that protects a GUID partition table from old tools.
pub(super) const PROTECTIVE: &str = "0xee";
/// Logical partitions of one chain that are read; Linux supports 60.
const MAX_LOGICAL: u32 = 60;
/// The position of the four entries in a boot record.
const ENTRIES_OFFSET: usize = 446;

/// Whether a partition of this type only contains others.
pub(super) fn is_container(kind: &str) -> bool {
    matches!(kind, "0x05" | "0x0f" | "0x85")
}

struct MbrEntry {
    flag: u8,
    kind: u8,
    start: u64,
    sectors: u64,
}

fn entry(sector: &[u8], index: usize) -> MbrEntry {
    let at = ENTRIES_OFFSET + index * 16;
    MbrEntry {
        flag: u8_at(sector, at),
        kind: u8_at(sector, at + 4),
        start: u32_at(sector, at + 8).into(),
        sectors: u32_at(sector, at + 12).into(),
    }
}

impl MbrEntry {
    fn is_used(&self) -> bool {
        self.kind != 0 && self.sectors != 0
    }

    fn partition(&self, number: u32, base: u64) -> Partition {
        Partition {
            number,
            start: (base + self.start) * SECTOR_BYTES,
            size: self.sectors * SECTOR_BYTES,
            kind: format!("0x{:02x}", self.kind),
            name: None,
            bootable: self.flag == 0x80,
        }
    }
}

/// The table in the first sector; `None` for a boot sector without a table.
pub(super) fn read(disk: &Section, sector: &[u8]) -> Result<Option<Table>, Error> {
    let entries = [0, 1, 2, 3].map(|index| entry(sector, index));
    let flags = entries.iter().all(|e| matches!(e.flag, 0 | 0x80));
    if !flags || !entries.iter().any(MbrEntry::is_used) {
        return Ok(None);
    }
    let mut table = Table {
        kind: TableKind::Mbr,
        id: Some(format!("0x{:08x}", u32_at(sector, 440))),
        partitions: Vec::new(),
        problems: Vec::new(),
    };
    for (number, entry) in (1..).zip(&entries).filter(|(_, e)| e.is_used()) {
        table.partitions.push(entry.partition(number, 0));
    }
    for (number, extended) in (1..).zip(&entries) {
        if extended.is_used() && is_container(&format!("0x{:02x}", extended.kind)) {
            add_logical(disk, &mut table, number, extended.start)?;
        }
    }
    Ok(Some(table))
}

/// Adds the chain of logical partitions in the extended partition `number` at sector `base`.
fn add_logical(disk: &Section, table: &mut Table, number: u32, base: u64) -> Result<(), Error> {
    let (mut next, mut count) = (0u64, 0u32);
    // Empty records count too: a chain of them would be as long as the disk.
    for _ in 0..=MAX_LOGICAL {
        let sector_number = base + next;
        if sector_number * SECTOR_BYTES + SECTOR_BYTES > disk.len() {
            let problem = format!("the chain in partition {number} leads beyond the end");
            table.problems.push(problem);
            return Ok(());
        }
        let sector = disk.block(sector_number * SECTOR_BYTES, 512)?;
        if !super::bytes::has_magic(&sector, 510, &[0x55, 0xaa]) {
            let problem = format!("the chain in partition {number} leads to no boot record");
            table.problems.push(problem);
            return Ok(());
        }
        let own = entry(&sector, 0);
        if own.is_used() {
            table
                .partitions
                .push(own.partition(5 + count, sector_number));
            count += 1;
        }
        let link = entry(&sector, 1);
        if !link.is_used() {
            return Ok(());
        }
        // No tool creates a chain that leads back.
        if link.start <= next {
            let problem = format!("the chain in partition {number} forms a loop");
            table.problems.push(problem);
            return Ok(());
        }
        next = link.start;
    }
    let problem = format!("the chain in partition {number} has more than {MAX_LOGICAL} records");
    table.problems.push(problem);
    Ok(())
}
