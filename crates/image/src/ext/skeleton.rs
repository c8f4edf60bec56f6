//! What `debugfs` reads of an ext4 file system to put files into it: nothing of the content of files.

use std::iter;
use std::ops::Range;

use sdbuild_core::untrusted::Kept;

use super::{EXTENTS_FLAG, Ext, INCOMPAT_RECOVER, INODE_TABLE, Inode, ROOT_INODE, components};
use crate::bytes::{slice, u16_at, u32_at};
use crate::error::Error;
use crate::files::{EntryKind, Identity, Permissions, Room, not_found};

/// Where a descriptor has the two halves of the block of a bitmap: of blocks, and of inodes.
const BITMAPS: [[usize; 2]; 2] = [[0, 0x20], [4, 0x24]];
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
        let descriptors = self.groups.saturating_mul(self.descriptor_bytes);
        let start = self.first_block.saturating_add(1);
        let start = start.saturating_mul(self.block).saturating_add(descriptors);
        let mut ranges: Vec<_> = iter::once(0..start).collect();
        let table = u64::from(self.inodes_per_group).saturating_mul(self.inode_bytes);
        for group in 0..self.groups {
            let descriptor = self.descriptor(group)?;
            // Of the copy of the superblock that some groups have, the tools write only a part.
            if self.has_copy(group) {
                let first = group.saturating_mul(self.blocks_per_group);
                let first = first.saturating_add(self.first_block);
                ranges.push(self.of_block(first.saturating_mul(self.block)));
            }
            for bitmap in BITMAPS {
                ranges.push(self.of_block(self.described_position(&descriptor, bitmap)?));
            }
            let at = self.described_position(&descriptor, INODE_TABLE)?;
            ranges.push(at..at.saturating_add(table));
        }
        for path in paths {
            if let Some(number) = self.number(path)? {
                self.add_inode(&self.inode(number)?, &mut ranges)?;
            }
        }
        Ok(ranges)
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
    fn add_inode(&self, inode: &Inode, ranges: &mut Vec<Range<u64>>) -> Result<(), Error> {
        if inode.attributes != 0 {
            ranges.push(self.of_block(self.block_position(inode.attributes)?));
        }
        if inode.flags & EXTENTS_FLAG == 0 {
            return Err(Error::unsupported("a directory or a file has no extents"));
        }
        let is_dir = inode.kind() == EntryKind::Directory;
        let mut nodes = vec![(inode.map.to_vec(), u16::MAX)];
        while let Some((node, above)) = nodes.pop() {
            let depth = u16_at(&node, 6);
            let count = usize::from(u16_at(&node, 2));
            if u16_at(&node, 0) != 0xf30a || depth >= above || 12 + count * 12 > node.len() {
                return Err(Error::damaged("an extent tree is damaged"));
            }
            for entry in slice(&node, 12, 12 + count * 12).chunks_exact(12) {
                if depth > 0 {
                    let child = u64::from(u16_at(entry, 8)) << 32 | u64::from(u32_at(entry, 4));
                    let at = self.block_position(child)?;
                    ranges.push(self.of_block(at));
                    nodes.push((self.section.block(at, self.block)?, depth));
                } else if is_dir {
                    let first = u64::from(u16_at(entry, 6)) << 32 | u64::from(u32_at(entry, 8));
                    let at = self.block_position(first)?;
                    let length = u64::from(u16_at(entry, 4)).saturating_mul(self.block);
                    ranges.push(at..at.saturating_add(length));
                }
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
