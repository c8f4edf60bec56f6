//! The partition table of a disk: a master boot record (MBR) with chains of logical partitions, or a GUID partition table (GPT) in two copies, each
//! with checksums of its header and its entries.
//!
//! Read without a crate: gptman 3.1.1 allocates as many entries as the disk claims, and mbrman 0.6.1 ends at the first error, where here a
//! damaged table is shown with its problems.

use serde::Serialize;

use super::bytes;
use super::bytes::{guid, has_magic, slice, u8_at, u32_at, u64_at, units, utf16};
use super::disk::Section;
use super::error::Error;
use super::fat;

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
    let mut table = match read_mbr(disk, &sector)? {
        Some(table) if table.partitions.iter().any(|p| p.kind == PROTECTIVE) => read_gpt(disk)?,
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
        .filter(|p| !is_container(&p.kind))
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

/// The type of the partition that protects a GUID partition table from old tools.
const PROTECTIVE: &str = "0xee";
/// Logical partitions of one chain that are `read_mbr`; Linux supports 60.
const MAX_LOGICAL: u32 = 60;
/// The position of the four entries in a boot record.
const ENTRIES_OFFSET: usize = 446;

/// Whether a partition of this type only contains others.
fn is_container(kind: &str) -> bool {
    matches!(kind, "0x05" | "0x0f" | "0x85")
}

struct MbrEntry {
    flag: u8,
    kind: u8,
    start: u64,
    sectors: u64,
}

fn mbr_entry(sector: &[u8], index: usize) -> MbrEntry {
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
fn read_mbr(disk: &Section, sector: &[u8]) -> Result<Option<Table>, Error> {
    let entries = [0, 1, 2, 3].map(|index| mbr_entry(sector, index));
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
    for (number, mbr_entry) in (1..).zip(&entries).filter(|(_, e)| e.is_used()) {
        table.partitions.push(mbr_entry.partition(number, 0));
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
        let own = mbr_entry(&sector, 0);
        if own.is_used() {
            table
                .partitions
                .push(own.partition(5 + count, sector_number));
            count += 1;
        }
        let link = mbr_entry(&sector, 1);
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

/// Bytes of the largest array of entries that is `read_gpt`; the usual one has 16 KiB.
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
fn read_gpt(disk: &Section) -> Result<Table, Error> {
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
