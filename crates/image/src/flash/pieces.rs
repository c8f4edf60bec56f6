//! Reads the image in order, as pieces of data and of zeros: holes are not even read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, SyncSender};

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use super::buffer::{ALIGN, BUFFER_BYTES, Buffer};
use super::source::FlashSource;
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
