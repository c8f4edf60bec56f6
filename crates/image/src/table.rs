//! Reads the partition table of a disk and checks its partitions.

use super::bytes;
use super::disk::Section;
use super::error::Error;
use super::fat;
use super::gpt;
use super::mbr;
use super::partition::{Partition, SECTOR_BYTES, Table, TableKind};

/// The partition table of `disk`.
pub fn read(disk: &Section) -> Result<Table, Error> {
    let none = Table {
        kind: TableKind::None,
        id: None,
        partitions: Vec::new(),
        problems: Vec::new(),
    };
    if disk.len() < SECTOR_BYTES {
        return Ok(none);
    }
    let sector = disk.block(0, 512)?;
    // The first sector of a FAT ends like a boot record and may have any bytes instead of partitions.
    if !bytes::has_magic(&sector, 510, &[0x55, 0xaa]) || fat::is_boot_sector(&sector) {
        return Ok(none);
    }
    let mut table = match mbr::read(disk, &sector)? {
        Some(table) if table.partitions.iter().any(|p| p.kind == mbr::PROTECTIVE) => {
            gpt::read(disk)?
        }
        Some(table) => table,
        None => return Ok(none),
    };
    check_bounds(&mut table, disk.len());
    Ok(table)
}

/// Adds problems: partitions beyond the end of the image, and partitions that overlap.
fn check_bounds(table: &mut Table, len: u64) {
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
    // The previous partition with the furthest end: a long one may overlap several.
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
