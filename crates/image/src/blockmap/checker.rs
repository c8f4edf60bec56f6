//! Compares bytes with a block map.

use super::BlockMap;
use super::Range;
use super::is_blank;
use sdbuild_core::hash::Hasher;
use sdbuild_core::to_usize::to_usize;

/// The first difference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The hash of a range differs.
    #[error("bytes {start} to {end} differ from the block map")]
    Range {
        /// The position of the range in bytes.
        start: u64,
        /// The end of the range in bytes.
        end: u64,
    },
    /// There is data in a block that the map does not list.
    #[error("there is data near byte {0}, where the block map has none")]
    NotBlank(u64),
    /// The number of bytes, and the length of the image.
    #[error("there are {0} bytes, and the block map is of an image of {1}")]
    Length(u64, u64),
}

/// Compares bytes that are pushed from start to end, in pieces of any length, with a block map. A difference is
/// found at the end of its range.
#[derive(Debug)]
pub struct Checker {
    map: BlockMap,
    /// The index of the range that contains the next byte, or is the first one after it.
    next_range: usize,
    hash: Hasher,
    position: u64,
}

/// What the map has at some position, with its end.
enum Span {
    /// Zeros.
    Blank(u64),
    /// A range with data.
    Data(u64),
}

impl Checker {
    /// A comparison with `map`.
    pub fn new(map: BlockMap) -> Self {
        Self {
            map,
            next_range: 0,
            hash: Hasher::new(),
            position: 0,
        }
    }

    /// Compares the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        self.compare(bytes.len() as u64, Some(bytes))
    }

    /// Compares `count` zero bytes.
    pub fn blank(&mut self, count: u64) -> Result<(), Mismatch> {
        self.compare(count, None)
    }

    /// Checks that all bytes of the image were pushed, and returns the map.
    pub fn finish(self) -> Result<BlockMap, Mismatch> {
        if self.position == self.map.image_size {
            Ok(self.map)
        } else {
            Err(Mismatch::Length(self.position, self.map.image_size))
        }
    }

    /// Compares the next `count` bytes, which are zero without `bytes`.
    fn compare(&mut self, count: u64, mut bytes: Option<&[u8]>) -> Result<(), Mismatch> {
        let end = self.position.saturating_add(count);
        if end > self.map.image_size {
            return Err(Mismatch::Length(end, self.map.image_size));
        }
        while self.position < end {
            let span = self.current_span();
            let (Span::Blank(until) | Span::Data(until)) = span;
            let length = until.min(end).saturating_sub(self.position);
            let piece = bytes.map(|all| all.split_at(to_usize(length)));
            bytes = piece.map(|(_, later)| later);
            match (span, piece) {
                (Span::Blank(_), Some((piece, _))) if !is_blank(piece) => {
                    return Err(Mismatch::NotBlank(self.position));
                }
                (Span::Blank(_), _) => {}
                (Span::Data(_), Some((piece, _))) => self.hash.update(piece),
                (Span::Data(_), None) => self.hash_zeros(length),
            }
            self.position = self.position.saturating_add(length);
            self.close_range()?;
        }
        Ok(())
    }

    fn current_span(&self) -> Span {
        match self.map.ranges.get(self.next_range) {
            Some(range) if self.map.start(range) <= self.position => {
                Span::Data(self.map.end(range))
            }
            Some(range) => Span::Blank(self.map.start(range)),
            None => Span::Blank(self.map.image_size),
        }
    }

    fn hash_zeros(&mut self, mut count: u64) {
        let zeros = [0; 4096];
        while count > 0 {
            let n = count.min(4096);
            let piece = zeros.get(..to_usize(n));
            self.hash.update(piece.unwrap_or(&zeros));
            count -= n;
        }
    }

    /// Compares the hash of the range that ends at the current position, if there is one.
    fn close_range(&mut self) -> Result<(), Mismatch> {
        let ends = |range: &&Range| self.map.end(range) == self.position;
        let Some(range) = self.map.ranges.get(self.next_range).filter(ends) else {
            return Ok(());
        };
        let (start, end) = (self.map.start(range), self.position);
        let found = std::mem::take(&mut self.hash).finish().sha256;
        self.next_range = self.next_range.saturating_add(1);
        if found == range.sha256 {
            Ok(())
        } else {
            Err(Mismatch::Range { start, end })
        }
    }
}
