//! Ranges of bytes that an image has many of.

use std::ops::Range;

use sdbuild_core::untrusted::{Kept, Spent};

/// Ranges in the order in which they were added, those that touch the one before joined to it.
#[derive(Debug, Default)]
pub(super) struct Ranges(Kept<Range<u64>>);

impl Ranges {
    /// Adds `range`.
    ///
    /// # Errors
    ///
    /// [`Spent::Exhausted`] if there are too many.
    pub(super) fn add(&mut self, range: Range<u64>) -> Result<(), Spent> {
        match self.0.last_mut() {
            Some(last) if (last.start..=last.end).contains(&range.start) => {
                last.end = last.end.max(range.end);
                Ok(())
            }
            _ => self.0.push(range, 0),
        }
    }

    pub(super) fn into_vec(self) -> Vec<Range<u64>> {
        self.0.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one_and_too_many_are_refused() {
        let mut ranges = Ranges::default();
        for range in [4..6, 6..9, 5..7, 10..12, 0..1] {
            ranges.add(range).unwrap();
        }
        assert_eq!(ranges.into_vec(), [4..9, 10..12, 0..1]);
        let mut ranges = Ranges::default();
        let refused = (0..u64::MAX).find_map(|n| ranges.add(2 * n..2 * n + 1).err());
        assert_eq!(refused, Some(Spent::Exhausted));
    }
}
