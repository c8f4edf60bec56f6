//! Whether bytes are those of a block map.

use sha2::{Digest as _, Sha256};

use super::{BlockMap, Range, is_blank};

/// The first thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The hash of a range is another one.
    #[error("bytes {start} to {end} are not those of the block map")]
    Range {
        /// Where it begins, in bytes.
        start: u64,
        /// Where it ends, in bytes.
        end: u64,
    },
    /// There is data where the map has none.
    #[error("there is data near byte {0}, where the block map has none")]
    NotBlank(u64),
    /// There are more bytes, or fewer, than the image has.
    #[error("there are {0} bytes, the block map is of an image of {1}")]
    Length(u64, u64),
}

/// Fed with bytes from start to end, in pieces of any length; says at the end of each range whether it
/// is the map's.
#[derive(Debug)]
pub struct Checker {
    map: BlockMap,
    /// The range that the next byte is in or before.
    next: usize,
    hash: Sha256,
    at: u64,
}

/// What the next bytes are to be.
enum Stretch {
    /// Zero, until there.
    Blank(u64),
    /// Data of the range, until its end.
    Data(u64),
}

impl Checker {
    /// Compares with `map`.
    pub fn new(map: BlockMap) -> Self {
        Self {
            map,
            next: 0,
            hash: Sha256::new(),
            at: 0,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        self.take(bytes.len() as u64, Some(bytes))
    }

    /// Takes `count` bytes that are known to be zero.
    pub fn blank(&mut self, count: u64) -> Result<(), Mismatch> {
        self.take(count, None)
    }

    /// Whether all has come.
    pub fn finish(self) -> Result<BlockMap, Mismatch> {
        if self.at == self.map.image_size {
            Ok(self.map)
        } else {
            Err(Mismatch::Length(self.at, self.map.image_size))
        }
    }

    fn take(&mut self, count: u64, mut bytes: Option<&[u8]>) -> Result<(), Mismatch> {
        let end = self.at.saturating_add(count);
        if end > self.map.image_size {
            return Err(Mismatch::Length(end, self.map.image_size));
        }
        while self.at < end {
            let stretch = self.stretch();
            let (Stretch::Blank(until) | Stretch::Data(until)) = stretch;
            let length = until.min(end).saturating_sub(self.at);
            let piece = bytes.map(|all| all.split_at(usize::try_from(length).unwrap_or(0)));
            bytes = piece.map(|(_, later)| later);
            match (stretch, piece) {
                (Stretch::Blank(_), Some((piece, _))) if !is_blank(piece) => {
                    return Err(Mismatch::NotBlank(self.at));
                }
                (Stretch::Blank(_), _) => {}
                (Stretch::Data(_), Some((piece, _))) => self.hash.update(piece),
                (Stretch::Data(_), None) => self.hash_zeros(length),
            }
            self.at = self.at.saturating_add(length);
            self.close_range()?;
        }
        Ok(())
    }

    fn stretch(&self) -> Stretch {
        match self.map.ranges.get(self.next) {
            Some(range) if self.map.start(range) <= self.at => Stretch::Data(self.map.end(range)),
            Some(range) => Stretch::Blank(self.map.start(range)),
            None => Stretch::Blank(self.map.image_size),
        }
    }

    fn hash_zeros(&mut self, mut count: u64) {
        let zeros = [0; 4096];
        while count > 0 {
            let n = count.min(4096);
            let piece = zeros.get(..usize::try_from(n).unwrap_or(0));
            self.hash.update(piece.unwrap_or(&zeros));
            count -= n;
        }
    }

    /// Compares the hash of the range that ends here, if one does.
    fn close_range(&mut self) -> Result<(), Mismatch> {
        let ends = |range: &&Range| self.map.end(range) == self.at;
        let Some(range) = self.map.ranges.get(self.next).filter(ends) else {
            return Ok(());
        };
        let (start, end) = (self.map.start(range), self.at);
        let found: [u8; 32] = self.hash.finalize_reset().into();
        self.next = self.next.saturating_add(1);
        if found == range.sha256 {
            Ok(())
        } else {
            Err(Mismatch::Range { start, end })
        }
    }
}
