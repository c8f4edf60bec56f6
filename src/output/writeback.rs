//! Starts writing a file to disk while it grows, so that little is left for the final sync.

use std::fs::File;
use std::io::{self, Write};

/// Bytes after which writing to disk is started: a fraction of a second's work for a slow disk.
const WRITEBACK_BYTES: u64 = 8 << 20;

/// A file that is written from start to end.
#[derive(Debug)]
pub(super) struct Writeback<'a> {
    file: &'a File,
    /// How many bytes were written through [`Write`].
    written: u64,
    /// The offset up to which writing to disk was started.
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

    /// Starts writing to disk what was written to the file before the offset `end`.
    pub(super) fn start_up_to(&mut self, end: u64) {
        let count = end.saturating_sub(self.started);
        if count < WRITEBACK_BYTES {
            return;
        }
        // A file is never longer than an i64.
        if let (Ok(offset), Ok(count)) = (i64::try_from(self.started), i64::try_from(count)) {
            start_writing(self.file, offset, count);
        }
        self.started = end;
    }
}

/// The kernel starts writing pages that get this advice; it drops only those that are on disk already, and none of these is.
/// A file system that ignores it writes them at the sync.
#[cfg(target_os = "linux")]
fn start_writing(file: &File, offset: i64, count: i64) {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    use std::os::fd::AsFd as _;
    let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
    posix_fadvise(file.as_fd(), offset, count, advice).ok();
}

/// Other kernels write everything at the sync.
#[cfg(not(target_os = "linux"))]
fn start_writing(_: &File, _: i64, _: i64) {}

impl Write for Writeback<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written = self.written.saturating_add(n as u64);
        self.start_up_to(self.written);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
