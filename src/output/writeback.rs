//! Has the disk begin with what was just written, so that little is left to wait for in the end.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Bytes after which the disk is told again: a fraction of a second's work for a slow one.
const STRETCH: u64 = 8 << 20;

/// A file that is written from start to end.
#[derive(Debug)]
pub(super) struct Writeback<'a> {
    file: &'a File,
    /// How much was written through [`Write`].
    written: u64,
    /// Up to where writing to the disk was started.
    started: u64,
}

impl<'a> Writeback<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self {
            file,
            written: 0,
            started: 0,
        }
    }

    /// All before `end` was written.
    pub(super) fn upto(&mut self, end: u64) {
        let count = end.saturating_sub(self.started);
        if count < STRETCH {
            return;
        }
        let [at, count] = [self.started, count].map(|n| i64::try_from(n).unwrap_or(0));
        // The kernel begins to write such pages. It forgets those that are on the disk already, and none of
        // these is. A file system that cannot do it does it in the end.
        let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
        posix_fadvise(self.file.as_fd(), at, count, advice).ok();
        self.started = end;
    }
}

impl Write for Writeback<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written = self.written.saturating_add(n as u64);
        self.upto(self.written);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
