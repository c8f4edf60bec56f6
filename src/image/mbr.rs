//! The master boot record: four entries, and chains of logical partitions behind extended ones.

use super::bytes::{u8_at, u32_at};
use super::disk::Section;
use super::error::Error;
use super::partition::{Partition, SECTOR, Table, TableKind};

/// The entry that keeps old tools away from a GUID partition table.
pub(super) const PROTECTIVE: &str = "0xee";
/// Logical partitions that are followed; Linux itself stops at 60.
const MOST_LOGICAL: u32 = 60;
const ENTRIES: usize = 446;

/// Whether partitions of this type only hold others.
pub(super) fn is_container(kind: &str) -> bool {
    matches!(kind, "0x05" | "0x0f" | "0x85")
}

struct Entry {
    flag: u8,
    kind: u8,
    start: u64,
    sectors: u64,
}

fn entry(sector: &[u8], index: usize) -> Entry {
    let at = ENTRIES + index * 16;
    Entry {
        flag: u8_at(sector, at),
        kind: u8_at(sector, at + 4),
        start: u32_at(sector, at + 8).into(),
        sectors: u32_at(sector, at + 12).into(),
    }
}

impl Entry {
    fn is_used(&self) -> bool {
        self.kind != 0 && self.sectors != 0
    }

    fn partition(&self, number: u32, base: u64) -> Partition {
        Partition {
            number,
            start: (base + self.start) * SECTOR,
            size: self.sectors * SECTOR,
            kind: format!("0x{:02x}", self.kind),
            name: None,
            bootable: self.flag == 0x80,
        }
    }
}

/// The table in the first sector; `None` when it is a boot sector without one.
pub(super) fn read(disk: &Section, sector: &[u8]) -> Result<Option<Table>, Error> {
    let entries = [0, 1, 2, 3].map(|index| entry(sector, index));
    let flags = entries.iter().all(|e| matches!(e.flag, 0 | 0x80));
    if !flags || !entries.iter().any(Entry::is_used) {
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
            logical(disk, &mut table, (number, extended.start))?;
        }
    }
    Ok(Some(table))
}

/// Follows the chain of boot records inside the extended partition `number` at sector `base`.
fn logical(disk: &Section, table: &mut Table, (number, base): (u32, u64)) -> Result<(), Error> {
    let (mut next, mut count) = (0u64, 0u32);
    loop {
        let place = base + next;
        if place * SECTOR + SECTOR > disk.len() {
            let problem = format!("the chain in partition {number} leads beyond the end");
            table.problems.push(problem);
            return Ok(());
        }
        let sector = disk.block(place * SECTOR, 512)?;
        if !super::bytes::stands(&sector, 510, &[0x55, 0xaa]) {
            let problem = format!("the chain in partition {number} leads to no boot record");
            table.problems.push(problem);
            return Ok(());
        }
        let own = entry(&sector, 0);
        if own.is_used() {
            table.partitions.push(own.partition(5 + count, place));
            count += 1;
        }
        let link = entry(&sector, 1);
        if !link.is_used() {
            return Ok(());
        }
        // What leads back, or on and on, is no chain that any tool made.
        if link.start <= next || count >= MOST_LOGICAL {
            let problem = format!("the chain in partition {number} leads round in circles");
            table.problems.push(problem);
            return Ok(());
        }
        next = link.start;
    }
}
