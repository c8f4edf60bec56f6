//! ext2, ext3 and ext4: the superblock and the inodes.
//!
//! Own code: of the crates there are, ext4-view 1.0.0 is kept well, but a hash tree's count makes it
//! slice beyond a block and a link's length makes it allocate what the link claims; both end the
//! process. What a built image needs is little: no journal is replayed.

use super::bytes::{crc32c, slice, u16_at, u32_at};
use super::disk::Section;
use super::entry::{EntryKind, Summary};
use super::error::Error;
use super::unicode::{padded, uuid};

const JOURNAL: u32 = 0x4;
const WIDE: u32 = 0x80;
const META_GROUPS: u32 = 0x10;
const SEED: u32 = 0x2000;
const CHECKSUMS: u32 = 0x400;
/// What ext3 knew: types in directories, recovery, another device's journal, groups of descriptors; and,
/// where it matters to writers alone, few superblocks, large files, directories as trees.
const OLD: u32 = 0x2 | 0x4 | 0x8 | META_GROUPS;
const OLD_WRITE: u32 = 0x7;
pub(super) const EXTENTS: u32 = 0x8_0000;
pub(super) const INLINE: u32 = 0x1000_0000;
const ENCRYPTED: u32 = 0x800;
/// The root directory.
pub(super) const ROOT: u32 = 2;

/// An ext file system.
#[derive(Debug)]
pub struct Ext {
    pub(super) section: Section,
    pub(super) block: u64,
    pub(super) blocks: u64,
    free: u64,
    first: u64,
    groups: u64,
    inodes_per_group: u32,
    inode: u64,
    descriptor: u64,
    incompatible: u32,
    checksums: Option<u32>,
    kind: &'static str,
    label: Option<String>,
    uuid: String,
}

/// An inode, reduced to what is read.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) mode: u16,
    pub(super) size: u64,
    pub(super) flags: u32,
    /// Extents, block numbers or a short link's target.
    pub(super) map: [u8; 60],
}

impl Inode {
    pub(super) fn kind(&self) -> EntryKind {
        match self.mode & 0xf000 {
            0x8000 => EntryKind::File,
            0x4000 => EntryKind::Directory,
            0xa000 => EntryKind::Link,
            _ => EntryKind::Special,
        }
    }
}

impl Ext {
    /// The file system in `section`; `None` when there is none.
    pub(super) fn open(section: &Section) -> Result<Option<Self>, Error> {
        if section.len() < 2048 {
            return Ok(None);
        }
        let sb = section.block(1024, 1024)?;
        if u16_at(&sb, 0x38) != 0xef53 {
            return Ok(None);
        }
        let checksums = checksum_seed(&sb)?;
        let ext = Self::parse(&sb, section, checksums)
            .ok_or_else(|| Error::damaged("the ext superblock's sizes make no sense"))?;
        let size = ext.blocks.saturating_mul(ext.block);
        if size > section.promised() {
            return Err(Error::damaged(format!(
                "the {} file system has {size} bytes, its partition {}",
                ext.kind,
                section.promised()
            )));
        }
        Ok(Some(ext))
    }

    fn parse(sb: &[u8], section: &Section, checksums: Option<u32>) -> Option<Self> {
        let incompatible = u32_at(sb, 0x60);
        let wide = incompatible & WIDE != 0;
        let both = |low: usize, high: usize| {
            let high = if wide { u32_at(sb, high) } else { 0 };
            u64::from(high) << 32 | u64::from(u32_at(sb, low))
        };
        let block = 1024u64 << Some(u32_at(sb, 0x18)).filter(|log| *log <= 6)?;
        let (blocks, first) = (both(4, 0x150), u64::from(u32_at(sb, 0x14)));
        let per_group = Some(u64::from(u32_at(sb, 0x20))).filter(|n| *n != 0)?;
        // Revision 0 had one size of inodes.
        let inode = if u32_at(sb, 0x4c) == 0 {
            128
        } else {
            u64::from(u16_at(sb, 0x58))
        };
        let descriptor = if wide {
            u64::from(u16_at(sb, 0xfe))
        } else {
            32
        };
        let sound = (128..=block).contains(&inode)
            && inode.is_power_of_two()
            && (32..=block).contains(&descriptor)
            && descriptor.is_power_of_two();
        sound.then_some(())?;
        Some(Self {
            section: section.clone(),
            block,
            blocks,
            free: both(0x0c, 0x158).min(blocks),
            first,
            groups: blocks.checked_sub(first)?.div_ceil(per_group),
            inodes_per_group: Some(u32_at(sb, 0x28)).filter(|n| *n != 0)?,
            inode,
            descriptor,
            incompatible,
            checksums,
            kind: kind(sb),
            label: padded(slice(sb, 0x78, 0x88)),
            uuid: uuid(slice(sb, 0x68, 0x78)),
        })
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            kind: self.kind.to_owned(),
            label: self.label.clone(),
            uuid: Some(self.uuid.clone()),
            size: Some(self.blocks.saturating_mul(self.block)),
            free: Some(self.free.saturating_mul(self.block)),
        }
    }

    /// Where block `number` begins.
    pub(super) fn place(&self, number: u64) -> Result<u64, Error> {
        if number == 0 || number >= self.blocks {
            let what = format!("block {number} is named, which does not exist");
            return Err(Error::damaged(what));
        }
        Ok(number * self.block)
    }

    /// Inode `number`.
    pub(super) fn inode(&self, number: u32) -> Result<Inode, Error> {
        if self.incompatible & META_GROUPS != 0 {
            let what = "files of an ext4 file system with meta_bg are not read";
            return Err(Error::unsupported(what));
        }
        let bad = |what: &str| Error::damaged(format!("inode {number} {what}"));
        let index = number.checked_sub(1).ok_or_else(|| bad("does not exist"))?;
        let group = u64::from(index / self.inodes_per_group);
        if group >= self.groups {
            return Err(bad("does not exist"));
        }
        let descriptors = self.first.saturating_add(1).saturating_mul(self.block);
        let at = descriptors.saturating_add(group * self.descriptor);
        let descriptor = self
            .section
            .block(at, 64.min(usize::try_from(self.descriptor).unwrap_or(64)))?;
        // Beyond a narrow descriptor this reads as zero.
        let high = u64::from(u32_at(&descriptor, 0x28));
        let table = self.place(high << 32 | u64::from(u32_at(&descriptor, 8)))?;
        let place = table + u64::from(index % self.inodes_per_group) * self.inode;
        let bytes = self
            .section
            .block(place, usize::try_from(self.inode).unwrap_or(128))?;
        if self
            .checksums
            .is_some_and(|seed| !is_sound(&bytes, seed, number))
        {
            return Err(bad("has a wrong checksum"));
        }
        let inode = Inode {
            mode: u16_at(&bytes, 0),
            size: u64::from(u32_at(&bytes, 0x6c)) << 32 | u64::from(u32_at(&bytes, 4)),
            flags: u32_at(&bytes, 0x20),
            map: bytes
                .get(0x28..)
                .and_then(|map| map.first_chunk().copied())
                .unwrap_or([0; 60]),
        };
        if inode.flags & ENCRYPTED != 0 {
            return Err(Error::unsupported(format!("inode {number} is encrypted")));
        }
        Ok(inode)
    }
}

/// What checksums of this file system begin with, if it has any; the superblock's own is verified.
fn checksum_seed(sb: &[u8]) -> Result<Option<u32>, Error> {
    if u32_at(sb, 0x64) & CHECKSUMS == 0 {
        return Ok(None);
    }
    if crc32c(u32::MAX, slice(sb, 0, 0x3fc)) != u32_at(sb, 0x3fc) {
        return Err(Error::damaged("the ext4 superblock's checksum is wrong"));
    }
    Ok(Some(if u32_at(sb, 0x60) & SEED != 0 {
        u32_at(sb, 0x270)
    } else {
        crc32c(u32::MAX, slice(sb, 0x68, 0x78))
    }))
}

/// Whether the checksum in an inode is right.
fn is_sound(inode: &[u8], seed: u32, number: u32) -> bool {
    let has_high = inode.len() > 128 && u16_at(inode, 0x80) >= 4;
    let mut blank = inode.to_vec();
    let fields: &[_] = if has_high { &[0x7c, 0x82] } else { &[0x7c] };
    for at in fields {
        if let Some(field) = blank.get_mut(*at..at + 2) {
            field.fill(0);
        }
    }
    let start = crc32c(seed, &number.to_le_bytes());
    let crc = crc32c(crc32c(start, slice(inode, 0x64, 0x68)), &blank);
    let high = if has_high { u16_at(inode, 0x82) } else { 0 };
    let mask = if has_high { u32::MAX } else { 0xffff };
    crc & mask == u32::from(high) << 16 | u32::from(u16_at(inode, 0x7c))
}

fn kind(sb: &[u8]) -> &'static str {
    let has = |at, bits| u32_at(sb, at) & bits != 0;
    if has(0x60, !OLD) || has(0x64, !OLD_WRITE) {
        "ext4"
    } else if has(0x5c, JOURNAL) {
        "ext3"
    } else {
        "ext2"
    }
}
