//! The GUID partition table (GPT): two copies, each with checksums of its header and its entries.
//!
//! Considered: gptman 3.1.1 allocates as many entries as the disk claims.

use super::bytes::{has_magic, slice, u32_at, u64_at};
use super::disk::Section;
use super::error::Error;
use super::partition::{Partition, SECTOR_BYTES, Table, TableKind};
use super::unicode::{guid, units, utf16};

/// Bytes of the largest array of entries that is read; the usual one has 16 KiB.
const MAX_ENTRIES_BYTES: u64 = 1 << 20;

/// One copy with valid checksums.
#[derive(PartialEq, Eq)]
struct GptCopy {
    id: String,
    /// The sector of the other copy's header.
    other: u64,
    /// Bytes in an entry.
    entry_bytes: usize,
    entries: Vec<u8>,
}

/// The table of a disk with a protective boot record.
pub(super) fn read(disk: &Section) -> Result<Table, Error> {
    let mut table = Table {
        kind: TableKind::Gpt,
        id: None,
        partitions: Vec::new(),
        problems: Vec::new(),
    };
    let last = (disk.len() / SECTOR_BYTES).saturating_sub(1);
    let good = match read_copy(disk, 1) {
        Ok(first) => {
            match read_copy(disk, first.other) {
                Err(e) if e.is_fatal() => return Err(e),
                Err(e) => table.problems.push(format!("the backup GPT: {e}")),
                Ok(second) if second.id != first.id || second.entries != first.entries => {
                    let problem = "the two copies of the GPT differ: the first one is shown";
                    table.problems.push(problem.to_owned());
                }
                Ok(_) => {}
            }
            first
        }
        Err(e) if e.is_fatal() => return Err(e),
        Err(e) => {
            table.problems.push(format!("the GPT: {e}"));
            match read_copy(disk, last) {
                Ok(second) => second,
                Err(e) if e.is_fatal() => return Err(e),
                Err(e) => {
                    table.problems.push(format!("the backup GPT: {e}"));
                    return Ok(table);
                }
            }
        }
    };
    table.id = Some(good.id);
    add_partitions(&mut table, &good.entries, good.entry_bytes);
    Ok(table)
}

/// The copy whose header is at sector `at`.
fn read_copy(disk: &Section, at: u64) -> Result<GptCopy, Error> {
    let place = at.checked_mul(SECTOR_BYTES);
    let beyond = || Error::damaged(format!("its header at sector {at} is beyond the end"));
    let place = place.filter(|p| p.saturating_add(SECTOR_BYTES) <= disk.len());
    let mut header = disk.block(place.ok_or_else(beyond)?, 512)?;
    if !has_magic(&header, 0, b"EFI PART") {
        let what = format!("no header at sector {at}");
        return Err(Error::damaged(what));
    }
    let size = u32_at(&header, 12) as usize;
    let (own_sector, checksum) = (u64_at(&header, 24), u32_at(&header, 16));
    if let Some(field) = header.get_mut(16..20) {
        field.fill(0);
    }
    if !(92..=512).contains(&size) || crc32(slice(&header, 0, size)) != checksum || own_sector != at
    {
        return Err(Error::damaged("its header's checksum is wrong"));
    }
    let (count, entry) = (u32_at(&header, 80), u32_at(&header, 84));
    let length = u64::from(count) * u64::from(entry);
    if entry < 128 || length > MAX_ENTRIES_BYTES {
        let what = format!("it claims {count} entries of {entry} bytes");
        return Err(Error::damaged(what));
    }
    let start = u64_at(&header, 72).saturating_mul(SECTOR_BYTES);
    let entries = disk.block(start, length)?;
    if crc32(&entries) != u32_at(&header, 88) {
        return Err(Error::damaged("the checksum over its entries is wrong"));
    }
    Ok(GptCopy {
        id: guid(slice(&header, 56, 72)),
        other: u64_at(&header, 32),
        entry_bytes: entry as usize,
        entries,
    })
}

fn add_partitions(table: &mut Table, entries: &[u8], entry_bytes: usize) {
    for (number, entry) in (1..).zip(entries.chunks_exact(entry_bytes)) {
        if slice(entry, 0, 16).iter().all(|b| *b == 0) {
            continue;
        }
        let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
        let Some(before) = last.checked_sub(first) else {
            let problem = format!("partition {number} ends before it begins");
            table.problems.push(problem);
            continue;
        };
        let name = utf16(units(slice(entry, 56, 128)));
        table.partitions.push(Partition {
            number,
            start: first.saturating_mul(SECTOR_BYTES),
            size: before.saturating_add(1).saturating_mul(SECTOR_BYTES),
            kind: guid(slice(entry, 0, 16)),
            name: (!name.is_empty()).then_some(name),
            // Bit 2 of the attributes: bootable by a legacy BIOS, and by U-Boot.
            bootable: u64_at(entry, 48) & 4 != 0,
        });
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
