//! The gate through which bytes of others become values: archives, images, locks, logs and manifests that anybody may have made.
//!
//! What such bytes cost is counted while they are read, never taken from what they claim: [`Budget`] counts work, [`Kept`] memory,
//! [`json`] values, [`Bounded`] bytes. Files are opened and read by [`plain_file`](crate::plain_file), archives by
//! [`plain_tar`](crate::plain_tar). `clippy.toml` forbids to parse in any other way.

mod json;

use std::io::{self, Read};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

pub use self::json::{MAX_VALUES, json};
use crate::cancel::Cancel;

/// Why no more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spent {
    /// The run was cancelled.
    #[error("interrupted")]
    Interrupted,
    /// The input asks for more work or memory than it may.
    #[error("reading it takes more work than a sound one does: it is damaged")]
    Exhausted,
}

/// The work that one input may cause, shared by all its readers. Work is charged where it is done, in bytes that are read or made;
/// holes and zeros count like any others.
#[derive(Debug)]
pub struct Budget {
    remaining: AtomicU64,
    cancel: Cancel,
}

impl Budget {
    /// A budget of `work` bytes, which ends with `cancel`.
    pub fn new(work: u64, cancel: &Cancel) -> Self {
        Self {
            remaining: AtomicU64::new(work),
            cancel: cancel.clone(),
        }
    }

    /// Counts `work` bytes.
    ///
    /// # Errors
    ///
    /// The run is cancelled, or the budget has fewer bytes left.
    pub fn spend(&self, work: u64) -> Result<(), Spent> {
        if self.cancel.is_cancelled() {
            return Err(Spent::Interrupted);
        }
        let (order, less) = (Ordering::Relaxed, |left: u64| left.checked_sub(work));
        let spent = self.remaining.fetch_update(order, order, less);
        spent.map(drop).map_err(|_| Spent::Exhausted)
    }

    /// Adds `work` bytes, for what a user asked for by name.
    pub fn allow(&self, work: u64) {
        self.remaining.fetch_add(work, Ordering::Relaxed);
    }
}

/// Bytes that the items of one [`Kept`] may take, with their texts: the largest directory of a Nix store takes a third.
pub const MAX_KEPT_BYTES: usize = 24 << 20;

/// A list of what an input has many of, of at most [`MAX_KEPT_BYTES`].
#[derive(Debug)]
pub struct Kept<T> {
    items: Vec<T>,
    room: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            room: MAX_KEPT_BYTES,
        }
    }
}

impl<T> Kept<T> {
    /// Adds `item`, whose texts have `text_bytes` bytes on the heap.
    ///
    /// # Errors
    ///
    /// [`Spent::Exhausted`] if the list has no room for it.
    pub fn push(&mut self, item: T, text_bytes: usize) -> Result<(), Spent> {
        self.grow(size_of::<T>().saturating_add(text_bytes))?;
        self.items.push(item);
        Ok(())
    }

    /// Counts `bytes` that are added to an item of the list.
    ///
    /// # Errors
    ///
    /// [`Spent::Exhausted`] if the list has no room for them.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Spent> {
        self.room = self.room.checked_sub(bytes).ok_or(Spent::Exhausted)?;
        Ok(())
    }

    /// The last item.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.items.last_mut()
    }

    /// The items.
    pub fn into_vec(self) -> Vec<T> {
        self.items
    }
}

impl<T> Deref for Kept<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

/// A reader that fails beyond a limit, where [`Read::take`] would end as if the input did.
#[derive(Debug)]
pub struct Bounded<R> {
    inner: R,
    remaining: u64,
}

impl<R: Read> Bounded<R> {
    /// At most `limit` bytes of `inner`.
    pub fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            remaining: limit,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let left = self.remaining.checked_sub(n as u64);
        self.remaining =
            left.ok_or_else(|| io::Error::other("it unpacks to more than is allowed"))?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_with_its_work_and_with_the_run() {
        let cancel = Cancel::new();
        let budget = Budget::new(10, &cancel);
        assert_eq!(budget.spend(10), Ok(()));
        assert_eq!(budget.spend(1), Err(Spent::Exhausted));
        cancel.received(2);
        assert_eq!(budget.spend(0), Err(Spent::Interrupted));
    }

    #[test]
    fn a_list_has_room_for_its_items_and_their_texts() {
        let mut list = Kept::default();
        assert_eq!(list.push(1u64, MAX_KEPT_BYTES - 24), Ok(()));
        assert_eq!(list.push(2u64, 0), Ok(()));
        assert_eq!(list.push(3u64, 1), Err(Spent::Exhausted));
        assert_eq!(*list, [1, 2]);
    }
}
