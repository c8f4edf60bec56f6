//! Reads the image in order, as pieces of data and of zeros (holes are not even read), into buffers that the kernel can pass to a disk without a copy
//! (`O_DIRECT`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, SyncSender};

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use super::source::FlashSource;
use crate::blockmap::is_blank;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::Compression;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::to_usize::to_usize;

/// The operation in errors of the image.
const READ_IMAGE: &str = "read the image";

/// A part of the image.
#[derive(Debug)]
pub(super) enum ImagePiece {
    /// The position of the first byte, and the bytes.
    Data(u64, Buffer),
    /// The position of the first byte, and the number of bytes, which are zero.
    Blank(u64, u64),
}

/// Why the image was not sent to its end.
enum Stopped {
    /// The receiver is gone, and reports its own failure.
    ReceiverGone,
    /// Reading failed.
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Sends the pieces of an image.
pub(super) struct PieceSender<'a> {
    pub(super) source: &'a FlashSource,
    pub(super) cancel: &'a Cancel,
    /// Buffers to fill.
    pub(super) empty: Receiver<Buffer>,
    pub(super) full: SyncSender<Result<ImagePiece, Failure>>,
}

impl PieceSender<'_> {
    /// Sends all of the image, or the failure that ends it.
    pub(super) fn send(&self) {
        let sent = match self.source.image.compression {
            Compression::None => self.send_sparse(),
            Compression::Zstd | Compression::Xz | Compression::Gzip => self.send_decompressed(),
        };
        if let Err(Stopped::Failed(failure)) = sent {
            // A receiver that is gone reports its own failure.
            self.full.send(Err(failure)).ok();
        }
    }

    fn put(&self, piece: ImagePiece) -> Result<(), Stopped> {
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted().into());
        }
        let sent = self.full.send(Ok(piece));
        sent.map_err(|_| Stopped::ReceiverGone)
    }

    fn empty_buffer(&self) -> Result<Buffer, Stopped> {
        self.empty.recv().map_err(|_| Stopped::ReceiverGone)
    }

    /// Sends a file that is not compressed, hole by hole.
    fn send_sparse(&self) -> Result<(), Stopped> {
        let (file, size) = (self.source.image.file(), self.source.image.size);
        let mut at = 0;
        while at < size {
            let data = seek(file, at, Whence::SeekData, size)? / ALIGN * ALIGN;
            if data > at {
                self.put(ImagePiece::Blank(at, data.saturating_sub(at)))?;
                at = data;
            }
            let hole = seek(file, at, Whence::SeekHole, size)?;
            let end = hole.next_multiple_of(ALIGN).min(size);
            while at < end {
                let mut buffer = self.empty_buffer()?;
                let length = to_usize(end.saturating_sub(at));
                read_exact(file, buffer.resize(length), at)?;
                let next = at.saturating_add(buffer.bytes().len() as u64);
                self.put(ImagePiece::Data(at, buffer))?;
                at = next;
            }
        }
        Ok(())
    }

    fn send_decompressed(&self) -> Result<(), Stopped> {
        let fail = |error: crate::Error| error.fail(READ_IMAGE);
        let image = &self.source.image;
        let mut reader = image.reader(self.cancel, &|_| ()).map_err(fail)?;
        let mut at = 0_u64;
        loop {
            let mut buffer = self.empty_buffer()?;
            let length = reader.fill(buffer.space()).map_err(fail)?;
            buffer.set_len(length);
            if length > 0 {
                self.put(ImagePiece::Data(at, buffer))?;
            }
            if length < BUFFER_BYTES {
                return Ok(());
            }
            at = at.saturating_add(length as u64);
        }
    }
}

fn read_exact(file: &File, space: &mut [u8], at: u64) -> Result<(), Failure> {
    file.read_exact_at(space, at).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Failure::environment("the image became shorter while it was read")
        } else {
            Failure::new(Class::Environment, error).context(READ_IMAGE)
        }
    })
}

/// The next data or hole at or after `at`. A file system that does not know holes has data only.
fn seek(file: &File, at: u64, whence: Whence, size: u64) -> Result<u64, Failure> {
    let offset = i64::try_from(at).or_environment(READ_IMAGE)?;
    match lseek(file, offset, whence) {
        Ok(found) => Ok(u64::try_from(found).unwrap_or(size).clamp(at, size)),
        Err(Errno::EINVAL) if matches!(whence, Whence::SeekData) => Ok(at),
        // No more data: the rest is a hole. Or holes are unknown: the rest is data.
        Err(Errno::ENXIO | Errno::EINVAL) => Ok(size),
        Err(error) => Err(error).or_environment(READ_IMAGE),
    }
}

/// The alignment in bytes of buffers, reads and writes, and of their lengths: the size of a page, and the
/// largest logical block of disks.
pub(super) const ALIGN: u64 = 4096;
/// Bytes in a buffer: the erase block of many SD cards.
pub(super) const BUFFER_BYTES: usize = 4 << 20;
/// Buffers in use: one is filled, one hashed, one written, and one waits before each of two steps.
pub(super) const BUFFER_COUNT: usize = 5;

/// A buffer of [`BUFFER_BYTES`] that begins at a multiple of [`ALIGN`].
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        let align = to_usize(ALIGN);
        let memory = vec![0; BUFFER_BYTES.saturating_add(align)];
        // A vector's memory stays in place when the vector moves.
        let start = memory.as_ptr().align_offset(align).min(align);
        Self {
            memory,
            start,
            len: 0,
        }
    }

    /// The whole buffer, to be filled.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let space = self.memory.split_at_mut(self.start).1;
        space.split_at_mut(BUFFER_BYTES).0
    }

    /// Sets the length in bytes of the content, [`BUFFER_BYTES`] at most.
    fn set_len(&mut self, len: usize) {
        self.len = len.min(BUFFER_BYTES);
    }

    /// Sets the length of the content and returns it, to be overwritten.
    pub(super) fn resize(&mut self, len: usize) -> &mut [u8] {
        self.set_len(len);
        let len = self.len;
        self.space().split_at_mut(len).0
    }

    /// The content.
    pub(super) fn bytes(&self) -> &[u8] {
        self.first(self.len)
    }

    /// Sets the bytes between the end of the content and `end` to zero.
    pub(super) fn zero_until(&mut self, end: usize) {
        let start = self.len;
        if let Some(rest) = self.space().get_mut(start..end) {
            rest.fill(0);
        }
    }

    /// The first `len` bytes of the buffer, [`BUFFER_BYTES`] at most, whatever the length of the content.
    pub(super) fn first(&self, len: usize) -> &[u8] {
        let space = self.memory.split_at(self.start).1;
        space.split_at(len.min(BUFFER_BYTES)).0
    }
}

/// Bytes of the shortest run of zeros that is not written like data: a seek costs a card more.
const MIN_GAP_BYTES: usize = 64 << 10;

/// A part of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it has data; otherwise all bytes are zero.
    pub(super) is_data: bool,
}

/// The runs of data and the long runs of zeros in `bytes`, in order and without gaps.
pub(super) fn runs(bytes: &[u8]) -> Vec<Run> {
    let mut exact: Vec<Run> = Vec::new();
    let mut start = 0;
    for block in bytes.chunks(to_usize(ALIGN)) {
        let end = start + block.len();
        let is_data = !is_blank(block);
        append(
            &mut exact,
            Run {
                start,
                end,
                is_data,
            },
        );
        start = end;
    }
    let mut joined = Vec::new();
    let last = exact.len().saturating_sub(1);
    for (index, mut run) in exact.into_iter().enumerate() {
        // A run of zeros at an edge may continue in the next buffer.
        let is_inner = index > 0 && index < last;
        run.is_data |= is_inner && run.end.saturating_sub(run.start) < MIN_GAP_BYTES;
        append(&mut joined, run);
    }
    joined
}

/// Appends a run, joined with the last one of the same kind.
fn append(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.is_data == run.is_data => last.end = run.end,
        _ => runs.push(run),
    }
}

#[cfg(test)]
mod tests {
    use super::runs;
    use super::*;

    #[test]
    fn buffer_is_aligned_and_zero_padded() {
        let mut buffer = Buffer::new();
        assert_eq!(buffer.space().as_ptr().align_offset(4096), 0);
        buffer.space().fill(1);
        assert_eq!(buffer.resize(3).len(), 3);
        buffer.zero_until(5);
        assert_eq!(buffer.bytes(), [1, 1, 1]);
        assert_eq!(buffer.first(6), [1, 1, 1, 0, 0, 1]);
        assert_eq!(buffer.space().len(), BUFFER_BYTES);
    }

    #[test]
    fn long_runs_of_zeros_are_separated_from_data() {
        const KIB: usize = 1024;
        let mut bytes = vec![0; 400 * KIB];
        for at in [8 * KIB, 68 * KIB, 200 * KIB] {
            bytes[at] = 1;
        }
        let found: Vec<_> = runs(&bytes)
            .into_iter()
            .map(|run| (run.start / KIB, run.end / KIB, run.is_data))
            .collect();
        let expected = [
            (0, 8, false),
            (8, 72, true),
            (72, 200, false),
            (200, 204, true),
            (204, 400, false),
        ];
        assert_eq!(found, expected);
        assert!(runs(&[]).is_empty());
    }
}
