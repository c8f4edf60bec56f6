//! What happens to an image's bytes on their way, all of it at the same time: read and unpacked, hashed,
//! mapped, compressed and written. Each stage has a thread; pieces are shared, never copied, and few
//! of them wait between two stages.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use bytes::Bytes;

use super::head_tail::HeadTail;
use super::image_writer::ImageWriter;
use crate::blockmap::{BlockMap, Builder};
use crate::common::cancel::Cancel;
use crate::common::compression::Compression;
use crate::common::hash::{Hashed, Hasher, Sha256Hash};
use crate::image::decoder;

/// Bytes that go from stage to stage at once.
pub(super) const PIECE: usize = 1 << 20;
/// Pieces that wait for one stage: three of zstd's jobs, or its workers wait for the engine whenever they
/// have taken one. Stages share them, so all together are some 15 MiB, and as many before a decoder.
const WAITING: usize = 12;

/// Why a stage ended early.
#[derive(Debug)]
pub(super) enum StageError {
    /// What comes from the engine cannot be read.
    Source(io::Error),
    /// The engine sent so many bytes, and not those that it announced.
    Short(u64),
    /// The build's own compression is damaged.
    Packed(io::Error),
    /// More is unpacked than may be.
    TooLarge,
    /// The output cannot be written.
    Target(io::Error),
    /// The run was asked to stop.
    Stopped,
    /// Another stage ended: its own trouble counts.
    Gone,
    /// A bug.
    Panicked,
}

/// What is done with a stream.
pub(super) struct StageInput<'a> {
    /// Bytes that the engine announced.
    pub(super) size: u64,
    /// How the build compressed it.
    pub(super) packed: Compression,
    /// Bytes that may come out when it is unpacked.
    pub(super) limit: u64,
    /// What becomes of it.
    pub(super) store: ImageWriter<'a>,
    /// Ends it between two pieces.
    pub(super) cancel: &'a Cancel,
    /// Told of every piece from the engine, by the bytes so far.
    pub(super) tell: &'a (dyn Fn(u64) + Sync),
}

/// What came out.
#[derive(Debug)]
pub(super) struct StageOutput {
    /// SHA-256 of the image, not compressed.
    pub(super) raw_sha256: Sha256Hash,
    /// Its block map.
    pub(super) map: BlockMap,
    /// Its start, its end and its length.
    pub(super) ends: HeadTail,
    /// Length and SHA-256 of what was written.
    pub(super) written: Hashed,
}

/// One stage's input.
pub(super) type Pieces = Receiver<Bytes>;

/// Sends `from` through all stages, to its end.
pub(super) fn run_stages(
    from: impl Read,
    work: &StageInput<'_>,
) -> Result<StageOutput, StageError> {
    thread::scope(|scope| {
        let (mut raw, mut packed) = (Broadcast::default(), Broadcast::default());
        let (to_hash, to_map) = (raw.out(), raw.out());
        let through = work.store.passes_through();
        let to_store = if through { packed.out() } else { raw.out() };
        let hash = scope.spawn(move || digest(&to_hash));
        let map = scope.spawn(move || block_map(&to_map));
        let store = scope.spawn(move || work.store.take(&to_store, work.unpacks(), work.cancel));
        let (came, ends) = if work.packed == Compression::None {
            let mut ends = HeadTail::default();
            let came = work.read(from, |piece| {
                ends.push(&piece);
                raw.send(&piece)
            });
            drop(raw);
            (came, Ok(ends))
        } else {
            let to_unpack = packed.out();
            let unpack = scope.spawn(move || work.unpack(to_unpack, &raw));
            let came = work.read(from, |piece| packed.send(&piece));
            drop(packed);
            (came, join(unpack).and_then(|unpacked| unpacked))
        };
        let mut troubles = Vec::new();
        let mut keep = |trouble| troubles.push(trouble);
        let came = came.map_err(&mut keep).ok();
        let ends = ends.map_err(&mut keep).ok();
        let written = join(store).and_then(|written| written);
        let written = written.map_err(&mut keep).ok();
        let (hash, map) = (join(hash).map_err(&mut keep), join(map).map_err(&mut keep));
        match (came, ends, written, hash, map) {
            (Some(()), Some(ends), Some(written), Ok(raw_sha256), Ok(map)) => Ok(StageOutput {
                raw_sha256,
                map,
                written: written.unwrap_or(Hashed {
                    sha256: raw_sha256,
                    size: ends.len(),
                }),
                ends,
            }),
            _ => Err(reason(troubles)),
        }
    })
}

/// The reason of all the others. They are in the order of the stream: who comes later may just wonder
/// that its input is short; and whoever could not hand on says only that.
fn reason(troubles: Vec<StageError>) -> StageError {
    let echo = |trouble: &StageError| matches!(trouble, StageError::Gone);
    let first = troubles.into_iter().min_by_key(echo);
    first.unwrap_or(StageError::Panicked)
}

fn join<T>(stage: ScopedJoinHandle<'_, T>) -> Result<T, StageError> {
    stage.join().map_err(|_| StageError::Panicked)
}

impl StageInput<'_> {
    /// Whether a decoder takes part.
    fn unpacks(&self) -> bool {
        self.packed != Compression::None
    }

    /// Hands on what the engine sends, all of it.
    fn read(
        &self,
        from: impl Read,
        mut hand_on: impl FnMut(Bytes) -> Result<(), StageError>,
    ) -> Result<(), StageError> {
        let mut came = 0u64;
        pieces(from, |piece| {
            if self.cancel.is_cancelled() {
                return Err(StageError::Stopped);
            }
            came = came.saturating_add(piece.len() as u64);
            (self.tell)(came);
            hand_on(piece)
        })
        .map_err(|trouble| trouble.unwrap_or_else(StageError::Source))?;
        if came == self.size {
            Ok(())
        } else {
            Err(StageError::Short(came))
        }
    }

    /// Unpacks what comes, to its end.
    fn unpack(&self, from: Pieces, raw: &Broadcast) -> Result<HeadTail, StageError> {
        let mut from = Reading {
            pieces: from,
            rest: Bytes::new(),
        };
        let mut ends = HeadTail::default();
        let decoder = decoder(self.packed, &mut from).map_err(StageError::Packed)?;
        pieces(decoder, |piece| {
            ends.push(&piece);
            if ends.len() > self.limit {
                return Err(StageError::TooLarge);
            }
            raw.send(&piece)
        })
        .map_err(|trouble| trouble.unwrap_or_else(StageError::Packed))?;
        // A decoder that knows its end need not ask for the stream's.
        io::copy(&mut from, &mut io::sink()).map_err(StageError::Packed)?;
        Ok(ends)
    }
}

/// Cuts `from` into pieces. The error is the reader's, or what `each` said.
fn pieces(
    mut from: impl Read,
    mut each: impl FnMut(Bytes) -> Result<(), StageError>,
) -> Result<(), Result<StageError, io::Error>> {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let mut part = from.by_ref().take(PIECE as u64);
        part.read_to_end(&mut piece).map_err(Err)?;
        if piece.is_empty() {
            return Ok(());
        }
        each(Bytes::from(piece)).map_err(Ok)?;
    }
}

/// The ways to the stages that take the same pieces.
#[derive(Default)]
struct Broadcast(Vec<SyncSender<Bytes>>);

impl Broadcast {
    fn out(&mut self) -> Pieces {
        let (sender, receiver) = sync_channel(WAITING);
        self.0.push(sender);
        receiver
    }

    fn send(&self, piece: &Bytes) -> Result<(), StageError> {
        let gone = |_| StageError::Gone;
        let mut outs = self.0.iter();
        outs.try_for_each(|out| out.send(piece.clone()).map_err(gone))
    }
}

/// Pieces as a reader.
struct Reading {
    pieces: Pieces,
    rest: Bytes,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.recv() {
                Ok(piece) => self.rest = piece,
                Err(_) => return Ok(0),
            }
        }
        let now = self.rest.split_to(buffer.len().min(self.rest.len()));
        io::Read::read(&mut now.as_ref(), buffer)
    }
}

fn digest(pieces: &Pieces) -> Sha256Hash {
    let mut hash = Hasher::new();
    for piece in pieces {
        hash.update(&piece);
    }
    hash.finish().sha256
}

fn block_map(pieces: &Pieces) -> BlockMap {
    let mut map = Builder::new();
    for piece in pieces {
        map.push(&piece);
    }
    map.finish()
}

#[cfg(test)]
mod tests;
