//! Partition tables: which kind, which partitions, and what is wrong with them.

use super::disk::Section;
use super::error::Error;
use super::partition::{Partition, SECTOR, Table, TableKind};
use super::{bytes, fat, gpt, mbr};

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
