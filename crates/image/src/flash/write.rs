//! Writes the image to the disk: one thread reads and decompresses, one hashes, and the caller's writes.
//!
//! At the end the disk reads like the image, from the disk's start to the image's end. Zeros of the image
//! (a hole, a long run of zeros, a block that the map omits) are not sent: the disk clears them itself
//! where it can. Otherwise they are read, which cards do several times faster than they write, and only
//! what is not zero is overwritten. Skipping them would be faster still, and wrong: blocks that file systems
//! expect to be zero (free entries of a FAT, a journal) are among them, and a used card has other data
//! there. The image's last block is padded with zeros.

use std::ops::Range;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::buffer::{BUFFER_COUNT, Buffer};
use super::check::check;
use super::pieces::{ImagePiece, PieceSender};
use super::runs::runs;
use super::source::FlashSource;
use super::state::{SharedWriteState, WriteState};
use super::target::{Target, explain};
use crate::blockmap::BlockMap;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
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
    pub(super) cleared: Vec<Range<u64>>,
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
        let check = scope.spawn(move || check(source, &pieces, &checked));
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
