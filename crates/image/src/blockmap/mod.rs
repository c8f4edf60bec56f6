//! Block map: which blocks of an image hold data, and their hashes.
//!
//! `bmaptool copy` accepts and verifies the maps of [`Builder`] (format 2.0); [`Checker`] finds the first range
//! in which other bytes differ from a map. A map that was read is bounded, its ranges are in order and inside
//! the image, and its own checksum is valid. Maps without hashes or with other hashes than SHA-256 are refused.

mod builder;
mod checker;
mod xml;

pub use builder::Builder;
pub use checker::{Checker, Mismatch};
pub use xml::{BadMap, MAX_FILE_BYTES};

use sdbuild_core::hash::Sha256Hash;

/// Bytes in a block of the maps that [`Builder`] makes.
pub const BLOCK: u32 = 4096;

/// The block map of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockMap {
    /// The length of the image in bytes; the last block may be incomplete.
    pub image_size: u64,
    /// Bytes in a block, a power of two.
    pub block_size: u32,
    /// The blocks that hold data, in order; all others are zero.
    pub ranges: Vec<Range>,
}

/// Consecutive blocks that hold data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first block.
    pub first: u64,
    /// The last block, inclusive.
    pub last: u64,
    /// SHA-256 of their bytes, up to the end of the image.
    pub sha256: Sha256Hash,
}

impl BlockMap {
    /// The number of blocks that hold data.
    pub fn mapped_blocks(&self) -> u64 {
        let blocks = |range: &Range| range.last.saturating_sub(range.first).saturating_add(1);
        self.ranges.iter().map(blocks).sum()
    }

    /// The number of bytes in these blocks.
    pub fn mapped_bytes(&self) -> u64 {
        let bytes = |range: &Range| self.end(range).saturating_sub(self.start(range));
        self.ranges.iter().map(bytes).sum()
    }

    /// The number of blocks in the image.
    pub fn blocks(&self) -> u64 {
        self.image_size.div_ceil(u64::from(self.block_size).max(1))
    }

    /// The position of `range` in bytes.
    pub fn start(&self, range: &Range) -> u64 {
        range.first.saturating_mul(self.block_size.into())
    }

    /// The end of `range` in bytes, at most the end of the image.
    pub fn end(&self, range: &Range) -> u64 {
        let end = range.last.saturating_add(1);
        end.saturating_mul(self.block_size.into())
            .min(self.image_size)
    }
}

/// Whether all of `bytes` are zero: the first one is, and each other equals the one before it. Slices are compared by
/// `memcmp`, which is as fast in a build without optimization.
pub fn is_blank(bytes: &[u8]) -> bool {
    match (bytes.split_first(), bytes.split_last()) {
        (Some((first, after)), Some((_, before))) => *first == 0 && after == before,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
