//! What `debugfs` reads of an ext4 file system to put files into it: nothing of the content of files.

use std::iter;
use std::ops::Range;

use sdbuild_core::to_usize::to_usize;
use sdbuild_core::untrusted::Kept;

use super::{
    EXTENTS_FLAG, Ext, INCOMPAT_RECOVER, INODE_TABLE, Inode, MAX_EXTENT_DEPTH, ROOT_INODE,
    components,
};
use crate::bytes::{slice, u8_at, u16_at, u32_at};
use crate::error::Error;
use crate::files::{EntryKind, Identity, Permissions, Room, not_found};
use crate::ranges::Ranges;

/// Where a descriptor has the two halves of the block of each bitmap.
const BLOCK_BITMAP: [usize; 2] = [0, 0x20];
const INODE_BITMAP: [usize; 2] = [4, 0x24];
/// Where a descriptor has its flags, and that by which its bitmap of inodes was never written: all are free.
const FLAGS: usize = 0x12;
const INODE_UNINIT: u16 = 1;
/// The read-only compatible feature by which only some groups have copies of the superblock.
const SPARSE_SUPER: u32 = 0x1;
/// Read-only compatible features whose books are in inodes that are not read: `quota`, `bigalloc`, `project`.
const BOOKS_ELSEWHERE: u32 = 0x100 | 0x200 | 0x2000;

impl Inode {
    fn permissions(&self) -> Permissions {
        Permissions {
            kind: self.kind(),
            mode: u32::from(self.mode) & 0o7777,
            owner: self.owner,
        }
    }
}

impl Ext {
    /// The ranges of the section that are read to make or to replace what is at `paths`, in which symbolic links are not followed.
    pub(crate) fn ranges(&self, paths: &[String]) -> Result<Vec<Range<u64>>, Error> {
        if self.kind != "ext4" || self.read_only_compatible & BOOKS_ELSEWHERE != 0 {
            let what = format!("files cannot be put into this {} file system", self.kind);
            return Err(Error::unsupported(what));
        }
        if self.incompatible & INCOMPAT_RECOVER != 0 {
            let what = "its journal has changes that were not written yet: it was in use when it was copied";
            return Err(Error::refused(what));
        }
        let most = self.block.saturating_mul(8);
        if self.blocks_per_group > most || u64::from(self.inodes_per_group) > most {
            let what = "a group of the ext4 file system has more than its bitmaps";
            return Err(Error::damaged(what));
        }
        let descriptors = self.groups.saturating_mul(self.descriptor_bytes);
        let start = self.first_block.saturating_add(1);
        let start = start.saturating_mul(self.block).saturating_add(descriptors);
        let mut ranges = Ranges::default();
        ranges.add(0..start)?;
        for group in 0..self.groups {
            let descriptor = self.descriptor(group)?;
            // Of the copy of the superblock that some groups have, the tools write only a part.
            if self.has_copy(group) {
                let first = group.saturating_mul(self.blocks_per_group);
                let first = first.saturating_add(self.first_block);
                ranges.add(self.of_block(first.saturating_mul(self.block)))?;
            }
            ranges.add(self.of_block(self.described_position(&descriptor, BLOCK_BITMAP)?))?;
            self.add_free_inodes(&descriptor, &mut ranges)?;
        }
        for path in paths {
            if let Some(number) = self.number(path)? {
                let inode = self.inode(number)?;
                let at = self.inode_position(number)?;
                ranges.add(self.of_block(at - at % self.block))?;
                self.add_inode(&inode, &mut ranges)?;
            }
        }
        Ok(ranges.into_vec())
    }

    /// Adds the bitmap of a group's inodes, and the blocks with those that are free.
    fn add_free_inodes(&self, descriptor: &[u8], ranges: &mut Ranges) -> Result<(), Error> {
        let at = self.described_position(descriptor, INODE_BITMAP)?;
        ranges.add(self.of_block(at))?;
        let bitmap = self.section.block(at, self.block)?;
        let all_free = u16_at(descriptor, FLAGS) & INODE_UNINIT != 0;
        let is_free = |inode: u64| u8_at(&bitmap, to_usize(inode / 8)) >> (inode % 8) & 1 == 0;
        let inodes = u64::from(self.inodes_per_group);
        self.section.spend(inodes)?;
        let mut block = self.of_block(self.described_position(descriptor, INODE_TABLE)?);
        let in_block = self.block / self.inode_bytes;
        for first in (0..inodes).step_by(to_usize(in_block)) {
            if all_free || (first..inodes.min(first + in_block)).any(is_free) {
                ranges.add(block.clone())?;
            }
            block = self.of_block(block.end);
        }
        Ok(())
    }

    /// Whether `group` has a copy of the superblock.
    fn has_copy(&self, group: u64) -> bool {
        let is_power_of = |base: u64| {
            let mut powers = iter::successors(Some(base), |power| power.checked_mul(base));
            powers.find(|power| *power >= group) == Some(group)
        };
        self.read_only_compatible & SPARSE_SUPER == 0
            || group <= 1
            || [3, 5, 7].into_iter().any(is_power_of)
    }

    fn of_block(&self, position: u64) -> Range<u64> {
        position..position.saturating_add(self.block)
    }

    /// Adds the extent tree and the attributes of `inode`, and the content if that is a directory.
    fn add_inode(&self, inode: &Inode, ranges: &mut Ranges) -> Result<(), Error> {
        if inode.attributes != 0 {
            ranges.add(self.of_block(self.block_position(inode.attributes)?))?;
        }
        if inode.flags & EXTENTS_FLAG == 0 {
            return Err(Error::unsupported("a directory or a file has no extents"));
        }
        self.add_extents(
            &inode.map,
            MAX_EXTENT_DEPTH + 1,
            inode.kind() == EntryKind::Directory,
            ranges,
        )
    }

    /// Adds the nodes of an extent tree below `node`, which is less deep than `above`, and with `content` what they lead to.
    fn add_extents(
        &self,
        node: &[u8],
        above: u16,
        content: bool,
        ranges: &mut Ranges,
    ) -> Result<(), Error> {
        let depth = u16_at(node, 6);
        let count = usize::from(u16_at(node, 2));
        if u16_at(node, 0) != 0xf30a || depth >= above || 12 + count * 12 > node.len() {
            return Err(Error::damaged("an extent tree is damaged"));
        }
        for entry in slice(node, 12, 12 + count * 12).chunks_exact(12) {
            if depth > 0 {
                let child = u64::from(u16_at(entry, 8)) << 32 | u64::from(u32_at(entry, 4));
                let at = self.block_position(child)?;
                ranges.add(self.of_block(at))?;
                let child = self.section.block(at, self.block)?;
                self.add_extents(&child, depth, content, ranges)?;
            } else if content {
                let first = u64::from(u16_at(entry, 6)) << 32 | u64::from(u32_at(entry, 8));
                let at = self.block_position(first)?;
                let length = u64::from(u16_at(entry, 4)).saturating_mul(self.block);
                ranges.add(at..at.saturating_add(length))?;
            }
        }
        Ok(())
    }

    /// The inode number of `path`, in which symbolic links are not followed.
    fn number(&self, path: &str) -> Result<Option<u32>, Error> {
        let mut number = ROOT_INODE;
        for name in components(path.as_bytes()) {
            let inode = self.inode(number)?;
            if inode.kind() != EntryKind::Directory {
                return Ok(None);
            }
            match self.lookup(&inode, &name)? {
                Some(found) => number = found,
                None => return Ok(None),
            }
        }
        Ok(Some(number))
    }

    pub(crate) fn permissions(&self, path: &str) -> Result<Option<Permissions>, Error> {
        let Some(number) = self.number(path)? else {
            return Ok(None);
        };
        let inode = self.inode(number)?;
        if inode.links == 0 {
            let what = format!("{path} leads to inode {number}, which is free");
            return Err(Error::damaged(what));
        }
        Ok(Some(inode.permissions()))
    }

    pub(crate) fn identities(&self, path: &str) -> Result<Vec<Identity>, Error> {
        let number = self.number(path)?.ok_or_else(|| not_found(path))?;
        let mut names = Kept::default();
        self.entries(&self.inode(number)?, &mut |number, name| {
            names.push((number, name.to_vec()), name.len())?;
            Ok(true)
        })?;
        let identity = |(number, name): (u32, Vec<u8>)| {
            let inode = self.inode(number)?;
            let permissions = inode.permissions();
            let is_dir = permissions.kind == EntryKind::Directory;
            Ok(Identity {
                name,
                number,
                size: if is_dir { 0 } else { inode.size },
                permissions,
            })
        };
        names.into_vec().into_iter().map(identity).collect()
    }

    pub(crate) fn room(&self) -> Room {
        Room {
            unit: self.block,
            units: self.free_blocks,
            files: Some(self.free_inodes.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use sdbuild_core::cancel::Cancel;

    use super::*;
    use crate::disk::Section;

    /// A file system of one group with 16 inodes of 128 bytes, whose bitmaps are in blocks 3 and 4 and whose inodes are in block 5 and
    /// behind. `change` changes its bytes.
    fn ext(log_of_kib: u32, change: impl FnOnce(&mut [u8])) -> Ext {
        let block = 1024 << log_of_kib;
        let mut bytes = vec![0; 16 * block];
        let descriptors = if block == 1024 { 2048 } else { block };
        let numbers = [
            (1024 + 4, 16),
            (1024 + 0x14, u32::from(block == 1024)),
            (1024 + 0x18, log_of_kib),
            (1024 + 0x20, 8192),
            (1024 + 0x28, 16),
            (1024 + 0x60, 0x40),
            (descriptors, 3),
            (descriptors + 4, 4),
            (descriptors + 8, 5),
        ];
        for (at, number) in numbers {
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        bytes[1024 + 0x38..][..2].copy_from_slice(&[0x53, 0xef]);
        change(&mut bytes);
        let len = bytes.len() as u64;
        Ext::open(&Section::whole(bytes, len, &Cancel::new()))
            .unwrap()
            .unwrap()
    }

    #[test]
    fn of_the_inodes_only_blocks_with_a_free_one_are_read() {
        let ranges = |flags: u8| {
            let set = |bytes: &mut [u8]| {
                bytes[4096..4098].copy_from_slice(&[0xff, 0x7f]);
                bytes[2048 + FLAGS] = flags;
            };
            ext(0, set).ranges(&[]).unwrap()
        };
        assert_eq!(ranges(0), [0..2080, 3072..5120, 6144..7168]);
        assert_eq!(ranges(1), [0..2080, 3072..7168]);
    }

    #[test]
    fn groups_larger_than_their_bitmaps_are_refused() {
        for field in [0x20, 0x28] {
            let large = |bytes: &mut [u8]| bytes[1024 + field..][..4].fill(0xff);
            let refused = ext(0, large).ranges(&[]).unwrap_err().to_string();
            assert!(refused.contains("bitmaps"), "{refused}");
        }
    }

    #[test]
    fn an_extent_tree_that_names_one_block_many_times_ends_and_none_is_too_deep() {
        // The node of depth d is in block d + 5 and has 5460 entries, all with the block before it.
        let node = |depth: u8, count: u16| {
            let count = count.to_le_bytes();
            let mut node = vec![0x0a, 0xf3, count[0], count[1], 0, 0, depth, 0, 0, 0, 0, 0];
            for _ in 0..u16::from_le_bytes(count) {
                // An extent has its length before its block.
                let (length, block) = if depth == 0 { (1, 4) } else { (depth + 4, 0) };
                node.extend([0, 0, 0, 0, length, 0, 0, 0, block, 0, 0, 0]);
            }
            node
        };
        let bomb = |bytes: &mut [u8]| {
            for depth in 0..=5 {
                let node = node(depth, 5460);
                bytes[(usize::from(depth) + 5) << 16..][..node.len()].copy_from_slice(&node);
            }
        };
        let ext = ext(6, bomb);
        let read = |depth| {
            let mut ranges = Ranges::default();
            let read = ext.add_extents(&node(depth, 1), MAX_EXTENT_DEPTH + 1, true, &mut ranges);
            (read.unwrap_err().to_string(), ranges.into_vec().len())
        };
        let (refused, ranges) = read(6);
        assert_eq!((refused.as_str(), ranges), ("an extent tree is damaged", 0));
        let (refused, ranges) = read(5);
        assert!(
            refused.contains("more work") && ranges < 10_000,
            "{refused}, {ranges}"
        );
    }
}
