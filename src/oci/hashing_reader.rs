//! A package as it is read: whether it was what its pin says is known at its end.

use std::fs::File;
use std::io::{self, Read, Take};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::artifact::{Pin, Sha256Hash};
use crate::common::plain_file;

/// Hashes what is read through it. The package was looked at before; somebody may have written to the
/// cache since.
pub(super) struct HashingReader {
    inner: Take<File>,
    hasher: Sha256,
}

impl HashingReader {
    /// The file at `path`, no more of it than the package of `pin` has and one byte.
    pub(super) fn open(path: &Path, pin: &Pin) -> io::Result<Self> {
        Ok(Self {
            inner: plain_file::open(path)?.take(pin.size.saturating_add(1)),
            hasher: Sha256::new(),
        })
    }

    /// Reads the rest; whether all of it was the package of `pin`.
    pub(super) fn was(mut self, pin: &Pin) -> io::Result<bool> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(Sha256Hash::finish(self.hasher) == pin.sha256)
    }
}

impl Read for HashingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }
}
