//! FAT12, FAT16 and FAT32: the boot sector, the file allocation table and its chains.
//!
//! Considered: fatfs 0.3.6 (2023) needs write access, follows a looping chain forever, and counts clusters
//! unchecked.

use super::bytes::{has_magic, slice, u8_at, u16_at, u32_at};
use super::disk::Section;
use super::error::Error;
use super::unicode::padded;
use sdbuild_core::to_usize::to_usize;

/// The largest number of clusters that the 28 bits of a FAT32's entries can count.
const MAX_CLUSTERS: u32 = 0x0fff_fff5;
/// Bytes of the table that are read at once: whole entries of every width.
const PIECE_BYTES: u64 = 3 * 64 * 1024;

/// The number of bits in an entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryWidth {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

/// A FAT file system.
#[derive(Debug)]
pub struct Fat {
    pub(super) section: Section,
    pub(super) width: EntryWidth,
    /// Bytes in a cluster.
    pub(super) cluster: u64,
    pub(super) clusters: u32,
    table: u64,
    /// The position and the length in bytes of a root directory that is not a chain.
    pub(super) root: (u64, u64),
    /// The first cluster of a FAT32's root directory.
    pub(super) root_cluster: u32,
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
        let (mut free, mut cluster) = (0, 2);
        let end = self.clusters + 2;
        let length = self.entry_position(end - 1) + self.entry_bytes();
        let mut base = 0;
        while cluster < end {
            let piece = PIECE_BYTES.min(length - base);
            let block = self.section.block(self.table + base, piece)?;
            // 12-bit entries span bytes, but not pieces, whose length is a multiple of three.
            while cluster < end && self.entry_position(cluster) < base + PIECE_BYTES {
                free += u64::from(self.entry(cluster, &block, base) == 0);
                cluster += 1;
            }
            base += PIECE_BYTES;
        }
        Ok(free)
    }
}
