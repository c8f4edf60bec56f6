//! Writes the image to the disk: one thread reads and decompresses, one hashes and compares with the block map, and the caller's writes. Then the
//! disk is read back and compared with the hashes.
//!
//! At the end the disk reads like the image, from the disk's start to the image's end. Zeros of the image (a hole, a long run of zeros, a block that
//! the map omits) are not sent: the disk clears them itself where it can. Otherwise they are read, which cards do several times faster than they
//! write, and only what is not zero is overwritten. Skipping them would be faster still, and wrong: blocks that file systems expect to be zero (free
//! entries of a FAT, a journal) are among them, and a used card has other data there. The image's last block is padded with zeros.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{io, thread};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};
use nix::libc::{O_CLOEXEC, O_DIRECT, O_EXCL, off_t};
use nix::unistd::{Whence, lseek};

use super::pieces::{ALIGN, BUFFER_BYTES, BUFFER_COUNT, Buffer, ImagePiece, PieceSender, runs};
use super::source::{FlashSource, check_hash};
use crate::blockmap::{BlockMap, Builder, Checker, Mismatch};
use crate::sidecars::{ChecksumTarget, Expected};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::hash::Hasher;
use sdbuild_core::to_usize::to_usize;

/// Bytes that a disk is asked to clear at once. Cancellation is checked in between, and a card that clears
/// by writing zeros takes seconds for this many.
const CLEAR_BYTES: u64 = 256 << 20;

/// What was written, to be compared with what the disk reads.
#[derive(Debug)]
pub struct Written {
    /// The block map of the image.
    pub(super) map: BlockMap,
    /// Byte ranges that were cleared, in order. Other zeros were read as zeros before.
    cleared: Vec<Range<u64>>,
}

/// Writes the image of `source` to `target` (progress of `Phase::Flash`).
pub fn write(
    source: &FlashSource,
    target: &mut Target,
    context: &Context,
    state: &SharedWriteState,
) -> Result<Written, Failure> {
    let (recycle, empty) = sync_channel(BUFFER_COUNT);
    for _ in 0..BUFFER_COUNT {
        // The channel has room for all of them.
        recycle.send(Buffer::new()).ok();
    }
    let (full, pieces) = sync_channel(1);
    let (checked, ready) = sync_channel(1);
    let mut writer = Writer {
        target,
        context,
        state,
        blank: 0..0,
        cleared: Vec::new(),
        done: 0,
        total: Some(source.size).filter(|size| *size > 0),
    };
    let cancel = &context.cancel;
    let sender = PieceSender {
        source,
        cancel,
        empty,
        full,
    };
    // The closure owns all channel ends: when it returns early, no thread waits for the others.
    thread::scope(move |scope| {
        scope.spawn(move || sender.send());
        let check = scope.spawn(move || check_pieces(source, &pieces, &checked));
        for piece in ready {
            if cancel.is_cancelled() {
                return Err(Failure::interrupted());
            }
            writer.write(piece, &recycle)?;
        }
        let map = check.join();
        let map = map.map_err(|_| Failure::environment("hash the image: the thread ended"))??;
        writer.finish(map.image_size)?;
        let cleared = writer.cleared;
        Ok(Written { map, cleared })
    })
}

struct Writer<'a> {
    target: &'a mut Target,
    context: &'a Context,
    state: &'a SharedWriteState,
    /// Zeros of the image that the disk does not surely have yet.
    blank: Range<u64>,
    cleared: Vec<Range<u64>>,
    /// Bytes of the image that the disk has, zeros included.
    done: u64,
    /// The length of the image, if known.
    total: Option<u64>,
}

impl Writer<'_> {
    fn write(&mut self, piece: ImagePiece, recycle: &SyncSender<Buffer>) -> Result<(), Failure> {
        match piece {
            ImagePiece::Blank(at, count) => self.add_blank(at, count),
            ImagePiece::Data(at, mut buffer) => {
                self.write_buffer(at, &mut buffer)?;
                // The sender is gone after the last piece.
                recycle.send(buffer).ok();
                Ok(())
            }
        }
    }

    /// Adds zeros that are cleared later, together with those that follow.
    fn add_blank(&mut self, at: u64, count: u64) -> Result<(), Failure> {
        if self.blank.end != at {
            self.clear_blank()?;
            self.blank.start = at;
        }
        self.blank.end = at.saturating_add(count);
        Ok(())
    }

    /// Writes a buffer except its long runs of zeros.
    fn write_buffer(&mut self, at: u64, buffer: &mut Buffer) -> Result<(), Failure> {
        let end = at.saturating_add(buffer.bytes().len() as u64);
        let capacity = self.target.size;
        if end > capacity {
            let text = format!("the image is larger than the disk, which has {capacity} bytes");
            return Err(Failure::usage(text));
        }
        let whole = self.target.whole_blocks(end).saturating_sub(at);
        let whole = to_usize(whole);
        buffer.zero_until(whole);
        for run in runs(buffer.first(whole)) {
            let start = at.saturating_add(run.start as u64);
            if run.is_data {
                self.clear_blank()?;
                let bytes = buffer.first(run.end).split_at(run.start).1;
                self.write_at(bytes, start)?;
                self.report(bytes.len() as u64);
            } else {
                self.add_blank(start, (run.end.saturating_sub(run.start)) as u64)?;
            }
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), Failure> {
        self.state.set(WriteState::HalfWritten);
        let written = self.target.write(bytes, at);
        written
            .map_err(|error| explain(&error))
            .or_environment(format!("write at byte {at}"))
    }

    fn report(&mut self, more: u64) {
        self.done = self.done.saturating_add(more);
        let total = self.total.map(|total| total.max(self.done));
        self.context.events.bytes(Phase::Flash, self.done, total);
    }

    /// Clears the disk where the image has zeros.
    fn clear_blank(&mut self) -> Result<(), Failure> {
        let blank = std::mem::replace(&mut self.blank, 0..0);
        let end = self.target.whole_blocks(blank.end).min(self.target.size);
        let mut buffer = None;
        let mut at = blank.start;
        while at < end {
            if self.context.cancel.is_cancelled() {
                return Err(Failure::interrupted());
            }
            self.state.set(WriteState::HalfWritten);
            let rest = end.saturating_sub(at);
            let mut count = rest.min(CLEAR_BYTES);
            if !self.clear_by_disk(at, count)? {
                let buffer = buffer.get_or_insert_with(Buffer::new);
                let length = to_usize(rest);
                count = self.clear_by_writing(at, length, buffer)?;
            }
            at = at.saturating_add(count);
            self.report(count);
        }
        Ok(())
    }

    /// Asks the disk to clear `count` bytes; `false` when it cannot.
    fn clear_by_disk(&mut self, at: u64, count: u64) -> Result<bool, Failure> {
        let cleared = self
            .target
            .clear(at, count)
            .map_err(|error| explain(&error));
        let cleared = cleared.or_environment(format!("clear {count} bytes at byte {at}"))?;
        if cleared {
            self.add_cleared(at..at.saturating_add(count));
        }
        Ok(cleared)
    }

    fn add_cleared(&mut self, range: Range<u64>) {
        match self.cleared.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.cleared.push(range),
        }
    }

    /// Reads `length` bytes, or a buffer's length, and overwrites with zeros what is not zero. Returns how
    /// many bytes that were.
    fn clear_by_writing(
        &mut self,
        at: u64,
        length: usize,
        buffer: &mut Buffer,
    ) -> Result<u64, Failure> {
        let space = buffer.resize(length);
        let read = self.target.read(space, at).map_err(|error| explain(&error));
        read.or_environment(format!("read at byte {at}"))?;
        let runs = runs(space);
        let mut dirty = runs.iter().filter(|run| run.is_data);
        if let Some(first) = dirty.next() {
            let end = dirty.next_back().unwrap_or(first).end;
            space.fill(0);
            let zeros = space.get(first.start..end).unwrap_or_default();
            let start = at.saturating_add(first.start as u64);
            self.write_at(zeros, start)?;
            self.add_cleared(start..start.saturating_add(zeros.len() as u64));
        }
        Ok(space.len() as u64)
    }

    fn finish(&mut self, image_size: u64) -> Result<(), Failure> {
        if image_size > self.target.size {
            return Err(Failure::usage(format!(
                "the image has {image_size} bytes, the disk only {}",
                self.target.size
            )));
        }
        self.clear_blank()?;
        let synced = self.target.sync().map_err(|error| explain(&error));
        synced.or_environment("flush the disk")?;
        self.state.set(WriteState::NotVerified);
        Ok(())
    }
}

/// The block map: the one beside the image, or one that is made of the pieces.
enum MapCheck {
    Compare(Checker),
    Build(Builder),
}

impl MapCheck {
    fn push(&mut self, piece: &ImagePiece) -> Result<(), Failure> {
        match (self, piece) {
            (Self::Compare(checker), ImagePiece::Data(_, buffer)) => {
                checker.push(buffer.bytes()).map_err(other_image)
            }
            (Self::Compare(checker), ImagePiece::Blank(_, count)) => {
                checker.blank(*count).map_err(other_image)
            }
            (Self::Build(builder), ImagePiece::Data(_, buffer)) => {
                builder.push(buffer.bytes());
                Ok(())
            }
            (Self::Build(builder), ImagePiece::Blank(_, count)) => {
                builder.blank(*count);
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<BlockMap, Failure> {
        match self {
            Self::Compare(checker) => checker.finish().map_err(other_image),
            Self::Build(builder) => match builder.finish() {
                map if map.image_size == 0 => {
                    Err(Failure::usage("the image decompresses to nothing"))
                }
                map => Ok(map),
            },
        }
    }
}

/// Hashes the pieces and passes them on; fails at the first one that differs from the block map. Returns
/// the block map of the image.
fn check_pieces(
    source: &FlashSource,
    pieces: &Receiver<Result<ImagePiece, Failure>>,
    checked: &SyncSender<ImagePiece>,
) -> Result<BlockMap, Failure> {
    let mut map = match &source.map {
        Some(map) => MapCheck::Compare(Checker::new(map.clone())),
        None => MapCheck::Build(Builder::new()),
    };
    let expected = source.expected.as_ref();
    let raw = expected.filter(|expected| expected.of == ChecksumTarget::Raw);
    let mut raw: Option<(&Expected, Hasher)> = raw.map(|expected| (expected, Hasher::new()));
    for piece in pieces {
        let piece = piece?;
        // A compressed image, the only one with a hash of its decompressed bytes, has no blank pieces.
        if let (Some((_, hasher)), ImagePiece::Data(_, buffer)) = (&mut raw, &piece) {
            hasher.update(buffer.bytes());
        }
        map.push(&piece)?;
        if checked.send(piece).is_err() {
            // The writer is gone, and reports its own failure.
            return Err(Failure::interrupted());
        }
    }
    if let Some((expected, hasher)) = raw {
        check_hash(expected, hasher.finish().sha256)?;
    }
    map.finish()
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` passes it")]
fn other_image(mismatch: Mismatch) -> Failure {
    let text = format!("the image does not match its block map: {mismatch}");
    Failure::usage(text)
        .hint("the image is damaged, or the block map beside it is of another image")
}

/// A buffer that was read back, and its position on the disk.
type ReadBack = Result<(u64, Buffer), Failure>;

/// Reads back what was written and cleared (progress of `Phase::Verify`). Zeros that were read before the
/// write are not read again.
pub fn verify(
    written: Written,
    target: &Target,
    context: &Context,
    state: &SharedWriteState,
) -> Result<(), Failure> {
    target.drop_cache().or_environment("read the disk back")?;
    let ranges = ranges_to_read(&written.map, &written.cleared, target);
    let lengths = ranges
        .iter()
        .map(|range| range.end.saturating_sub(range.start));
    let total = lengths.sum();
    let (recycle, empty) = sync_channel(BUFFER_COUNT);
    for _ in 0..BUFFER_COUNT {
        // The channel has room for all of them.
        recycle.send(Buffer::new()).ok();
    }
    let (full, read) = sync_channel::<ReadBack>(1);
    let mut comparison = Comparison::new(written.map, state);
    thread::scope(move |scope| {
        let reader = RangeReader {
            target,
            cancel: &context.cancel,
            empty,
            full,
        };
        scope.spawn(move || reader.send(&ranges));
        let mut done = 0_u64;
        for buffer in read {
            let (start, buffer) = buffer?;
            comparison.compare(start, &buffer)?;
            done = done.saturating_add(buffer.bytes().len() as u64);
            context.events.bytes(Phase::Verify, done, Some(total));
            // The reader is gone after the last range.
            recycle.send(buffer).ok();
        }
        comparison.finish()
    })
}

/// Compares what was read with the block map.
struct Comparison<'a> {
    checker: Checker,
    position: u64,
    image_size: u64,
    state: &'a SharedWriteState,
}

impl<'a> Comparison<'a> {
    fn new(map: BlockMap, state: &'a SharedWriteState) -> Self {
        Self {
            position: 0,
            image_size: map.image_size,
            checker: Checker::new(map),
            state,
        }
    }

    fn compare(&mut self, start: u64, buffer: &Buffer) -> Result<(), Failure> {
        self.skip_blank_until(start)?;
        // The last block is read whole, whatever is behind the end of the image.
        let rest = to_usize(self.image_size.saturating_sub(start));
        let bytes = buffer.first(rest.min(buffer.bytes().len()));
        let result = self.checker.push(bytes);
        result.map_err(|mismatch| self.different(&mismatch))?;
        self.position = start.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Compares zeros that were read before the write.
    fn skip_blank_until(&mut self, end: u64) -> Result<(), Failure> {
        let result = self.checker.blank(end.saturating_sub(self.position));
        result.map_err(|mismatch| self.different(&mismatch))
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.skip_blank_until(self.image_size)?;
        let state = self.state;
        let result = self.checker.finish().map(drop);
        result.map_err(|mismatch| different(state, &mismatch))
    }

    fn different(&self, mismatch: &Mismatch) -> Failure {
        different(self.state, mismatch)
    }
}

fn different(state: &SharedWriteState, mismatch: &Mismatch) -> Failure {
    state.set(WriteState::Different);
    Failure::environment(match mismatch {
        Mismatch::Range { start, end } => format!("bytes {start} to {end} read back differently"),
        Mismatch::NotBlank(at) => format!("what was cleared near byte {at} is not zero"),
        Mismatch::Length(at, _) => format!("the disk ends at byte {at}"),
    })
}

/// The byte ranges to read, in order: the blocks of the map and what was cleared.
fn ranges_to_read(map: &BlockMap, cleared: &[Range<u64>], target: &Target) -> Vec<Range<u64>> {
    let aligned = |start: u64, end: u64| start / ALIGN * ALIGN..target.whole_blocks(end);
    let mapped = map.ranges.iter().map(|r| aligned(map.start(r), map.end(r)));
    let mut all: Vec<_> = mapped.chain(cleared.iter().cloned()).collect();
    all.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in all {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Reads ranges of the disk into buffers.
struct RangeReader<'a> {
    target: &'a Target,
    cancel: &'a Cancel,
    empty: Receiver<Buffer>,
    full: SyncSender<ReadBack>,
}

impl RangeReader<'_> {
    /// Sends all of `ranges`, or the failure that ends it.
    fn send(&self, ranges: &[Range<u64>]) {
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let length = range.end.saturating_sub(at).min(BUFFER_BYTES as u64);
                // A receiver that is gone reports its own failure.
                let Ok(buffer) = self.empty.recv() else {
                    return;
                };
                let read = self.read(at, length, buffer);
                let failed = read.is_err();
                if self.full.send(read).is_err() || failed {
                    return;
                }
                at = at.saturating_add(length);
            }
        }
    }

    fn read(&self, at: u64, length: u64, mut buffer: Buffer) -> ReadBack {
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let space = buffer.resize(to_usize(length));
        let read = self.target.read(space, at).map_err(|error| explain(&error));
        read.or_environment(format!("read back at byte {at}"))?;
        Ok((at, buffer))
    }
}

/// Bytes, and their position on a disk.
pub type DiskBlock = (u64, Vec<u8>);

/// A disk, or in tests a file, that an image is written to.
#[derive(Debug)]
pub struct Target {
    file: File,
    /// The length of the disk in bytes.
    pub size: u64,
    /// Whether reads and writes bypass the page cache.
    direct: bool,
    /// Whether the disk can clear ranges itself, as far as is known.
    can_clear: bool,
}

impl Target {
    /// Opens `path`. `O_EXCL` without `O_CREAT`: the kernel fails with `EBUSY` while a file system, a
    /// mapping or swap on the disk is in use, in any namespace.
    pub fn open(path: &Path) -> io::Result<Self> {
        let open = |flags| {
            let mut options = OpenOptions::new();
            options.read(true).write(true);
            options.custom_flags(flags | O_EXCL | O_CLOEXEC).open(path)
        };
        // Some file systems, which only tests write to, have no O_DIRECT.
        let (file, direct) = match open(O_DIRECT) {
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => (open(0)?, false),
            file => (file?, true),
        };
        let end = lseek(&file, 0, Whence::SeekEnd)?;
        Ok(Self {
            size: u64::try_from(end).map_err(io::Error::other)?,
            can_clear: true,
            direct,
            file,
        })
    }

    /// The number of the device.
    pub(super) fn number(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.rdev())
    }

    /// Writes all of `bytes` at `at`; both are multiples of [`ALIGN`] except at the end of the disk.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// Fills `bytes` from `at`.
    pub(super) fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// Writes `blocks`, the bytes by their position, in order, to the medium; with `verify` they are read back.
    pub fn change(&self, blocks: &[DiskBlock], verify: bool) -> io::Result<()> {
        let mut buffer = Buffer::new();
        let windows = || self.windows(blocks);
        for (range, blocks) in windows() {
            let bytes = self.fill(&mut buffer, &range)?;
            for (at, block) in blocks {
                let from = to_usize(at.saturating_sub(range.start));
                let part = bytes.get_mut(from..from.saturating_add(block.len()));
                part.ok_or(io::ErrorKind::InvalidInput)?
                    .copy_from_slice(block);
            }
            self.write(bytes, range.start)?;
        }
        self.sync()?;
        self.drop_cache()?;
        for (range, blocks) in windows().into_iter().filter(|_| verify) {
            let bytes = self.fill(&mut buffer, &range)?;
            for (at, block) in blocks {
                let from = to_usize(at.saturating_sub(range.start));
                if bytes.get(from..from.saturating_add(block.len())) != Some(block) {
                    return Err(io::Error::other(format!(
                        "byte {at} reads back differently"
                    )));
                }
            }
        }
        Ok(())
    }

    fn fill<'a>(&self, buffer: &'a mut Buffer, range: &Range<u64>) -> io::Result<&'a mut [u8]> {
        let bytes = buffer.resize(to_usize(range.end.saturating_sub(range.start)));
        self.read(bytes, range.start)?;
        Ok(bytes)
    }

    /// Aligned ranges, of at most a buffer's length, with the blocks that are in each.
    fn windows<'a>(&self, blocks: &'a [DiskBlock]) -> Vec<(Range<u64>, &'a [DiskBlock])> {
        let mut windows = Vec::new();
        let mut rest = blocks;
        while let Some((first, _)) = rest.first() {
            let mut range = first / ALIGN * ALIGN..*first;
            let limit = range.start.saturating_add(BUFFER_BYTES as u64);
            let taken = rest.iter().take_while(|(at, block)| {
                let end = self.whole_blocks(at.saturating_add(block.len() as u64));
                let fits = *at <= range.end && end <= limit;
                range.end = if fits { end } else { range.end };
                fits
            });
            let (blocks, after) = rest.split_at(taken.count().max(1));
            windows.push((range, blocks));
            rest = after;
        }
        windows
    }

    /// Asks the disk to set `len` bytes from `at` to zero; `false` when it cannot without writing zeros.
    fn clear(&mut self, at: u64, len: u64) -> io::Result<bool> {
        if !self.can_clear {
            return Ok(false);
        }
        // On a block device the kernel turns this into a "write zeroes" command, without a fallback.
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&self.file, mode, offset(at)?, offset(len)?) {
            Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {
                self.can_clear = false;
                Ok(false)
            }
            cleared => Ok(cleared.map(|()| true)?),
        }
    }

    /// Waits until everything that was written is on the medium.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Drops the page cache, so that later reads come from the medium.
    fn drop_cache(&self) -> io::Result<()> {
        if !self.direct {
            posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
        Ok(())
    }

    /// `end` rounded up to whole blocks, but not beyond the end of the disk unless `end` is.
    fn whole_blocks(&self, end: u64) -> u64 {
        end.next_multiple_of(ALIGN).min(self.size.max(end))
    }
}

/// The same error with what its number means for a card.
fn explain(error: &io::Error) -> io::Error {
    let text = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EIO) => "the disk reports an error: it, its reader or their contact is bad",
        Some(Errno::ENODEV | Errno::ENXIO | Errno::ENOMEDIUM) => "the disk is gone",
        Some(Errno::ENOSPC) => "the disk ends here",
        _ => return io::Error::new(error.kind(), error.to_string()),
    };
    io::Error::new(error.kind(), text)
}

fn offset(number: u64) -> io::Result<off_t> {
    off_t::try_from(number).map_err(io::Error::other)
}

/// Content of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteState {
    /// The previous content.
    Untouched,
    /// Neither what it held before nor the image.
    HalfWritten,
    /// The image, as far as the disk reports.
    NotVerified,
    /// All of the image was written, and it reads back differently.
    Different,
    /// The image, without the changes that were to be made to it.
    Unchanged,
}

const STATES: [WriteState; 5] = [
    WriteState::Untouched,
    WriteState::HalfWritten,
    WriteState::NotVerified,
    WriteState::Different,
    WriteState::Unchanged,
];

/// The state of the card, shared between the thread that writes and the one that waits for it.
#[derive(Clone, Debug)]
pub struct SharedWriteState(Arc<AtomicU8>);

impl SharedWriteState {
    /// An untouched card.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU8::new(WriteState::Untouched as u8)))
    }

    pub(super) fn set(&self, state: WriteState) {
        self.0.store(state as u8, Ordering::SeqCst);
    }

    /// Content of the card.
    pub fn get(&self) -> WriteState {
        let index = usize::from(self.0.load(Ordering::SeqCst));
        STATES
            .get(index)
            .copied()
            .unwrap_or(WriteState::HalfWritten)
    }

    /// Adds the state of the card to the failure of `operation`; one that the user declined is returned as it is.
    pub fn add_to(&self, failure: Failure, operation: &str) -> Failure {
        if failure.class == Class::Declined {
            return failure;
        }
        let (text, hint) = match self.get() {
            WriteState::Untouched => ("nothing was written", None),
            WriteState::HalfWritten => (
                "the card is half-written",
                Some("its old content is lost and it does not boot; flash it again"),
            ),
            WriteState::NotVerified => (
                "the card is written, but not fully verified",
                Some("it may work; flash it again to be sure"),
            ),
            WriteState::Different => (
                "the card is written, but does not hold the image",
                Some("a card that returns other data is worn out or reports a false size"),
            ),
            WriteState::Unchanged => (
                "the card has the image, but not the files that were to be put onto it",
                Some("flash it again"),
            ),
        };
        let failure = failure.context(format!("{operation} ({text})"));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl Default for SharedWriteState {
    fn default() -> Self {
        Self::new()
    }
}
