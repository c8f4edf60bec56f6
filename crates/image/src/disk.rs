//! The bytes of a disk and its partitions. Every read is counted: no image can cause more work than a small multiple of its size,
//! and one that claims to be huge no more than `MAX_WORK_BYTES`.

use std::fs::File;
use std::sync::Arc;
use std::{fmt, io};

use super::error::Error;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::to_usize::to_usize;
use sdbuild_core::untrusted::Budget;

/// Bytes that the smallest read counts as.
const MIN_READ_COST: u64 = 512;
/// Bytes that may be read besides four times the size of the image: the block maps of ext2 and ext3 need more
/// reads than the content.
const EXTRA_READ_BYTES: u64 = 256 << 20;
/// Bytes that may be read of one image, however long it is: structures of the largest systems have some hundred million.
const MAX_WORK_BYTES: u64 = 4 << 30;

/// Bytes that can be read at any position.
pub trait ReadAt: Send + Sync {
    /// Reads some bytes at `at`, as [`std::os::unix::fs::FileExt::read_at`] does. [`io::ErrorKind::InvalidData`] for what is
    /// damaged.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// The work of the reads since the last call besides the bytes that they returned, in bytes.
    fn take_work(&self) -> u64 {
        0
    }
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, at)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = self.get(to_usize(at)..);
        io::Read::read(&mut rest.unwrap_or_default(), buffer)
    }
}

/// A part of a disk: all of it, or one partition.
#[derive(Clone)]
pub struct Section {
    bytes: Arc<dyn ReadAt>,
    budget: Arc<Budget>,
    start: u64,
    len: u64,
    /// The length that was requested: larger than `len` on a truncated image.
    requested: u64,
}

impl Section {
    /// All `len` bytes of `bytes`; reads fail when `cancel` is set.
    pub fn whole(bytes: impl ReadAt + 'static, len: u64, cancel: &Cancel) -> Self {
        Self::held_in(len, bytes, len, cancel)
    }

    /// The same, for bytes that a file of `file_len` bytes holds in another form: what that states as `len` limits no reads.
    pub fn held_in(file_len: u64, bytes: impl ReadAt + 'static, len: u64, cancel: &Cancel) -> Self {
        let work = file_len.saturating_mul(4).saturating_add(EXTRA_READ_BYTES);
        Self {
            bytes: Arc::new(bytes),
            budget: Arc::new(Budget::new(work.min(MAX_WORK_BYTES), cancel)),
            start: 0,
            len,
            requested: len,
        }
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The length in bytes that was requested from [`Section::part`]: larger than [`Section::len`] on a truncated
    /// image.
    pub fn requested_len(&self) -> u64 {
        self.requested
    }

    /// Whether the length is 0.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part of the `len` bytes from `start` that exists.
    #[must_use]
    pub fn part(&self, start: u64, len: u64) -> Self {
        let start = start.min(self.len);
        Self {
            start: self.start.saturating_add(start),
            len: len.min(self.len - start),
            requested: len,
            ..self.clone()
        }
    }

    /// Fills `buffer` with the bytes at `at`.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let wanted = buffer.len() as u64;
        if at.checked_add(wanted).is_none_or(|end| end > self.len) {
            return Err(Error::damaged(format!(
                "{wanted} bytes at byte {at} are beyond its end at {}",
                self.len
            )));
        }
        self.spend(wanted)?;
        let at = self.start.saturating_add(at);
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let read = self.bytes.read_at(rest, at.saturating_add(done as u64));
            self.budget.spend(self.bytes.take_work())?;
            match read {
                Ok(0) => return Err(Error::damaged("it became shorter while it was read")),
                Ok(n) => done = done.saturating_add(n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                    return Err(Error::damaged(e.to_string()));
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// The `len` bytes at `at`. Callers request lengths that their formats bound.
    pub(super) fn block(&self, at: u64, len: u64) -> Result<Vec<u8>, Error> {
        let mut block = vec![0; to_usize(len)];
        self.read(at, &mut block)?;
        Ok(block)
    }

    /// Counts `wanted` bytes as read. Holes are counted too: they take time, and no space on the disk bounds them.
    pub(super) fn spend(&self, wanted: u64) -> Result<(), Error> {
        Ok(self.budget.spend(wanted.max(MIN_READ_COST))?)
    }

    /// Lets as many bytes more be read as it has.
    pub(super) fn allow_copy(&self) {
        self.budget.allow(self.len);
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Section({} + {})", self.start, self.len)
    }
}
