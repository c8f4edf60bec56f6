//! ext2, ext3 and ext4: the superblock, inodes, extent trees and block maps, directories, symbolic links and files.
//!
//! Read without ext4-view 1.0.0: a hash tree's count makes it slice beyond a block, and it allocates the length that a symbolic link claims. A built
//! image needs little: no journal is replayed.

mod skeleton;

use std::collections::VecDeque;

use super::bytes::{crc32c, padded, slice, u8_at, u16_at, u32_at, uuid};
use super::disk::Section;
use super::error::Error;
use super::files::{ContentSink, Entry, EntryKind, Summary, not_a_file, not_found};
use sdbuild_core::to_usize::to_usize;
use sdbuild_core::untrusted::Kept;

// Flags of features and inodes, by their names in Linux' fs/ext4/ext4.h.
const COMPAT_HAS_JOURNAL: u32 = 0x4;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_CSUM_SEED: u32 = 0x2000;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
/// The incompatible features of ext3: `filetype`, `recover`, `journal_dev`, `meta_bg`.
const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x8 | INCOMPAT_META_BG;
/// The read-only compatible features of ext3: `sparse_super`, `large_file`, `btree_dir`.
const EXT3_RO_COMPAT: u32 = 0x7;
const EXTENTS_FLAG: u32 = 0x8_0000;
const INLINE_DATA_FLAG: u32 = 0x1000_0000;
const ENCRYPT_FLAG: u32 = 0x800;
/// Where a descriptor has the two halves of the first block of the inode table.
const INODE_TABLE: [usize; 2] = [8, 0x28];
/// The inode of the root directory.
const ROOT_INODE: u32 = 2;

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
    blocks_per_group: u64,
    inodes_per_group: u32,
    free_inodes: u32,
    /// Bytes in an inode.
    inode_bytes: u64,
    /// Bytes in a group descriptor.
    descriptor_bytes: u64,
    incompatible: u32,
    read_only_compatible: u32,
    /// The start value of checksums; `None` without the feature.
    checksum_seed: Option<u32>,
    kind: &'static str,
    label: Option<String>,
    uuid: String,
}

/// The fields of an inode that are read.
#[derive(Clone, Debug)]
struct Inode {
    pub(super) mode: u16,
    pub(super) size: u64,
    pub(super) flags: u32,
    /// The numbers of its user and its group.
    owner: (u32, u32),
    /// The names that lead to it; 0 for an inode that is free.
    links: u16,
    /// The block with its extended attributes; 0 without one.
    attributes: u64,
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
            blocks_per_group: per_group,
            inodes_per_group: Some(u32_at(sb, 0x28)).filter(|n| *n != 0)?,
            free_inodes: u32_at(sb, 0x10),
            inode_bytes,
            descriptor_bytes,
            incompatible,
            read_only_compatible: u32_at(sb, 0x64),
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
    fn block_position(&self, number: u64) -> Result<u64, Error> {
        let position = number.checked_mul(self.block);
        position
            .filter(|_| number != 0 && number < self.blocks)
            .ok_or_else(|| {
                let what = format!("a reference to block {number}, which does not exist");
                Error::damaged(what)
            })
    }

    /// The descriptor of group `group`.
    fn descriptor(&self, group: u64) -> Result<Vec<u8>, Error> {
        if self.incompatible & INCOMPAT_META_BG != 0 {
            let what = "ext4 file systems with meta_bg are not supported";
            return Err(Error::unsupported(what));
        }
        let descriptors = self
            .first_block
            .saturating_add(1)
            .saturating_mul(self.block);
        let at = descriptors.saturating_add(group.saturating_mul(self.descriptor_bytes));
        self.section.block(at, 64.min(self.descriptor_bytes))
    }

    /// The position of the block whose number a descriptor has in two fields.
    fn described_position(&self, descriptor: &[u8], [low, high]: [usize; 2]) -> Result<u64, Error> {
        // Zero in a short descriptor, which does not have this field.
        let high = u64::from(u32_at(descriptor, high));
        self.block_position(high << 32 | u64::from(u32_at(descriptor, low)))
    }

    /// The position of inode `number`.
    fn inode_position(&self, number: u32) -> Result<u64, Error> {
        let missing = || Error::damaged(format!("inode {number} does not exist"));
        let index = number.checked_sub(1).ok_or_else(missing)?;
        let group = u64::from(index / self.inodes_per_group);
        if group >= self.groups {
            return Err(missing());
        }
        let table = self.described_position(&self.descriptor(group)?, INODE_TABLE)?;
        let offset = u64::from(index % self.inodes_per_group).checked_mul(self.inode_bytes);
        let position = offset.and_then(|offset| table.checked_add(offset));
        position.ok_or_else(missing)
    }

    /// Inode `number`.
    fn inode(&self, number: u32) -> Result<Inode, Error> {
        let bytes = self
            .section
            .block(self.inode_position(number)?, self.inode_bytes)?;
        if self
            .checksum_seed
            .is_some_and(|seed| !has_valid_checksum(&bytes, seed, number))
        {
            let what = format!("inode {number} has a wrong checksum");
            return Err(Error::damaged(what));
        }
        let inode = Inode {
            mode: u16_at(&bytes, 0),
            size: u64::from(u32_at(&bytes, 0x6c)) << 32 | u64::from(u32_at(&bytes, 4)),
            flags: u32_at(&bytes, 0x20),
            owner: (
                u32::from(u16_at(&bytes, 0x78)) << 16 | u32::from(u16_at(&bytes, 2)),
                u32::from(u16_at(&bytes, 0x7a)) << 16 | u32::from(u16_at(&bytes, 0x18)),
            ),
            links: u16_at(&bytes, 0x1a),
            attributes: u64::from(u16_at(&bytes, 0x76)) << 32 | u64::from(u32_at(&bytes, 0x68)),
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

/// The depth of the deepest extent tree, as in Linux.
const MAX_EXTENT_DEPTH: u16 = 5;
/// Bytes that are read at once.
const PIECE_BYTES: u64 = 256 * 1024;

/// Consecutive blocks of a file.
struct BlockRun {
    /// The first block; `None` for a hole.
    start: Option<u64>,
    blocks: u64,
}

impl Ext {
    /// The run that begins with block `index` of a file.
    fn run(&self, inode: &Inode, index: u64) -> Result<BlockRun, Error> {
        let index = u32::try_from(index).map_err(|_| Error::damaged("a file is too long"))?;
        if inode.flags & INLINE_DATA_FLAG != 0 {
            return Err(Error::unsupported("content inside inodes is not read"));
        }
        if inode.flags & EXTENTS_FLAG != 0 {
            return self.extent(inode.map.to_vec(), index);
        }
        let start = self.mapped(inode, index)?;
        Ok(BlockRun { start, blocks: 1 })
    }

    /// Descends an extent tree. Every level must have a smaller depth, so the descent ends.
    fn extent(&self, root: Vec<u8>, index: u32) -> Result<BlockRun, Error> {
        let (mut node, mut bound) = (root, u64::from(u32::MAX) + 1);
        let mut depth = u16_at(&node, 6);
        loop {
            let count = usize::from(u16_at(&node, 2));
            let is_valid = u16_at(&node, 0) == 0xf30a && u16_at(&node, 6) == depth;
            if !is_valid || depth > MAX_EXTENT_DEPTH || 12 + count * 12 > node.len() {
                return Err(Error::damaged("an extent tree is damaged"));
            }
            let entries = || slice(&node, 12, 12 + count * 12).chunks_exact(12);
            let after = entries()
                .map(|e| u32_at(e, 0))
                .filter(|first| *first > index)
                .min();
            bound = bound.min(after.map_or(bound, u64::from));
            let entry = entries()
                .filter(|e| u32_at(e, 0) <= index)
                .max_by_key(|e| u32_at(e, 0));
            let hole = bound - u64::from(index);
            let Some(entry) = entry else {
                return Ok(BlockRun {
                    start: None,
                    blocks: hole,
                });
            };
            if depth == 0 {
                return Ok(leaf(entry, index, hole));
            }
            let child = u64::from(u16_at(entry, 8)) << 32 | u64::from(u32_at(entry, 4));
            node = self
                .section
                .block(self.block_position(child)?, self.block)?;
            depth -= 1;
        }
    }

    /// A block of a file with a block map: 12 direct blocks, then one, two and three levels of indirect blocks.
    fn mapped(&self, inode: &Inode, index: u32) -> Result<Option<u64>, Error> {
        let (mut rest, per) = (u64::from(index), self.block / 4);
        if rest < 12 {
            return Ok(present(u32_at(&inode.map, to_usize(rest) * 4)));
        }
        rest -= 12;
        for level in 1..=3u32 {
            let span = per.pow(level);
            if rest >= span {
                rest -= span;
                continue;
            }
            let mut block = present(u32_at(&inode.map, 44 + 4 * level as usize));
            for step in (0..level).rev() {
                let Some(number) = block else { return Ok(None) };
                let slot = rest / per.pow(step) % per;
                let at = self.block_position(number)?.saturating_add(slot * 4);
                block = present(u32_at(&self.section.block(at, 4)?, 0));
            }
            return Ok(block);
        }
        Err(Error::damaged("a file is too long"))
    }

    /// Passes the first `length` bytes of an inode's content to `sink`.
    fn content(&self, inode: &Inode, length: u64, sink: ContentSink<'_>) -> Result<(), Error> {
        let mut at = 0;
        while at < length {
            let run = self.run(inode, at / self.block)?;
            let end = at
                .saturating_add(run.blocks.max(1).saturating_mul(self.block))
                .min(length);
            let start = at;
            while at < end {
                let piece = PIECE_BYTES.min(end - at);
                let block = match run.start {
                    None => {
                        self.section.spend(piece)?;
                        vec![0; to_usize(piece)]
                    }
                    Some(first) => {
                        let position = self.block_position(first)?.saturating_add(at - start);
                        self.section.block(position, piece)?
                    }
                };
                if !sink(&block)? {
                    return Ok(());
                }
                at += piece;
            }
        }
        Ok(())
    }
}

fn leaf(entry: &[u8], index: u32, hole: u64) -> BlockRun {
    let (length, into) = (u16_at(entry, 4), u64::from(index - u32_at(entry, 0)));
    // A length above 32768 marks blocks that are allocated and not yet written: they read as zeros.
    let (blocks, written) = match length {
        0..=32768 => (u64::from(length), true),
        _ => (u64::from(length) - 32768, false),
    };
    let Some(left) = blocks.checked_sub(into).filter(|left| *left > 0) else {
        return BlockRun {
            start: None,
            blocks: hole,
        };
    };
    let first = u64::from(u16_at(entry, 6)) << 32 | u64::from(u32_at(entry, 8));
    BlockRun {
        start: written.then_some(first + into),
        blocks: left,
    }
}

fn present(block: u32) -> Option<u64> {
    (block != 0).then_some(block.into())
}

/// Bytes of the largest directory that is read; a Nix store with 50 000 paths has 5 MiB.
const MAX_DIR_BYTES: u64 = 32 << 20;
/// Bytes of the longest target of a symbolic link, as in Linux.
const MAX_LINK_BYTES: u64 = 4096;
/// Symbolic links that are followed on one path, as in Linux.
const MAX_LINKS: usize = 40;
/// Components of one path, those of links included: as many as a path of `PATH_MAX` bytes could have.
const MAX_COMPONENTS: usize = 4096;

/// Receives the inode number and the name of a directory's entry; returns `false` to stop.
type EntryVisitor<'a> = &'a mut dyn FnMut(u32, &[u8]) -> Result<bool, Error>;

impl Ext {
    /// Visits the entries of a directory.
    fn entries(&self, dir: &Inode, visit: EntryVisitor<'_>) -> Result<(), Error> {
        let damaged = || Error::damaged("a directory is damaged");
        if dir.size > MAX_DIR_BYTES || !dir.size.is_multiple_of(self.block) {
            return Err(damaged());
        }
        let size = to_usize(self.block);
        // Pieces are whole blocks: both lengths are powers of two, and a piece is not smaller than a block.
        self.content(dir, dir.size, &mut |piece| {
            for mut rest in piece.chunks_exact(size) {
                while !rest.is_empty() {
                    let length = match u16_at(rest, 4) {
                        // The length 64 KiB of an entry that fills its block does not fit into 16 bits.
                        0 | u16::MAX if size == 1 << 16 => size,
                        length => usize::from(length),
                    };
                    let name = usize::from(u8_at(rest, 6));
                    if length < 8 + name || length > rest.len() {
                        return Err(damaged());
                    }
                    let number = u32_at(rest, 0);
                    if number != 0 && name != 0 && !visit(number, slice(rest, 8, 8 + name))? {
                        return Ok(false);
                    }
                    rest = rest.get(length..).unwrap_or_default();
                }
            }
            Ok(true)
        })
    }

    /// The target of a symbolic link.
    fn target(&self, link: &Inode) -> Result<Vec<u8>, Error> {
        if link.size > MAX_LINK_BYTES {
            return Err(Error::damaged("the target of a symbolic link is too long"));
        }
        let length = to_usize(link.size);
        if length < 60 && link.flags & EXTENTS_FLAG == 0 {
            return Ok(slice(&link.map, 0, length).to_vec());
        }
        let mut target = Vec::new();
        self.content(link, link.size, &mut |piece| {
            target.extend_from_slice(piece);
            Ok(true)
        })?;
        Ok(target)
    }

    /// The inode number of `name` in `dir`.
    fn lookup(&self, dir: &Inode, name: &[u8]) -> Result<Option<u32>, Error> {
        let mut found = None;
        self.entries(dir, &mut |number, own| {
            found = (own == name).then_some(number);
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// The inode at `path`; symbolic links are followed within the file system.
    fn resolve(&self, path: &str) -> Result<Inode, Error> {
        let mut pending: VecDeque<Vec<u8>> = components(path.as_bytes()).collect();
        let mut stack = vec![self.inode(ROOT_INODE)?];
        let (mut links, mut count) = (0, 0);
        while let Some(name) = pending.pop_front() {
            count += 1;
            if name == b".." {
                stack.truncate(stack.len().saturating_sub(1).max(1));
                continue;
            }
            let dir = stack.last().filter(|i| i.kind() == EntryKind::Directory);
            let number = match dir {
                Some(dir) => self.lookup(dir, &name)?,
                None => None,
            };
            let inode = self.inode(number.ok_or_else(|| not_found(path))?)?;
            if inode.kind() != EntryKind::Link {
                stack.push(inode);
                continue;
            }
            links += 1;
            if links > MAX_LINKS || count + pending.len() > MAX_COMPONENTS {
                return Err(Error::refused(format!(
                    "{path} has too many symbolic links"
                )));
            }
            let target = self.target(&inode)?;
            if target.starts_with(b"/") {
                stack.truncate(1);
            }
            for component in components(&target).collect::<Vec<_>>().into_iter().rev() {
                pending.push_front(component);
            }
        }
        stack.pop().ok_or_else(|| not_found(path))
    }

    pub(super) fn kind(&self, path: &str) -> Result<EntryKind, Error> {
        Ok(self.resolve(path)?.kind())
    }

    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        let at = self.resolve(path)?;
        if at.kind() != EntryKind::Directory {
            let name = path.rsplit('/').next().unwrap_or(path);
            return Ok(vec![self.entry(name.as_bytes(), &at)?]);
        }
        let mut found = Kept::default();
        self.entries(&at, &mut |number, name| {
            if !matches!(name, b"." | b"..") {
                found.push((number, name.to_vec()), name.len())?;
            }
            Ok(true)
        })?;
        let mut entries = Kept::default();
        for (number, name) in found.iter() {
            let entry = self.entry(name, &self.inode(*number)?)?;
            let texts = entry.text_bytes();
            entries.push(entry, texts)?;
        }
        Ok(entries.into_vec())
    }

    fn entry(&self, name: &[u8], inode: &Inode) -> Result<Entry, Error> {
        let kind = inode.kind();
        let target = match kind {
            EntryKind::Link => Some(self.target(inode)?),
            EntryKind::File | EntryKind::Directory | EntryKind::Special => None,
        };
        Ok(Entry {
            name: String::from_utf8_lossy(name).into_owned(),
            kind,
            size: inode.size,
            target: target.map(|t| String::from_utf8_lossy(&t).into_owned()),
        })
    }

    pub(super) fn copy(&self, path: &str, sink: ContentSink<'_>) -> Result<(), Error> {
        let inode = self.resolve(path)?;
        if inode.kind() != EntryKind::File {
            return Err(not_a_file(path));
        }
        // Holes take no space on the disk, so only this bounds the output.
        if inode.size > self.section.len() {
            return Err(Error::unsupported(format!(
                "{path} claims to be longer ({} bytes) than its file system",
                inode.size
            )));
        }
        self.content(&inode, inode.size, sink)
    }
}

/// The components of a path, without empty ones and `.`.
fn components(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    path.split(|b| *b == b'/')
        .filter(|component| !matches!(*component, b"" | b"."))
        .map(<[u8]>::to_vec)
}
