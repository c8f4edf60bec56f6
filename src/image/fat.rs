//! FAT12, FAT16 and FAT32: the first sector, the table and its chains.
//!
//! Own code, since the crate there is (fatfs 0.3.6, of 2023) wants to write, follows a chain that
//! leads back into itself for ever, and counts clusters unchecked.

use super::bytes::{slice, stands, u8_at, u16_at, u32_at};
use super::disk::Section;
use super::error::Error;
use super::unicode::padded;

/// The table is counted in pieces of this many bytes: whole entries of every width.
const PIECE: u64 = 3 * 64 * 1024;

/// Bits of an entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

/// A FAT file system.
#[derive(Debug)]
pub struct Fat {
    pub(super) section: Section,
    pub(super) width: Width,
    /// Bytes of a cluster.
    pub(super) cluster: u64,
    pub(super) clusters: u32,
    table: u64,
    /// Where the root directory is, and how long, when it is no chain.
    pub(super) root: (u64, u64),
    /// Where a FAT32's root directory begins.
    pub(super) root_cluster: u32,
    data: u64,
    pub(super) size: u64,
    pub(super) serial: u32,
    pub(super) label: Option<String>,
}

/// The numbers in the first sector.
struct Numbers {
    sector: u64,
    cluster: u64,
    reserved: u64,
    tables: u64,
    roots: u64,
    sectors: u64,
    table: u64,
}

fn numbers(boot: &[u8]) -> Numbers {
    let either = |short: u16, long: u32| if short == 0 { long } else { short.into() };
    Numbers {
        sector: u16_at(boot, 11).into(),
        cluster: u8_at(boot, 13).into(),
        reserved: u16_at(boot, 14).into(),
        tables: u8_at(boot, 16).into(),
        roots: u16_at(boot, 17).into(),
        sectors: either(u16_at(boot, 19), u32_at(boot, 32)).into(),
        table: either(u16_at(boot, 22), u32_at(boot, 36)).into(),
    }
}

/// Whether a first sector is a FAT's: its jump, and numbers that make sense together.
pub(super) fn looks_like_one(boot: &[u8]) -> bool {
    let n = numbers(boot);
    matches!(u8_at(boot, 0), 0xeb | 0xe9)
        && stands(boot, 510, &[0x55, 0xaa])
        && matches!(n.sector, 512 | 1024 | 2048 | 4096)
        && n.cluster.is_power_of_two()
        && n.reserved > 0
        && matches!(n.tables, 1 | 2)
        && matches!(u8_at(boot, 21), 0xf0 | 0xf8..=0xff)
        && n.table > 0
}

impl Fat {
    /// The file system in `section`; `None` when there is none.
    pub(super) fn open(section: &Section) -> Result<Option<Self>, Error> {
        if section.len() < 512 {
            return Ok(None);
        }
        let boot = section.block(0, 512)?;
        if !looks_like_one(&boot) {
            return Ok(None);
        }
        let n = numbers(&boot);
        let root = (n.reserved + n.tables * n.table) * n.sector;
        let root_size = (n.roots * 32).next_multiple_of(n.sector);
        let (data, size) = (root + root_size, n.sectors * n.sector);
        let cluster = n.cluster * n.sector;
        let clusters = size.checked_sub(data).map(|bytes| bytes / cluster);
        let Some(clusters) = clusters.and_then(|c| u32::try_from(c).ok()) else {
            return Err(Error::damaged("the FAT's sizes contradict each other"));
        };
        let width = match clusters {
            _ if u16_at(&boot, 22) == 0 && n.roots == 0 => Width::ThirtyTwo,
            0..4085 => Width::Twelve,
            _ => Width::Sixteen,
        };
        let fields = if width == Width::ThirtyTwo { 67 } else { 39 };
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
        fat.check(n.table * n.sector)?;
        Ok(Some(fat))
    }

    /// Whether the table has an entry for each cluster and everything is inside of the partition.
    fn check(&self, table: u64) -> Result<(), Error> {
        if self.entry_at(self.clusters.saturating_add(2)) > table {
            return Err(Error::damaged("the FAT has fewer entries than clusters"));
        }
        if self.size > self.section.promised() {
            return Err(Error::damaged(format!(
                "the FAT file system has {} bytes, its partition {}",
                self.size,
                self.section.promised()
            )));
        }
        Ok(())
    }

    /// Where the entry of `cluster` begins within the table.
    fn entry_at(&self, cluster: u32) -> u64 {
        let cluster = u64::from(cluster);
        match self.width {
            Width::Twelve => cluster * 3 / 2,
            Width::Sixteen => cluster * 2,
            Width::ThirtyTwo => cluster * 4,
        }
    }

    /// The bytes that hold an entry.
    fn wide(&self) -> u64 {
        if self.width == Width::ThirtyTwo { 4 } else { 2 }
    }

    /// The number in the table for `cluster`, out of the block that begins at byte `base` of it.
    fn entry(&self, cluster: u32, (block, base): (&[u8], u64)) -> u32 {
        let at = usize::try_from(self.entry_at(cluster) - base).unwrap_or(usize::MAX - 4);
        match self.width {
            Width::Twelve if cluster % 2 == 1 => u32::from(u16_at(block, at) >> 4),
            Width::Twelve => u32::from(u16_at(block, at) & 0xfff),
            Width::Sixteen => u16_at(block, at).into(),
            Width::ThirtyTwo => u32_at(block, at) & 0x0fff_ffff,
        }
    }

    /// Where `cluster` lies in the section.
    fn place(&self, cluster: u32) -> Result<u64, Error> {
        if cluster < 2 || cluster - 2 >= self.clusters {
            let what = format!("the FAT leads to cluster {cluster}, which does not exist");
            return Err(Error::damaged(what));
        }
        Ok(self.data + u64::from(cluster - 2) * self.cluster)
    }

    /// The cluster after `cluster`; `None` at the end of the chain.
    fn next(&self, cluster: u32) -> Result<Option<u32>, Error> {
        let base = self.entry_at(cluster);
        let wide = usize::try_from(self.wide()).unwrap_or(4);
        let block = self.section.block(self.table + base, wide)?;
        let next = self.entry(cluster, (&block, base));
        let end = match self.width {
            Width::Twelve => 0xff8,
            Width::Sixteen => 0xfff8,
            Width::ThirtyTwo => 0x0fff_fff8,
        };
        Ok((next < end).then_some(next))
    }

    /// Visits the places of a chain's clusters, `most` at the most; `false` from `visit` ends it.
    pub(super) fn chain(
        &self,
        (first, most): (u32, u64),
        visit: &mut dyn FnMut(u64) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let (mut cluster, mut left) = (first, most.min(self.clusters.into()));
        loop {
            let place = self.place(cluster)?;
            left = left
                .checked_sub(1)
                .ok_or_else(|| Error::damaged("a chain in the FAT is longer than it can be"))?;
            if !visit(place)? {
                return Ok(());
            }
            match self.next(cluster)? {
                Some(next) => cluster = next,
                None => return Ok(()),
            }
        }
    }

    /// How many clusters are free: the table is counted, a FAT32's own note of it is often stale.
    pub(super) fn free(&self) -> Result<u64, Error> {
        let (mut free, mut cluster) = (0, 2);
        let end = self.clusters + 2;
        let length = self.entry_at(end - 1) + self.wide();
        let mut base = 0;
        while cluster < end {
            let piece = PIECE.min(length - base);
            let block = self
                .section
                .block(self.table + base, usize::try_from(piece).unwrap_or(0))?;
            // 12-bit entries lie across bytes, never across pieces: those are multiples of three.
            while cluster < end && self.entry_at(cluster) < base + PIECE {
                free += u64::from(self.entry(cluster, (&block, base)) == 0);
                cluster += 1;
            }
            base += PIECE;
        }
        Ok(free)
    }
}
