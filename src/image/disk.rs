//! The bytes of a disk, and stretches of it. Every read is counted: what a damaged image can make
//! this room read is a small multiple of the image's size.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Error;
use crate::common::cancel::Cancel;

/// A small read costs as much as this many bytes.
const LEAST: u64 = 512;
/// What an image may cost besides four times its size: maps of old kinds cost more than the content.
const GRACE: u64 = 256 << 20;

/// Something that is read at any place.
pub trait ReadAt: Send + Sync {
    /// Reads at `at`, as [`std::os::unix::fs::FileExt::read_at`] does.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, at)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..));
        io::Read::read(&mut rest.unwrap_or_default(), buffer)
    }
}

/// What may still be read, and whether anybody wants it.
#[derive(Debug)]
struct Meter {
    left: AtomicU64,
    cancel: Cancel,
}

/// A stretch of a disk: all of it, or one partition.
#[derive(Clone)]
pub struct Section {
    bytes: Arc<dyn ReadAt>,
    meter: Arc<Meter>,
    start: u64,
    len: u64,
    promised: u64,
}

impl Section {
    /// All `len` bytes of `bytes`; reading ends when `cancel` is set.
    pub fn whole(bytes: impl ReadAt + 'static, len: u64, cancel: &Cancel) -> Self {
        let meter = Meter {
            left: AtomicU64::new(len.saturating_mul(4).saturating_add(GRACE)),
            cancel: cancel.clone(),
        };
        Self {
            bytes: Arc::new(bytes),
            meter: Arc::new(meter),
            start: 0,
            len,
            promised: len,
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Its length as whoever cut it out wanted it: more than there is on an image that is cut off.
    pub fn promised(&self) -> u64 {
        self.promised
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The stretch of `len` bytes from `start`, or what there is of it.
    #[must_use]
    pub fn part(&self, start: u64, len: u64) -> Self {
        let start = start.min(self.len);
        Self {
            start: self.start.saturating_add(start),
            len: len.min(self.len - start),
            promised: len,
            ..self.clone()
        }
    }

    /// Fills `buffer` from `at`.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let wanted = buffer.len() as u64;
        if at.checked_add(wanted).is_none_or(|end| end > self.len) {
            return Err(Error::damaged(format!(
                "byte {at} is wanted, where only {} are",
                self.len
            )));
        }
        self.pay(wanted)?;
        let at = self.start.saturating_add(at);
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.bytes.read_at(rest, at.saturating_add(done as u64)) {
                Ok(0) => return Err(Error::damaged("it shrank while it was read")),
                Ok(n) => done = done.saturating_add(n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// The `len` bytes at `at`. The callers' lengths are bounded by their formats.
    pub(super) fn block(&self, at: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut block = vec![0; len];
        self.read(at, &mut block)?;
        Ok(block)
    }

    fn pay(&self, wanted: u64) -> Result<(), Error> {
        if self.meter.cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let price = wanted.max(LEAST);
        let paid = self
            .meter
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(price)
            });
        paid.map(drop)
            .map_err(|_| Error::damaged("its structures lead round in circles"))
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Section({} + {})", self.start, self.len)
    }
}
