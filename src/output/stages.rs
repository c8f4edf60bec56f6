//! The stages that an image's bytes pass through, all at the same time: read, decompress, hash, map, compress
//! and write. Each stage has a thread of its own; pieces are shared, not copied.

use std::io::{self, Read};
use std::thread::{self, ScopedJoinHandle};

use bytes::Bytes;

use super::head_tail::HeadTail;
use super::image_writer::ImageWriter;
use super::pieces::{Broadcast, PieceError, PieceReader, Pieces, for_each_piece};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::Compression;
use sdbuild_core::hash::{Hashed, Hasher, Sha256Hash};
use sdbuild_image::blockmap::{BlockMap, Builder};
use sdbuild_image::decoder;

/// Why a stage ended early.
#[derive(Debug)]
pub(super) enum StageError {
    /// The stream from the engine could not be read.
    Source(io::Error),
    /// The stream from the engine ended after this many bytes, which are not as many as it announced.
    WrongSize(u64),
    /// The build's own compression is damaged.
    Decompress(io::Error),
    /// The build's image decompresses to more than is allowed.
    TooLarge,
    /// The output could not be written.
    Target(io::Error),
    /// The run was interrupted.
    Cancelled,
    /// Another stage, which this one sends to, has ended: its error is the cause.
    ReceiverGone,
    /// A stage panicked, which is a bug.
    Panicked,
}

/// A stream, and what is done with it.
pub(super) struct StageInput<'a> {
    /// How many bytes the engine announced.
    pub(super) size: u64,
    /// How the build compressed the image.
    pub(super) compression: Compression,
    /// How many bytes the image may have when it is decompressed.
    pub(super) max_raw_bytes: u64,
    /// Writes the output.
    pub(super) writer: ImageWriter<'a>,
    /// Ends all stages between two pieces.
    pub(super) cancel: &'a Cancel,
    /// Is called for every piece from the engine with the number of bytes so far.
    pub(super) on_progress: &'a (dyn Fn(u64) + Sync),
}

/// What the stages found out about an image.
#[derive(Debug)]
pub(super) struct StageOutput {
    /// SHA-256 of the raw image.
    pub(super) raw_sha256: Sha256Hash,
    /// The block map of the raw image.
    pub(super) block_map: BlockMap,
    /// The start, the end and the length of the raw image.
    pub(super) head_tail: HeadTail,
    /// Length and SHA-256 of the file that was written.
    pub(super) written: Hashed,
}

/// Sends `stream` through all stages, to its end.
pub(super) fn run_stages(
    stream: impl Read,
    input: &StageInput<'_>,
) -> Result<StageOutput, StageError> {
    thread::scope(|scope| {
        let (mut raw, mut compressed) = (Broadcast::default(), Broadcast::default());
        let (to_hash, to_map) = (raw.subscribe(), raw.subscribe());
        let to_write = if input.writer.takes_compressed() {
            compressed.subscribe()
        } else {
            raw.subscribe()
        };
        let hash = scope.spawn(move || hash(&to_hash));
        let map = scope.spawn(move || map_blocks(&to_map));
        let write = scope.spawn(move || input.write(&to_write));

        let (read, head_tail) = if input.decompresses() {
            let to_decompress = compressed.subscribe();
            let decompress = scope.spawn(move || input.decompress(to_decompress, &raw));
            let read = input.read(stream, |piece| send(&compressed, &piece));
            drop(compressed);
            (read, join(decompress).flatten())
        } else {
            let mut head_tail = HeadTail::default();
            let read = input.read(stream, |piece| {
                head_tail.push(&piece);
                send(&raw, &piece)
            });
            drop(raw);
            (read, Ok(head_tail))
        };
        let written = join(write).flatten();
        let (raw_sha256, block_map) = (join(hash), join(map));

        match (read, head_tail, written, raw_sha256, block_map) {
            (Ok(()), Ok(head_tail), Ok(written), Ok(raw_sha256), Ok(block_map)) => {
                Ok(StageOutput {
                    raw_sha256,
                    block_map,
                    written: written.unwrap_or(Hashed {
                        sha256: raw_sha256,
                        size: head_tail.len(),
                    }),
                    head_tail,
                })
            }
            (read, head_tail, written, raw_sha256, block_map) => {
                let errors = [
                    read.err(),
                    head_tail.err(),
                    written.err(),
                    raw_sha256.err(),
                    block_map.err(),
                ];
                Err(cause(errors.into_iter().flatten()))
            }
        }
    })
}

/// The error that caused all the others. `errors` are in the order of the stream: a later stage may fail just
/// because its input is short, and a stage whose receiver is gone says only that.
fn cause(errors: impl Iterator<Item = StageError>) -> StageError {
    let is_echo = |error: &StageError| matches!(error, StageError::ReceiverGone);
    errors.min_by_key(is_echo).unwrap_or(StageError::Panicked)
}

fn join<T>(stage: ScopedJoinHandle<'_, T>) -> Result<T, StageError> {
    stage.join().map_err(|_| StageError::Panicked)
}

fn send(stages: &Broadcast, piece: &Bytes) -> Result<(), StageError> {
    stages.send(piece).map_err(|_| StageError::ReceiverGone)
}

impl StageInput<'_> {
    fn decompresses(&self) -> bool {
        self.compression != Compression::None
    }

    /// Passes on what the engine sends, all of it.
    fn read(
        &self,
        stream: impl Read,
        mut pass_on: impl FnMut(Bytes) -> Result<(), StageError>,
    ) -> Result<(), StageError> {
        let mut received = 0u64;
        for_each_piece(stream, |piece| {
            if self.cancel.is_cancelled() {
                return Err(StageError::Cancelled);
            }
            received = received.saturating_add(piece.len() as u64);
            (self.on_progress)(received);
            pass_on(piece)
        })
        .map_err(|error| match error {
            // The stream fails when the run is interrupted.
            PieceError::Read(_) if self.cancel.is_cancelled() => StageError::Cancelled,
            PieceError::Read(error) => StageError::Source(error),
            PieceError::Handler(error) => error,
        })?;
        if received == self.size {
            Ok(())
        } else {
            Err(StageError::WrongSize(received))
        }
    }

    /// Decompresses what is received, to its end.
    fn decompress(&self, compressed: Pieces, raw: &Broadcast) -> Result<HeadTail, StageError> {
        let mut compressed = PieceReader::new(compressed);
        let mut head_tail = HeadTail::default();
        let decoder = decoder(self.compression, &mut compressed);
        for_each_piece(decoder.map_err(StageError::Decompress)?, |piece| {
            head_tail.push(&piece);
            if head_tail.len() > self.max_raw_bytes {
                return Err(StageError::TooLarge);
            }
            send(raw, &piece)
        })
        .map_err(|error| match error {
            PieceError::Read(error) => StageError::Decompress(error),
            PieceError::Handler(error) => error,
        })?;
        // A decoder that recognises its end need not read the stream's.
        io::copy(&mut compressed, &mut io::sink()).map_err(StageError::Decompress)?;
        Ok(head_tail)
    }

    /// Writes what is received. Returns length and hash of the file, unless they are those of the raw image.
    fn write(&self, pieces: &Pieces) -> Result<Option<Hashed>, StageError> {
        let written = self.writer.write(pieces, self.decompresses(), self.cancel);
        // Also when the compressor failed: it was given half an image.
        if self.cancel.is_cancelled() {
            return Err(StageError::Cancelled);
        }
        written.map_err(StageError::Target)
    }
}

fn hash(pieces: &Pieces) -> Sha256Hash {
    let mut hasher = Hasher::new();
    for piece in pieces {
        hasher.update(&piece);
    }
    hasher.finish().sha256
}

fn map_blocks(pieces: &Pieces) -> BlockMap {
    let mut map = Builder::new();
    for piece in pieces {
        map.push(&piece);
    }
    map.finish()
}

#[cfg(test)]
mod tests;
