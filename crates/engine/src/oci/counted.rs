//! A file that reports how much of it is read.

use std::io::{self, Read};

/// Reports how much is read.
pub(super) struct Counted<'a, F> {
    pub(super) file: F,
    pub(super) count: &'a (dyn Fn(u64) + Sync),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        (self.count)(read as u64);
        Ok(read)
    }
}
