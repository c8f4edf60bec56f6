//! The image as pieces, in order: what holes it has are not even read.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender};

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use super::buffer::{ALIGN, BUFFER, Buffer};
use super::source::{FromStart, Source};
use crate::common::cancel::Cancel;
use crate::common::compression::Compression;
use crate::common::failure::{Class, Failure, OrFail as _};
use crate::image::{decoder, wants_memory};

/// A stretch of the image.
#[derive(Debug)]
pub(super) enum Piece {
    /// These bytes at that place.
    Data(u64, Buffer),
    /// So many zeros at that place.
    Blank(u64, u64),
}

/// Where pieces come from and go to.
pub(super) struct Pieces<'a> {
    pub(super) source: &'a Source,
    pub(super) cancel: &'a Cancel,
    /// Buffers that may be filled.
    pub(super) empty: Receiver<Buffer>,
    pub(super) full: SyncSender<Result<Piece, Failure>>,
}

impl Pieces<'_> {
    /// Sends all of the image, and then nothing more or what went wrong.
    pub(super) fn send(&self) {
        let sent = match self.source.compression {
            Compression::None => self.sparse(),
            Compression::Zstd | Compression::Xz | Compression::Gzip => self.decompressed(),
        };
        if let Err(Some(failure)) = sent {
            // Nobody listens any more: then they have a reason of their own.
            self.full.send(Err(failure)).unwrap_or(());
        }
    }

    /// The error is `None` when nobody wants more.
    fn put(&self, piece: Piece) -> Result<(), Option<Failure>> {
        if self.cancel.is_cancelled() {
            return Err(Some(Failure::interrupted()));
        }
        self.full.send(Ok(piece)).map_err(|_| None)
    }

    fn empty(&self) -> Result<Buffer, Option<Failure>> {
        self.empty.recv().map_err(|_| None)
    }

    /// A file as it is, hole by hole.
    fn sparse(&self) -> Result<(), Option<Failure>> {
        let (file, size) = (&self.source.file, self.source.stored);
        let mut at = 0;
        while at < size {
            let data = seek(file, at, Whence::SeekData, size)? / ALIGN * ALIGN;
            if data > at {
                self.put(Piece::Blank(at, data.saturating_sub(at)))?;
                at = data;
            }
            let hole = seek(file, at, Whence::SeekHole, size)?;
            let end = hole.next_multiple_of(ALIGN).min(size);
            while at < end {
                let mut buffer = self.empty()?;
                let most = end.saturating_sub(at).min(BUFFER as u64);
                let mut part = FromStart { file, at }.take(most);
                let n = fill(&mut part, buffer.space()).or_environment("read the image");
                let n = n.map_err(Some)?;
                if n as u64 != most {
                    let text = "the image became shorter while it was read";
                    return Err(Some(Failure::environment(text)));
                }
                buffer.set_len(n);
                self.put(Piece::Data(at, buffer))?;
                at = at.saturating_add(most);
            }
        }
        Ok(())
    }

    fn decompressed(&self) -> Result<(), Option<Failure>> {
        let file = &self.source.file;
        let compression = self.source.compression;
        let broken = |error: io::Error| Some(broken(compression, &error));
        let mut decoder = decoder(compression, FromStart { file, at: 0 }).map_err(broken)?;
        let mut at = 0_u64;
        loop {
            let mut buffer = self.empty()?;
            let n = fill(&mut decoder, buffer.space()).map_err(broken)?;
            buffer.set_len(n);
            if n > 0 {
                self.put(Piece::Data(at, buffer))?;
            }
            if n < BUFFER {
                return Ok(());
            }
            at = at.saturating_add(n as u64);
        }
    }
}

fn broken(compression: Compression, error: &io::Error) -> Failure {
    let kind = format!("{compression:?}").to_lowercase();
    if wants_memory(error) {
        let text = "it takes more than 80 MiB of memory to decompress";
        return Failure::usage(text).hint(format!("decompress it with {kind} first"));
    }
    // What the machine failed at has a number; what the data are is only told in words.
    if error.raw_os_error().is_some() {
        return Failure::message(Class::Environment, format!("read the image: {error}"));
    }
    Failure::usage(format!("the image's {kind} data are damaged: {error}"))
        .hint("fetch or build the image again")
}

/// Fills `space` as far as there are bytes.
fn fill(from: &mut impl Read, space: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(left) = space.get_mut(filled..).filter(|left| !left.is_empty()) {
        match from.read(left) {
            Ok(0) => break,
            Ok(n) => filled = filled.saturating_add(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// The next data or hole; a file system that does not know has data only.
fn seek(file: &std::fs::File, at: u64, whence: Whence, size: u64) -> Result<u64, Option<Failure>> {
    let from = i64::try_from(at)
        .or_environment("read the image")
        .map_err(Some)?;
    match lseek(file, from, whence) {
        Ok(found) => Ok(u64::try_from(found).unwrap_or(size).clamp(at, size)),
        Err(Errno::EINVAL) if matches!(whence, Whence::SeekData) => Ok(at),
        // No more data: the rest is a hole. Or nobody knows of holes: the rest is data.
        Err(Errno::ENXIO | Errno::EINVAL) => Ok(size),
        Err(error) => Err(Some(Failure::environment(format!(
            "read the image: {error}"
        )))),
    }
}
