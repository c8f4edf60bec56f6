//! Which blocks hold the content of an inode: trees of extents, and the older maps.

use super::bytes::{slice, u16_at, u32_at};
use super::entry::Sink;
use super::error::Error;
use super::ext::{EXTENTS, Ext, INLINE, Inode};

const DEEPEST_TREE: u16 = 5;
/// What is read at once.
const PIECE: u64 = 256 * 1024;

/// Blocks of a file that follow each other: where they are (`None` for a hole), and how many.
struct Run {
    start: Option<u64>,
    blocks: u64,
}

impl Ext {
    /// The run that begins with block `index` of a file.
    fn run(&self, inode: &Inode, index: u64) -> Result<Run, Error> {
        let index = u32::try_from(index).map_err(|_| Error::damaged("a file is too long"))?;
        if inode.flags & INLINE != 0 {
            return Err(Error::unsupported("content inside of inodes is not read"));
        }
        if inode.flags & EXTENTS != 0 {
            return self.extent(inode.map.to_vec(), index);
        }
        let start = self.mapped(inode, index)?;
        Ok(Run { start, blocks: 1 })
    }

    /// Goes down a tree of extents; each level is one lower, so that it ends.
    fn extent(&self, root: Vec<u8>, index: u32) -> Result<Run, Error> {
        let (mut node, mut bound) = (root, u64::from(u32::MAX) + 1);
        let mut depth = u16_at(&node, 6);
        loop {
            let count = usize::from(u16_at(&node, 2));
            let sound = u16_at(&node, 0) == 0xf30a && u16_at(&node, 6) == depth;
            if !sound || depth > DEEPEST_TREE || 12 + count * 12 > node.len() {
                return Err(Error::damaged("a tree of extents is broken"));
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
                return Ok(Run {
                    start: None,
                    blocks: hole,
                });
            };
            if depth == 0 {
                return Ok(leaf(entry, index, hole));
            }
            let child = u64::from(u16_at(entry, 8)) << 32 | u64::from(u32_at(entry, 4));
            let size = usize::try_from(self.block).unwrap_or(0);
            node = self.section.block(self.place(child)?, size)?;
            depth -= 1;
        }
    }

    /// A block of a file of the older kind: 12 direct ones, then one, two and three levels.
    fn mapped(&self, inode: &Inode, index: u32) -> Result<Option<u64>, Error> {
        let (mut rest, per) = (u64::from(index), self.block / 4);
        if rest < 12 {
            return Ok(present(u32_at(
                &inode.map,
                usize::try_from(rest).unwrap_or(0) * 4,
            )));
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
                let at = self.place(number)? + slot * 4;
                block = present(u32_at(&self.section.block(at, 4)?, 0));
            }
            return Ok(block);
        }
        Err(Error::damaged("a file is too long"))
    }

    /// Hands the first `length` bytes of an inode's content to `sink`.
    pub(super) fn content(&self, inode: &Inode, length: u64, sink: Sink<'_>) -> Result<(), Error> {
        let mut at = 0;
        while at < length {
            let run = self.run(inode, at / self.block)?;
            let end = at
                .saturating_add(run.blocks.max(1).saturating_mul(self.block))
                .min(length);
            let start = at;
            while at < end {
                let piece = usize::try_from(PIECE.min(end - at)).unwrap_or(0);
                let block = match run.start {
                    None => vec![0; piece],
                    Some(first) => {
                        let place = self.place(first)?.saturating_add(at - start);
                        self.section.block(place, piece)?
                    }
                };
                if !sink(&block)? {
                    return Ok(());
                }
                at += piece as u64;
            }
        }
        Ok(())
    }
}

fn leaf(entry: &[u8], index: u32, hole: u64) -> Run {
    let (length, into) = (u16_at(entry, 4), u64::from(index - u32_at(entry, 0)));
    // Above 32768 it is allocated but not written yet: it reads as zeros.
    let (blocks, written) = match length {
        0..=32768 => (u64::from(length), true),
        _ => (u64::from(length) - 32768, false),
    };
    let Some(left) = blocks.checked_sub(into).filter(|left| *left > 0) else {
        return Run {
            start: None,
            blocks: hole,
        };
    };
    let first = u64::from(u16_at(entry, 6)) << 32 | u64::from(u32_at(entry, 8));
    Run {
        start: written.then_some(first + into),
        blocks: left,
    }
}

fn present(block: u32) -> Option<u64> {
    (block != 0).then_some(block.into())
}
