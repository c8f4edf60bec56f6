//! The blocks with the content of an inode: extent trees, and the block maps of ext2 and ext3.

use super::bytes::{slice, u16_at, u32_at};
use super::entry::ContentSink;
use super::error::Error;
use super::ext::{EXTENTS_FLAG, Ext, INLINE_DATA_FLAG, Inode};
use sdbuild_core::to_usize::to_usize;

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
    pub(super) fn content(
        &self,
        inode: &Inode,
        length: u64,
        sink: ContentSink<'_>,
    ) -> Result<(), Error> {
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
