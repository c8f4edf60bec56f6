//! Makes the block map of an image in one pass.

use super::BLOCK;
use super::BlockMap;
use super::Range;
use super::is_blank;
use sdbuild_core::hash::Hasher;
use sdbuild_core::to_usize::to_usize;

const BLOCK_BYTES: usize = BLOCK as usize;
/// Blocks of the longest range (8 MiB): short enough to report a difference early, and long enough to keep the map
/// of the largest image (256 GiB) below 4 MiB.
const MAX_RANGE_BLOCKS: u64 = 2048;
/// Zero blocks (64 KiB) that end a range: writing fewer costs less than a seek.
const MIN_GAP_BLOCKS: u64 = 16;

/// Makes a block map of an image that is pushed from start to end, in pieces of any length.
#[derive(Debug, Default)]
pub struct Builder {
    /// The start of a block that is not complete yet.
    partial: Vec<u8>,
    /// Complete blocks so far.
    blocks: u64,
    /// Zero blocks since the last one with data.
    gap: u64,
    open: Option<OpenRange>,
    ranges: Vec<Range>,
}

/// A range that may still grow.
#[derive(Debug)]
struct OpenRange {
    first: u64,
    /// The block after the last one that was hashed.
    end: u64,
    hash: Hasher,
}

impl Builder {
    /// A builder that no bytes were pushed to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if !self.partial.is_empty() {
            let missing = BLOCK_BYTES.saturating_sub(self.partial.len());
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.partial.extend_from_slice(now);
            bytes = later;
            if self.partial.len() < BLOCK_BYTES {
                return;
            }
            let block = std::mem::take(&mut self.partial);
            self.push_blocks(&block);
        }
        let (whole, rest) = bytes.split_at(bytes.len() / BLOCK_BYTES * BLOCK_BYTES);
        self.push_blocks(whole);
        self.partial.extend_from_slice(rest);
    }

    /// Appends `count` zero bytes, for instance a hole in a sparse file.
    pub fn blank(&mut self, count: u64) {
        let zeros = [0; BLOCK_BYTES];
        let piece = |n: u64| zeros.get(..to_usize(n)).unwrap_or(&zeros);
        let head = if self.partial.is_empty() {
            0
        } else {
            count.min((BLOCK_BYTES.saturating_sub(self.partial.len())) as u64)
        };
        self.push(piece(head));
        let count = count.saturating_sub(head);
        let blocks = count / u64::from(BLOCK);
        self.blocks = self.blocks.saturating_add(blocks);
        self.gap = self.gap.saturating_add(blocks);
        self.push(piece(count % u64::from(BLOCK)));
    }

    /// The map of all bytes.
    pub fn finish(mut self) -> BlockMap {
        let partial = std::mem::take(&mut self.partial);
        let whole = self.blocks.saturating_mul(BLOCK.into());
        if !is_blank(&partial) {
            self.push_data(&partial);
        }
        self.close_range();
        BlockMap {
            image_size: whole.saturating_add(partial.len() as u64),
            block_size: BLOCK,
            ranges: self.ranges,
        }
    }

    /// Appends complete blocks; consecutive blocks with data are hashed at once.
    fn push_blocks(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut run = 0;
            let mut blocks = bytes.chunks(BLOCK_BYTES);
            while blocks.next().is_some_and(|block| !is_blank(block)) {
                run += BLOCK_BYTES;
            }
            let (data, later) = bytes.split_at(run.min(bytes.len()));
            self.push_data(data);
            let Some(rest) = later.get(BLOCK_BYTES..) else {
                return;
            };
            self.blocks = self.blocks.saturating_add(1);
            self.gap = self.gap.saturating_add(1);
            bytes = rest;
        }
    }

    /// Appends blocks that hold data; only the last block of the image may be incomplete.
    fn push_data(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.bridge_gap();
            let first = self.blocks;
            let open = self.open.get_or_insert_with(|| OpenRange {
                first,
                end: first,
                hash: Hasher::new(),
            });
            let room = MAX_RANGE_BLOCKS.saturating_sub(open.end.saturating_sub(open.first));
            let room = to_usize(room) * BLOCK_BYTES;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            open.hash.update(now);
            self.blocks = first.saturating_add(now.len().div_ceil(BLOCK_BYTES) as u64);
            open.end = self.blocks;
            bytes = later;
            if !bytes.is_empty() {
                self.close_range();
            }
        }
    }

    /// Closes the open range if the gap before the next data, or the range with it, is too long; otherwise
    /// the gap becomes part of the range.
    fn bridge_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        let fits = |open: &OpenRange| self.blocks.saturating_sub(open.first) < MAX_RANGE_BLOCKS;
        if gap >= MIN_GAP_BLOCKS || !self.open.as_ref().is_some_and(fits) {
            self.close_range();
        }
        if let Some(open) = &mut self.open {
            (0..gap).for_each(|_| open.hash.update([0; BLOCK_BYTES]));
            open.end = self.blocks;
        }
    }

    fn close_range(&mut self) {
        if let Some(open) = self.open.take() {
            self.ranges.push(Range {
                first: open.first,
                last: open.end.saturating_sub(1),
                sha256: open.hash.finish().sha256,
            });
        }
    }
}
