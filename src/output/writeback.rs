//! Has the disk begin with what was just written, so that little is left to wait for in the end.

use std::fs::File;
use std::os::fd::AsFd as _;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Bytes after which the disk is told again: a fraction of a second's work for a slow one.
const STRETCH: u64 = 8 << 20;

/// A file that grows.
#[derive(Debug)]
pub(super) struct Writeback<'a> {
    file: &'a File,
    /// Where the disk was told up to.
    told: u64,
}

impl<'a> Writeback<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self { file, told: 0 }
    }

    /// All before `end` was written.
    pub(super) fn upto(&mut self, end: u64) {
        let count = end.saturating_sub(self.told);
        if count < STRETCH {
            return;
        }
        let [at, count] = [self.told, count].map(|n| i64::try_from(n).unwrap_or(0));
        // The kernel begins to write such pages. It forgets those that are on the disk already, and none of
        // these is. A file system that cannot do it does it in the end.
        let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
        posix_fadvise(self.file.as_fd(), at, count, advice).unwrap_or(());
        self.told = end;
    }
}
