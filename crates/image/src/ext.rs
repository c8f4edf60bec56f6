//! ext2, ext3 and ext4: the superblock and the inodes.
//!
//! Considered: ext4-view 1.0.0 is well maintained, but the count in a hash tree makes it slice beyond a block,
//! and the length of a symbolic link makes it allocate what the link claims; both abort the process. A built
//! image needs little: no journal is replayed.

use super::bytes::{crc32c, slice, u16_at, u32_at};
use super::disk::Section;
use super::entry::{EntryKind, Summary};
use super::error::Error;
use super::unicode::{padded, uuid};

// Flags of features and inodes, by their names in Linux' fs/ext4/ext4.h.
const COMPAT_HAS_JOURNAL: u32 = 0x4;
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_CSUM_SEED: u32 = 0x2000;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
/// The incompatible features of ext3: `filetype`, `recover`, `journal_dev`, `meta_bg`.
const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x8 | INCOMPAT_META_BG;
/// The read-only compatible features of ext3: `sparse_super`, `large_file`, `btree_dir`.
const EXT3_RO_COMPAT: u32 = 0x7;
pub(super) const EXTENTS_FLAG: u32 = 0x8_0000;
pub(super) const INLINE_DATA_FLAG: u32 = 0x1000_0000;
const ENCRYPT_FLAG: u32 = 0x800;
/// The inode of the root directory.
pub(super) const ROOT_INODE: u32 = 2;

/// An ext file system.
#[derive(Debug)]
pub struct Ext {
    pub(super) section: Section,
    /// Bytes in a block.
    pub(super) block: u64,
    /// The number of blocks.
    pub(super) blocks: u64,
    free_blocks: u64,
    /// The first block of the first group.
    first_block: u64,
    groups: u64,
    inodes_per_group: u32,
    /// Bytes in an inode.
    inode_bytes: u64,
    /// Bytes in a group descriptor.
    descriptor_bytes: u64,
    incompatible: u32,
    /// The start value of checksums; `None` without the feature.
    checksum_seed: Option<u32>,
    kind: &'static str,
    label: Option<String>,
    uuid: String,
}

/// The fields of an inode that are read.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) mode: u16,
    pub(super) size: u64,
    pub(super) flags: u32,
    /// Extents, block numbers, or the target of a short symbolic link.
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
    /// The file system in `section`; `None` when it has none.
    pub(super) fn open(section: &Section) -> Result<Option<Self>, Error> {
        if section.len() < 2048 {
            return Ok(None);
        }
        let sb = section.block(1024, 1024)?;
        if u16_at(&sb, 0x38) != 0xef53 {
            return Ok(None);
        }
        let seed = checksum_seed(&sb)?;
        let ext = Self::parse(&sb, section, seed)
            .ok_or_else(|| Error::damaged("the ext superblock's sizes are inconsistent"))?;
        // A partition may claim all bytes that have a number, so the product decides, not the comparison alone.
        let size = ext.blocks.checked_mul(ext.block);
        if size.is_none_or(|size| size > section.requested_len()) {
            return Err(Error::damaged(format!(
                "the {} file system has {} blocks of {} bytes, its partition {} bytes",
                ext.kind,
                ext.blocks,
                ext.block,
                section.requested_len()
            )));
        }
        Ok(Some(ext))
    }

    fn parse(sb: &[u8], section: &Section, checksum_seed: Option<u32>) -> Option<Self> {
        let incompatible = u32_at(sb, 0x60);
        let wide = incompatible & INCOMPAT_64BIT != 0;
        let both = |low: usize, high: usize| {
            let high = if wide { u32_at(sb, high) } else { 0 };
            u64::from(high) << 32 | u64::from(u32_at(sb, low))
        };
        let block = 1024u64 << Some(u32_at(sb, 0x18)).filter(|log| *log <= 6)?;
        let (blocks, first_block) = (both(4, 0x150), u64::from(u32_at(sb, 0x14)));
        let per_group = Some(u64::from(u32_at(sb, 0x20))).filter(|n| *n != 0)?;
        // Revision 0 has inodes of 128 bytes.
        let inode_bytes = if u32_at(sb, 0x4c) == 0 {
            128
        } else {
            u64::from(u16_at(sb, 0x58))
        };
        let descriptor_bytes = if wide {
            u64::from(u16_at(sb, 0xfe))
        } else {
            32
        };
        let is_valid = (128..=block).contains(&inode_bytes)
            && inode_bytes.is_power_of_two()
            && (32..=block).contains(&descriptor_bytes)
            && descriptor_bytes.is_power_of_two();
        is_valid.then_some(())?;
        Some(Self {
            section: section.clone(),
            block,
            blocks,
            free_blocks: both(0x0c, 0x158).min(blocks),
            first_block,
            groups: blocks.checked_sub(first_block)?.div_ceil(per_group),
            inodes_per_group: Some(u32_at(sb, 0x28)).filter(|n| *n != 0)?,
            inode_bytes,
            descriptor_bytes,
            incompatible,
            checksum_seed,
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
            free: Some(self.free_blocks.saturating_mul(self.block)),
        }
    }

    /// The position of block `number` in bytes.
    pub(super) fn block_position(&self, number: u64) -> Result<u64, Error> {
        let position = number.checked_mul(self.block);
        position
            .filter(|_| number != 0 && number < self.blocks)
            .ok_or_else(|| {
                let what = format!("a reference to block {number}, which does not exist");
                Error::damaged(what)
            })
    }

    /// Inode `number`.
    pub(super) fn inode(&self, number: u32) -> Result<Inode, Error> {
        if self.incompatible & INCOMPAT_META_BG != 0 {
            let what = "ext4 file systems with meta_bg are not supported";
            return Err(Error::unsupported(what));
        }
        let bad = |what: &str| Error::damaged(format!("inode {number} {what}"));
        let index = number.checked_sub(1).ok_or_else(|| bad("does not exist"))?;
        let group = u64::from(index / self.inodes_per_group);
        if group >= self.groups {
            return Err(bad("does not exist"));
        }
        let descriptors = self
            .first_block
            .saturating_add(1)
            .saturating_mul(self.block);
        let at = descriptors.saturating_add(group.saturating_mul(self.descriptor_bytes));
        let descriptor = self.section.block(at, 64.min(self.descriptor_bytes))?;
        // Zero in a short descriptor, which does not have this field.
        let high = u64::from(u32_at(&descriptor, 0x28));
        let table = self.block_position(high << 32 | u64::from(u32_at(&descriptor, 8)))?;
        let offset = u64::from(index % self.inodes_per_group).checked_mul(self.inode_bytes);
        let position = offset.and_then(|offset| table.checked_add(offset));
        let position = position.ok_or_else(|| bad("does not exist"))?;
        let bytes = self.section.block(position, self.inode_bytes)?;
        if self
            .checksum_seed
            .is_some_and(|seed| !has_valid_checksum(&bytes, seed, number))
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
        if inode.flags & ENCRYPT_FLAG != 0 {
            return Err(Error::unsupported(format!("inode {number} is encrypted")));
        }
        Ok(inode)
    }
}

/// The start value of this file system's checksums, if it has any; the superblock's own one is verified.
fn checksum_seed(sb: &[u8]) -> Result<Option<u32>, Error> {
    if u32_at(sb, 0x64) & RO_COMPAT_METADATA_CSUM == 0 {
        return Ok(None);
    }
    if crc32c(u32::MAX, slice(sb, 0, 0x3fc)) != u32_at(sb, 0x3fc) {
        return Err(Error::damaged("the ext4 superblock's checksum is wrong"));
    }
    Ok(Some(if u32_at(sb, 0x60) & INCOMPAT_CSUM_SEED != 0 {
        u32_at(sb, 0x270)
    } else {
        crc32c(u32::MAX, slice(sb, 0x68, 0x78))
    }))
}

/// Whether the checksum in an inode is valid.
fn has_valid_checksum(inode: &[u8], seed: u32, number: u32) -> bool {
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
    if has(0x60, !EXT3_INCOMPAT) || has(0x64, !EXT3_RO_COMPAT) {
        "ext4"
    } else if has(0x5c, COMPAT_HAS_JOURNAL) {
        "ext3"
    } else {
        "ext2"
    }
}
