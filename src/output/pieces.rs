//! Pieces of a stream: how the stages of a copy pass bytes on to each other.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};

use bytes::Bytes;

/// The length of a piece in bytes; the last one of a stream may be shorter.
pub(super) const PIECE_BYTES: usize = 1 << 20;
/// Pieces that may wait for one stage: three of zstd's jobs, or its workers wait for the engine whenever they
/// have taken one. Stages share the pieces, so all queues together hold some 15 MiB, and as much again before a
/// decoder.
const QUEUED_PIECES: usize = 12;

/// The pieces that one stage receives, in order.
pub(super) type Pieces = Receiver<Bytes>;

/// Why a stream could not be passed on in pieces.
#[derive(Debug)]
pub(super) enum PieceError<E> {
    /// The stream could not be read.
    Read(io::Error),
    /// The handler of the pieces failed.
    Handler(E),
}

/// Calls `handle` with the pieces of `stream`, until it ends.
pub(super) fn for_each_piece<E>(
    mut stream: impl Read,
    mut handle: impl FnMut(Bytes) -> Result<(), E>,
) -> Result<(), PieceError<E>> {
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let mut next = stream.by_ref().take(PIECE_BYTES as u64);
        next.read_to_end(&mut piece).map_err(PieceError::Read)?;
        if piece.is_empty() {
            return Ok(());
        }
        handle(Bytes::from(piece)).map_err(PieceError::Handler)?;
    }
}

/// Sends the same pieces to several stages.
#[derive(Default)]
pub(super) struct Broadcast(Vec<SyncSender<Bytes>>);

impl Broadcast {
    /// Adds a stage, and returns what it receives from now on. Its pieces end when the broadcast is dropped.
    pub(super) fn subscribe(&mut self) -> Pieces {
        let (sender, receiver) = sync_channel(QUEUED_PIECES);
        self.0.push(sender);
        receiver
    }

    /// Sends a piece to all stages; waits for those that have a full queue. Fails if a stage has ended.
    pub(super) fn send(&self, piece: &Bytes) -> Result<(), SendError<Bytes>> {
        let mut stages = self.0.iter();
        stages.try_for_each(|stage| stage.send(piece.clone()))
    }
}

/// Reads the bytes of pieces.
pub(super) struct PieceReader {
    pieces: Pieces,
    current: Bytes,
}

impl PieceReader {
    pub(super) fn new(pieces: Pieces) -> Self {
        Self {
            pieces,
            current: Bytes::new(),
        }
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.recv() {
                Ok(piece) => self.current = piece,
                Err(_) => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        io::Read::read(&mut self.current.split_to(length).as_ref(), buffer)
    }
}
