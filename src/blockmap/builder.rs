//! From an image's bytes to its block map, in one pass.

use sha2::{Digest as _, Sha256};

use super::{BLOCK, BlockMap, Range, is_blank};

const BLOCK_BYTES: usize = BLOCK as usize;
/// A range ends after this many blocks (8 MiB), so that who compares hashes can report early; the map
/// of the largest image (256 GiB) still stays below 4 MiB.
const LONGEST_RANGE: u64 = 2048;
/// A gap of fewer zero blocks (64 KiB) does not end a range: writing them costs less than the seek.
const SHORTEST_GAP: u64 = 16;

/// Fed with an image from start to end, in pieces of any length.
#[derive(Debug, Default)]
pub struct Builder {
    /// The start of a block whose rest has not come yet.
    rest: Vec<u8>,
    /// Whole blocks so far.
    blocks: u64,
    /// Zero blocks since the last one with data.
    gap: u64,
    open: Option<Open>,
    ranges: Vec<Range>,
}

/// A range that may still grow.
#[derive(Debug)]
struct Open {
    first: u64,
    /// The block after the last one that was hashed.
    end: u64,
    hash: Sha256,
}

impl Builder {
    /// The map of an image of which nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if !self.rest.is_empty() {
            let missing = BLOCK_BYTES.saturating_sub(self.rest.len());
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
            if self.rest.len() < BLOCK_BYTES {
                return;
            }
            let block = std::mem::take(&mut self.rest);
            self.whole(&block);
        }
        let (whole, rest) = bytes.split_at(bytes.len() / BLOCK_BYTES * BLOCK_BYTES);
        self.whole(whole);
        self.rest.extend_from_slice(rest);
    }

    /// Takes `count` bytes that are known to be zero, for instance a hole in a sparse file.
    pub fn blank(&mut self, count: u64) {
        let zeros = [0; BLOCK_BYTES];
        let piece = |n: u64| {
            zeros
                .get(..usize::try_from(n).unwrap_or(0))
                .unwrap_or(&zeros)
        };
        let head = if self.rest.is_empty() {
            0
        } else {
            count.min((BLOCK_BYTES.saturating_sub(self.rest.len())) as u64)
        };
        self.push(piece(head));
        let count = count.saturating_sub(head);
        let blocks = count / u64::from(BLOCK);
        self.blocks = self.blocks.saturating_add(blocks);
        self.gap = self.gap.saturating_add(blocks);
        self.push(piece(count % u64::from(BLOCK)));
    }

    /// The map, when all has come.
    pub fn finish(mut self) -> BlockMap {
        let rest = std::mem::take(&mut self.rest);
        let whole = self.blocks.saturating_mul(BLOCK.into());
        if !is_blank(&rest) {
            self.data(&rest);
        }
        self.close();
        BlockMap {
            image_size: whole.saturating_add(rest.len() as u64),
            block_size: BLOCK,
            ranges: self.ranges,
        }
    }

    /// Takes whole blocks: those with data that follow each other are hashed at once.
    fn whole(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut run = 0;
            let mut blocks = bytes.chunks(BLOCK_BYTES);
            while blocks.next().is_some_and(|block| !is_blank(block)) {
                run += BLOCK_BYTES;
            }
            let (data, later) = bytes.split_at(run.min(bytes.len()));
            self.data(data);
            let Some(rest) = later.get(BLOCK_BYTES..) else {
                return;
            };
            self.blocks = self.blocks.saturating_add(1);
            self.gap = self.gap.saturating_add(1);
            bytes = rest;
        }
    }

    /// Takes blocks that hold data; only the image's last one may be short.
    fn data(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.bridge_gap();
            let first = self.blocks;
            let open = self.open.get_or_insert_with(|| Open {
                first,
                end: first,
                hash: Sha256::new(),
            });
            let room = LONGEST_RANGE.saturating_sub(open.end.saturating_sub(open.first));
            let room = usize::try_from(room).unwrap_or(0) * BLOCK_BYTES;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            open.hash.update(now);
            self.blocks = first.saturating_add(now.len().div_ceil(BLOCK_BYTES) as u64);
            open.end = self.blocks;
            bytes = later;
            if !bytes.is_empty() {
                self.close();
            }
        }
    }

    /// Ends the open range where the gap before the next data is long, or the range would be; else the
    /// gap becomes part of it.
    fn bridge_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        let fits = |open: &Open| self.blocks.saturating_sub(open.first) < LONGEST_RANGE;
        if gap >= SHORTEST_GAP || !self.open.as_ref().is_some_and(fits) {
            self.close();
        }
        if let Some(open) = &mut self.open {
            (0..gap).for_each(|_| open.hash.update([0; BLOCK_BYTES]));
            open.end = self.blocks;
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.ranges.push(Range {
                first: open.first,
                last: open.end.saturating_sub(1),
                sha256: open.hash.finalize().into(),
            });
        }
    }
}
