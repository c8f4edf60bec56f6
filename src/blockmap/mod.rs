//! Block map: which blocks of an image hold data, and the hashes of those.
//!
//! Promises: what [`Builder`] makes of an image's bytes, Debian's `bmaptool copy` accepts and verifies
//! (format 2.0), and [`Checker`] finds in any other bytes the first range that differs. A map that was
//! read is bounded, its ranges are in order and inside the image, and its own checksum is right.
//! Refuses: maps without hashes, and hashes other than SHA-256. Calls nobody.

mod builder;
mod checker;
mod xml;

pub use builder::Builder;
pub use checker::{Checker, Mismatch};
pub use xml::{BadMap, MAX_FILE_BYTES};

/// Bytes in a block of the maps that we make.
pub const BLOCK: u32 = 4096;

/// The block map of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockMap {
    /// The image's length in bytes; it need not be a whole number of blocks.
    pub image_size: u64,
    /// Bytes in a block, a power of two.
    pub block_size: u32,
    /// The blocks that hold data, in order; all others are zero.
    pub ranges: Vec<Range>,
}

/// Blocks that hold data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first block.
    pub first: u64,
    /// The last block, which belongs to the range.
    pub last: u64,
    /// SHA-256 of their bytes; of those before the image's end, if that is in the last block.
    pub sha256: [u8; 32],
}

impl BlockMap {
    /// How many blocks hold data.
    pub fn mapped_blocks(&self) -> u64 {
        let blocks = |range: &Range| range.last.saturating_sub(range.first).saturating_add(1);
        self.ranges.iter().map(blocks).sum()
    }

    /// How many bytes of the image those are.
    pub fn mapped_bytes(&self) -> u64 {
        let bytes = |range: &Range| self.end(range).saturating_sub(self.start(range));
        self.ranges.iter().map(bytes).sum()
    }

    /// How many blocks the image has.
    pub fn blocks(&self) -> u64 {
        self.image_size.div_ceil(u64::from(self.block_size).max(1))
    }

    /// Where `range` begins, in bytes.
    pub fn start(&self, range: &Range) -> u64 {
        range.first.saturating_mul(self.block_size.into())
    }

    /// Where `range` ends, in bytes: at the image's end at the latest.
    pub fn end(&self, range: &Range) -> u64 {
        let end = range.last.saturating_add(1);
        end.saturating_mul(self.block_size.into())
            .min(self.image_size)
    }
}

/// Whether all of `bytes` are zero. In lanes, so that it runs at the speed of memory.
pub fn is_blank(bytes: &[u8]) -> bool {
    let mut lanes = bytes.chunks_exact(64);
    let blank = |lane: &[u8]| lane.iter().fold(0, |all, byte| all | byte) == 0;
    lanes.all(blank) && blank(bytes.get(bytes.len() / 64 * 64..).unwrap_or_default())
}

#[cfg(test)]
mod tests;
