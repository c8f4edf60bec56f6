//! The stages that an image's bytes pass through, all at the same time: read, decompress, hash, map, compress
//! and write. Each stage has a thread of its own; pieces are shared, not copied.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;
use std::{io, thread};

use bytes::Bytes;

use crate::output::encode::{encoder, worker_count};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::{Compression, CompressionOptions};
use sdbuild_core::hash::{Hashed, Hasher, Hashing, Sha256Hash};
use sdbuild_core::to_usize::to_usize;
use sdbuild_image::blockmap::{BlockMap, Builder};
use sdbuild_image::disk::{ReadAt as Disk, Section};
use sdbuild_image::sparse_writer::SparseWriter;
use sdbuild_image::table::Table;
use sdbuild_image::{MAX_IMAGE_BYTES, decoder, table, zstd_content_size};

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

/// The tail is two pieces, since the last one may be short.
const TAIL_PIECES: usize = 2;

/// The first and the last bytes of an image, a megabyte of each at least, and its length.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadTail {
    len: u64,
    head: Bytes,
    /// The last pieces, each with its offset in the image.
    tail: VecDeque<(u64, Bytes)>,
}

impl HeadTail {
    /// Appends the next piece.
    pub(super) fn push(&mut self, piece: &Bytes) {
        if self.len == 0 {
            self.head = piece.slice(..piece.len().min(PIECE_BYTES));
        }
        if self.tail.len() >= TAIL_PIECES {
            self.tail.pop_front();
        }
        self.tail.push_back((self.len, piece.clone()));
        self.len = self.len.saturating_add(piece.len() as u64);
    }

    /// The length of the image in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The partition table; `None` if it cannot be read from the start and the end of the image.
    pub(super) fn table(&self, cancel: &Cancel) -> Option<Table> {
        table::read(&Section::whole(self.clone(), self.len, cancel)).ok()
    }
}

impl Disk for HeadTail {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let head = (0, self.head.clone());
        let rest = std::iter::once(&head)
            .chain(&self.tail)
            .find_map(|(start, bytes)| {
                let from = to_usize(at.checked_sub(*start)?);
                bytes.get(from..).filter(|rest| !rest.is_empty())
            });
        let mut rest = rest
            .ok_or_else(|| io::Error::other("only the start and the end of the image are kept"))?;
        io::Read::read(&mut rest, buffer)
    }
}

/// The longest header of a zstd frame in bytes (RFC 8878: magic, descriptor, window, dictionary, size).
pub(super) const MAX_ZSTD_HEADER_BYTES: u64 = 18;

/// The form that an image is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageForm {
    /// Not compressed; blocks of zeros become holes.
    Raw,
    /// Compressed by us.
    Compressed {
        options: CompressionOptions,
        /// The length of the raw image in bytes, where it is known before its end.
        raw_size: Option<u64>,
    },
    /// The build's compressed image, byte by byte.
    AsBuilt,
}

impl ImageForm {
    /// What is done with an image to write it in this form, in words.
    pub(super) fn writing(self) -> &'static str {
        match self {
            Self::Compressed { .. } => "copying it out of the builder, and compressing it",
            Self::Raw | Self::AsBuilt => "copying it out of the builder",
        }
    }
}

/// What is known about the build's image before all of it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct BuiltImage {
    /// Its length in bytes, as the engine sends it.
    size: u64,
    compression: Compression,
    /// The length of the raw image by its zstd header.
    header_size: Option<u64>,
}

impl BuiltImage {
    /// An image of `size` bytes that begins with `header`.
    pub(super) fn new(size: u64, compression: Compression, header: &[u8]) -> Self {
        let header_size = match compression {
            Compression::Zstd => zstd_content_size(header),
            Compression::None | Compression::Xz | Compression::Gzip => None,
        };
        Self {
            size,
            compression,
            header_size,
        }
    }

    /// The form for the compression that the user chose.
    pub(super) fn form(self, options: CompressionOptions) -> ImageForm {
        let built = self.compression;
        let compressed = |raw_size| ImageForm::Compressed { options, raw_size };
        if options.format == Compression::None {
            ImageForm::Raw
        } else if built == Compression::None {
            compressed(Some(self.size))
        } else if built == options.format
            // The build may have used another level than the one that was chosen.
            && options.level.is_none()
            && (built != Compression::Zstd || self.header_size.is_some())
        {
            ImageForm::AsBuilt
        } else {
            compressed(self.header_size)
        }
    }

    /// How many bytes the image may have when it is decompressed. A zstd frame cannot have more than its header was
    /// given.
    pub(super) fn max_raw_bytes(self, form: ImageForm) -> u64 {
        match form {
            ImageForm::Compressed {
                options,
                raw_size: Some(size),
            } if options.format == Compression::Zstd && self.compression != Compression::None => {
                size.min(MAX_IMAGE_BYTES)
            }
            ImageForm::Compressed { .. } | ImageForm::Raw | ImageForm::AsBuilt => MAX_IMAGE_BYTES,
        }
    }
}

/// Compressors return small pieces; this many bytes are written to the file at once.
const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// The last stage of a copy.
#[derive(Debug)]
pub(super) struct ImageWriter<'a> {
    /// The empty file that the image is written to.
    pub(super) file: &'a File,
    /// The form that the image gets.
    pub(super) form: ImageForm,
}

impl ImageWriter<'_> {
    /// Whether it takes what the engine sends, rather than the decompressed image.
    pub(super) fn takes_compressed(&self) -> bool {
        self.form == ImageForm::AsBuilt
    }

    /// Writes all pieces; `decompressing` says that a decoder runs at the same time. Returns length and hash of the
    /// file, or `None` if they are those of the raw image or if it was cancelled.
    pub(super) fn write(
        &self,
        pieces: &Pieces,
        decompressing: bool,
        cancel: &Cancel,
    ) -> io::Result<Option<Hashed>> {
        match self.form {
            ImageForm::Raw => self.sparse(pieces, cancel).map(|()| None),
            ImageForm::Compressed { options, raw_size } => {
                let workers = worker_count(options, decompressing);
                self.encoded(options, raw_size, workers, pieces, cancel)
            }
            ImageForm::AsBuilt => {
                let unchanged = CompressionOptions {
                    format: Compression::None,
                    level: None,
                };
                self.encoded(unchanged, None, 1, pieces, cancel)
            }
        }
    }

    fn sparse(&self, pieces: &Pieces, cancel: &Cancel) -> io::Result<()> {
        let mut writeback = Writeback::new(self.file);
        let mut writer = SparseWriter::new(|bytes, at| {
            self.file.write_all_at(bytes, at)?;
            writeback.start_up_to(at.saturating_add(bytes.len() as u64));
            Ok(())
        });
        for piece in pieces.iter().take_while(|_| !cancel.is_cancelled()) {
            writer.write(&piece)?;
        }
        let length = writer.finish()?;
        self.file.set_len(length)
    }

    fn encoded(
        &self,
        options: CompressionOptions,
        raw_size: Option<u64>,
        workers: u32,
        pieces: &Pieces,
        cancel: &Cancel,
    ) -> io::Result<Option<Hashed>> {
        let file = Hashing::new(Writeback::new(self.file));
        let file = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
        let mut encoder = encoder(options, raw_size, workers, file)?;
        for piece in pieces {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            encoder.write_all(&piece)?;
        }
        let file = encoder.finish()?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Some(file.finish()))
    }
}

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

#[cfg(test)]
mod tests;
