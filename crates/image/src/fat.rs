//! FAT12, FAT16 and FAT32: the boot sector, the file allocation table and its chains, directories and files.
//!
//! Read without `fatfs` 0.3.6, which writes the seeds: it subtracts 2 from a cluster number that a hostile image sets to 0 or 1, follows a chain that
//! leads back to itself, and writes to the disk when it is dropped.

mod skeleton;

use super::bytes::{has_magic, padded, slice, u8_at, u16_at, u32_at, units, utf16};
use super::disk::Section;
use super::error::Error;
use super::files::{ContentSink, Entry, EntryKind, Summary, not_a_file, not_found};
use sdbuild_core::to_usize::to_usize;
use sdbuild_core::untrusted::Kept;

/// The largest number of clusters that the 28 bits of a FAT32's entries can count.
const MAX_CLUSTERS: u32 = 0x0fff_fff5;
/// Bytes of the table that are read at once: whole entries of every width.
const TABLE_PIECE_BYTES: u64 = 3 * 64 * 1024;

/// The number of bits in an entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryWidth {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

/// A FAT file system.
#[derive(Debug)]
pub struct Fat {
    pub(super) section: Section,
    width: EntryWidth,
    /// Bytes in a cluster.
    pub(super) cluster: u64,
    pub(super) clusters: u32,
    table: u64,
    /// The position and the length in bytes of a root directory that is not a chain.
    pub(super) root: (u64, u64),
    /// The first cluster of a FAT32's root directory.
    root_cluster: u32,
    data: u64,
    pub(super) size: u64,
    pub(super) serial: u32,
    pub(super) label: Option<String>,
}

/// The numbers in the boot sector.
struct BootSector {
    sector: u64,
    cluster: u64,
    reserved: u64,
    tables: u64,
    roots: u64,
    sectors: u64,
    table: u64,
}

fn boot_sector(boot: &[u8]) -> BootSector {
    let either = |short: u16, long: u32| if short == 0 { long } else { short.into() };
    BootSector {
        sector: u16_at(boot, 11).into(),
        cluster: u8_at(boot, 13).into(),
        reserved: u16_at(boot, 14).into(),
        tables: u8_at(boot, 16).into(),
        roots: u16_at(boot, 17).into(),
        sectors: either(u16_at(boot, 19), u32_at(boot, 32)).into(),
        table: either(u16_at(boot, 22), u32_at(boot, 36)).into(),
    }
}

/// Whether a first sector is that of a FAT: a jump instruction, and consistent numbers.
pub(super) fn is_boot_sector(boot: &[u8]) -> bool {
    let n = boot_sector(boot);
    matches!(u8_at(boot, 0), 0xeb | 0xe9)
        && has_magic(boot, 510, &[0x55, 0xaa])
        && matches!(n.sector, 512 | 1024 | 2048 | 4096)
        && n.cluster.is_power_of_two()
        && n.reserved > 0
        && matches!(n.tables, 1 | 2)
        && matches!(u8_at(boot, 21), 0xf0 | 0xf8..=0xff)
        && n.table > 0
}

impl Fat {
    /// The file system in `section`; `None` when it has none.
    pub(super) fn open(section: &Section) -> Result<Option<Self>, Error> {
        if section.len() < 512 {
            return Ok(None);
        }
        let boot = section.block(0, 512)?;
        if !is_boot_sector(&boot) {
            return Ok(None);
        }
        let n = boot_sector(&boot);
        let root = (n.reserved + n.tables * n.table) * n.sector;
        let root_size = (n.roots * 32).next_multiple_of(n.sector);
        let (data, size) = (root + root_size, n.sectors * n.sector);
        let cluster = n.cluster * n.sector;
        let clusters = size.checked_sub(data).map(|bytes| bytes / cluster);
        let clusters = clusters.and_then(|count| u32::try_from(count).ok());
        let Some(clusters) = clusters.filter(|count| *count <= MAX_CLUSTERS) else {
            return Err(Error::damaged("the FAT's sizes contradict each other"));
        };
        let width = match clusters {
            _ if u16_at(&boot, 22) == 0 && n.roots == 0 => EntryWidth::ThirtyTwo,
            0..4085 => EntryWidth::Twelve,
            _ => EntryWidth::Sixteen,
        };
        let fields = if width == EntryWidth::ThirtyTwo {
            67
        } else {
            39
        };
        let fat = Self {
            section: section.clone(),
            width,
            cluster,
            clusters,
            table: n.reserved * n.sector,
            root: (root, root_size),
            root_cluster: u32_at(&boot, 44),
            data,
            size,
            serial: u32_at(&boot, fields),
            label: padded(slice(&boot, fields + 4, fields + 15)),
        };
        fat.check_bounds(n.table * n.sector)?;
        Ok(Some(fat))
    }

    /// Checks that the table has an entry for each cluster and that all is inside the partition.
    fn check_bounds(&self, table: u64) -> Result<(), Error> {
        if self.entry_position(self.clusters.saturating_add(2)) > table {
            return Err(Error::damaged("the FAT has fewer entries than clusters"));
        }
        if self.size > self.section.requested_len() {
            return Err(Error::damaged(format!(
                "the FAT file system has {} bytes, its partition {}",
                self.size,
                self.section.requested_len()
            )));
        }
        Ok(())
    }

    /// The position of the entry of `cluster` in the table.
    fn entry_position(&self, cluster: u32) -> u64 {
        let cluster = u64::from(cluster);
        match self.width {
            EntryWidth::Twelve => cluster * 3 / 2,
            EntryWidth::Sixteen => cluster * 2,
            EntryWidth::ThirtyTwo => cluster * 4,
        }
    }

    /// Bytes to read for one entry.
    fn entry_bytes(&self) -> u64 {
        if self.width == EntryWidth::ThirtyTwo {
            4
        } else {
            2
        }
    }

    /// The entry of `cluster`, in a block that begins at byte `base` of the table.
    fn entry(&self, cluster: u32, block: &[u8], base: u64) -> u32 {
        let at = to_usize(self.entry_position(cluster) - base);
        match self.width {
            EntryWidth::Twelve if cluster % 2 == 1 => u32::from(u16_at(block, at) >> 4),
            EntryWidth::Twelve => u32::from(u16_at(block, at) & 0xfff),
            EntryWidth::Sixteen => u16_at(block, at).into(),
            EntryWidth::ThirtyTwo => u32_at(block, at) & 0x0fff_ffff,
        }
    }

    /// The position of `cluster` in the section.
    fn cluster_position(&self, cluster: u32) -> Result<u64, Error> {
        if cluster < 2 || cluster - 2 >= self.clusters {
            let what = format!("the FAT leads to cluster {cluster}, which does not exist");
            return Err(Error::damaged(what));
        }
        Ok(self.data + u64::from(cluster - 2) * self.cluster)
    }

    /// The cluster after `cluster`; `None` at the end of the chain.
    fn next(&self, cluster: u32) -> Result<Option<u32>, Error> {
        let base = self.entry_position(cluster);
        let block = self.section.block(self.table + base, self.entry_bytes())?;
        let next = self.entry(cluster, &block, base);
        let end = match self.width {
            EntryWidth::Twelve => 0xff8,
            EntryWidth::Sixteen => 0xfff8,
            EntryWidth::ThirtyTwo => 0x0fff_fff8,
        };
        Ok((next < end).then_some(next))
    }

    /// Visits the positions of a chain's clusters from `first`, `max` at most; `visit` returns `false` to stop.
    pub(super) fn chain(
        &self,
        first: u32,
        max: u64,
        visit: &mut dyn FnMut(u64) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let (mut cluster, mut remaining) = (first, max.min(self.clusters.into()));
        loop {
            let position = self.cluster_position(cluster)?;
            remaining = remaining
                .checked_sub(1)
                .ok_or_else(|| Error::damaged("a chain in the FAT is too long"))?;
            if !visit(position)? {
                return Ok(());
            }
            match self.next(cluster)? {
                Some(next) => cluster = next,
                None => return Ok(()),
            }
        }
    }

    /// The number of free clusters. They are counted, because the number that FAT32 stores is often stale.
    pub(super) fn free(&self) -> Result<u64, Error> {
        let mut free = 0;
        self.each_free(&mut |_| {
            free += 1;
            Ok(())
        })?;
        Ok(free)
    }

    /// Visits the free clusters.
    fn each_free(&self, visit: &mut dyn FnMut(u32) -> Result<(), Error>) -> Result<(), Error> {
        let mut cluster = 2;
        let end = self.clusters + 2;
        let length = self.entry_position(end - 1) + self.entry_bytes();
        let mut base = 0;
        while cluster < end {
            let piece = TABLE_PIECE_BYTES.min(length - base);
            let block = self.section.block(self.table + base, piece)?;
            // 12-bit entries span bytes, but not pieces, whose length is a multiple of three.
            while cluster < end && self.entry_position(cluster) < base + TABLE_PIECE_BYTES {
                if self.entry(cluster, &block, base) == 0 {
                    visit(cluster)?;
                }
                cluster += 1;
            }
            base += TABLE_PIECE_BYTES;
        }
        Ok(())
    }
}

// Attributes of an entry.
const ATTR_DIRECTORY: u8 = 0x10;
const ATTR_VOLUME_ID: u8 = 0x08;
const ATTR_LONG_NAME: u8 = 0x0f;

/// An entry of a directory, with its long name if it has one.
#[derive(Clone, Debug)]
struct RawEntry {
    short: [u8; 11],
    pub(super) long: Option<String>,
    attributes: u8,
    case: u8,
    pub(super) cluster: u32,
    pub(super) size: u32,
}

/// The root directory.
const ROOT: RawEntry = RawEntry {
    short: [0; 11],
    long: None,
    attributes: ATTR_DIRECTORY,
    case: 0,
    cluster: 0,
    size: 0,
};

impl RawEntry {
    /// Parses the 32 bytes of an entry, without its long name.
    pub(super) fn parse(bytes: &[u8], width: EntryWidth) -> Self {
        let high = if width == EntryWidth::ThirtyTwo {
            u16_at(bytes, 20)
        } else {
            0
        };
        let mut short = *bytes.first_chunk::<11>().unwrap_or(&[0; 11]);
        // 0x05 stands for the first character 0xE5, which marks a deleted entry.
        if short.first() == Some(&0x05) {
            short[0] = 0xe5;
        }
        Self {
            short,
            long: None,
            attributes: u8_at(bytes, 11),
            case: u8_at(bytes, 12),
            cluster: u32::from(high) << 16 | u32::from(u16_at(bytes, 26)),
            size: u32_at(bytes, 28),
        }
    }

    /// Whether it is the label of the file system.
    fn is_label(&self) -> bool {
        self.attributes & (ATTR_VOLUME_ID | ATTR_DIRECTORY) == ATTR_VOLUME_ID
    }

    /// The name as a label.
    pub(super) fn label(&self) -> Option<String> {
        padded(&self.short)
    }

    pub(super) fn is_dir(&self) -> bool {
        self.attributes & ATTR_DIRECTORY != 0
    }

    /// The checksum that the pieces of its long name have.
    fn checksum(&self) -> u8 {
        self.short
            .iter()
            .fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
    }

    /// The long name, else the short one with its extension.
    pub(super) fn name(&self) -> String {
        if let Some(long) = &self.long {
            return long.clone();
        }
        let part = |from, to, lower: bool| {
            let text = padded(slice(&self.short, from, to)).unwrap_or_default();
            if lower {
                text.to_ascii_lowercase()
            } else {
                text
            }
        };
        let (base, extension) = (
            part(0, 8, self.case & 8 != 0),
            part(8, 11, self.case & 16 != 0),
        );
        if extension.is_empty() {
            base
        } else {
            format!("{base}.{extension}")
        }
    }

    pub(super) fn entry(&self) -> Entry {
        let dir = self.is_dir();
        Entry {
            name: self.name(),
            kind: if dir {
                EntryKind::Directory
            } else {
                EntryKind::File
            },
            size: self.size.into(),
            target: None,
        }
    }
}

/// The pieces of a long name, which precede its entry, last piece first.
#[derive(Default)]
struct LongName {
    units: Vec<u16>,
    checksum: u8,
    next: u8,
}

impl LongName {
    /// Adds a piece; one that does not continue the name discards it.
    pub(super) fn piece(&mut self, bytes: &[u8]) {
        let order = u8_at(bytes, 0);
        let (number, checksum) = (order & 0x1f, u8_at(bytes, 13));
        if order & 0x40 != 0 {
            *self = Self {
                units: Vec::new(),
                checksum,
                next: number,
            };
        }
        if number == 0 || number != self.next || checksum != self.checksum {
            *self = Self::default();
            return;
        }
        let mut piece: Vec<u16> = [(1, 11), (14, 26), (28, 32)]
            .into_iter()
            .flat_map(|(from, to)| units(slice(bytes, from, to)))
            .collect();
        piece.append(&mut self.units);
        self.units = piece;
        self.next = number - 1;
    }

    /// The name, if it is complete and belongs to `raw`.
    pub(super) fn take(&mut self, raw: &RawEntry) -> Option<String> {
        let name = std::mem::take(self);
        let whole = !name.units.is_empty() && name.next == 0 && name.checksum == raw.checksum();
        whole.then(|| utf16(name.units))
    }
}

/// Bytes of the largest directory that the format allows: 65536 entries.
const MAX_DIR_BYTES: u64 = 2 << 20;
/// Bytes of a file that are read at once.
const PIECE_BYTES: u64 = 256 * 1024;

impl Fat {
    /// Visits the entries of `dir`; `visit` returns `false` to stop.
    fn entries(
        &self,
        dir: &RawEntry,
        visit: &mut dyn FnMut(RawEntry) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut long = LongName::default();
        let mut blocks = |block: &[u8]| {
            for bytes in block.chunks_exact(32) {
                match (u8_at(bytes, 0), u8_at(bytes, 11) & 0x3f) {
                    (0, _) => return Ok(false),
                    (0xe5, _) => long = LongName::default(),
                    (_, ATTR_LONG_NAME) => long.piece(bytes),
                    _ => {
                        let mut raw = RawEntry::parse(bytes, self.width);
                        raw.long = long.take(&raw);
                        if !visit(raw)? {
                            return Ok(false);
                        }
                    }
                }
            }
            Ok(true)
        };
        let first = match (dir.cluster, self.width) {
            (0, EntryWidth::ThirtyTwo) => self.root_cluster,
            (0, _) => {
                let (at, len) = self.root;
                blocks(&self.section.block(at, len)?)?;
                return Ok(());
            }
            (cluster, _) => cluster,
        };
        let max = MAX_DIR_BYTES.div_ceil(self.cluster);
        self.chain(first, max, &mut |position| {
            blocks(&self.section.block(position, self.cluster)?)
        })
    }

    /// The entry at `path`.
    fn resolve(&self, path: &str) -> Result<RawEntry, Error> {
        let mut stack = vec![ROOT];
        for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
            if name == ".." {
                stack.truncate(stack.len().saturating_sub(1).max(1));
                continue;
            }
            let dir = stack.last().cloned().unwrap_or(ROOT);
            if !dir.is_dir() {
                return Err(not_found(path));
            }
            let mut found = None;
            self.entries(&dir, &mut |raw| {
                let is_found = !raw.is_label() && is_same_name(&raw.name(), name);
                found = is_found.then_some(raw);
                Ok(found.is_none())
            })?;
            stack.push(found.ok_or_else(|| not_found(path))?);
        }
        Ok(stack.pop().unwrap_or(ROOT))
    }

    pub(super) fn kind(&self, path: &str) -> Result<EntryKind, Error> {
        Ok(self.resolve(path)?.entry().kind)
    }

    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        let at = self.resolve(path)?;
        if !at.is_dir() {
            return Ok(vec![at.entry()]);
        }
        let mut entries = Kept::default();
        self.entries(&at, &mut |raw| {
            let entry = raw.entry();
            if !raw.is_label() && !matches!(entry.name.as_str(), "." | "..") {
                let texts = entry.text_bytes();
                entries.push(entry, texts)?;
            }
            Ok(true)
        })?;
        Ok(entries.into_vec())
    }

    pub(super) fn copy(&self, path: &str, sink: ContentSink<'_>) -> Result<(), Error> {
        let raw = self.resolve(path)?;
        if raw.is_dir() {
            return Err(not_a_file(path));
        }
        let mut remaining = u64::from(raw.size);
        // A chain that leads back to itself would be read for as many clusters as the file system claims.
        if remaining > self.section.len() {
            return Err(Error::damaged(format!(
                "{path} claims to be longer ({remaining} bytes) than its file system"
            )));
        }
        if remaining == 0 {
            return Ok(());
        }
        let mut wanted = true;
        self.chain(raw.cluster, u64::MAX, &mut |position| {
            let mut at = position;
            let end = position + self.cluster.min(remaining);
            while wanted && at < end {
                let piece = PIECE_BYTES.min(end - at);
                wanted = sink(&self.section.block(at, piece)?)?;
                at += piece;
            }
            remaining -= end - position;
            Ok(wanted && remaining > 0)
        })?;
        if wanted && remaining > 0 {
            let what = format!("{path} ends {remaining} bytes before its length");
            return Err(Error::damaged(what));
        }
        Ok(())
    }

    pub(super) fn summary(&self) -> Result<Summary, Error> {
        let kind = match self.width {
            EntryWidth::Twelve => "fat12",
            EntryWidth::Sixteen => "fat16",
            EntryWidth::ThirtyTwo => "fat32",
        };
        let own = self.label.clone().filter(|label| label != "NO NAME");
        let serial = format!("{:04X}-{:04X}", self.serial >> 16, self.serial & 0xffff);
        Ok(Summary {
            kind: kind.to_owned(),
            label: self.root_label()?.or(own),
            uuid: Some(serial),
            size: Some(self.size),
            free: Some(self.free()? * self.cluster),
        })
    }

    /// The label in the root directory, which is current; the one in the boot sector is often that of the
    /// format.
    fn root_label(&self) -> Result<Option<String>, Error> {
        let mut label = None;
        self.entries(&ROOT, &mut |raw: RawEntry| {
            label = raw.is_label().then(|| raw.label()).flatten();
            Ok(label.is_none())
        })?;
        Ok(label)
    }
}

/// Whether two names are equal; case is ignored.
fn is_same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}
