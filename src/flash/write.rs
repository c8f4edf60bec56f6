//! Image to disk: one thread reads and decompresses, one hashes, and this one writes.
//!
//! In the end the disk reads, from its start to the image's end, as the image does. What is zero in the
//! image (a hole, a long run of zeros, a block that the map leaves out) is not sent: the disk is told to
//! make it zero where it can, else it is read, which cards do several times faster than they write, and
//! only what is not zero is written. Leaving it as it was would be quicker still, and wrong: the blocks
//! that file systems expect to be zero (free entries of a FAT, a journal) lie there too, and a card that
//! was used before holds something else. The image's last block is filled up with zeros.

use std::io;
use std::ops::Range;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::buffer::{BUFFER, BUFFERS, Buffer};
use super::check::check;
use super::pieces::{Piece, Pieces};
use super::runs::runs;
use super::source::Source;
use super::state::{SharedWriteState, WriteState};
use super::target::Target;
use crate::blockmap::BlockMap;
use crate::common::cancel::Cancel;
use crate::common::event::{Events, Phase};
use crate::common::failure::{Failure, OrFail as _};

/// Bytes that a disk is told to make zero at once: in between we look whether to stop, and an order takes
/// a card seconds when it makes zeros by writing them.
const ORDER: u64 = 256 << 20;

/// What was written, for whoever reads it back.
#[derive(Debug)]
pub struct Written {
    /// The image's block map.
    pub(super) map: BlockMap,
    /// Stretches that were made zero, in bytes, in order; other zeros were seen to be zero already.
    pub(super) zeroed: Vec<Range<u64>>,
}

/// Writes the image of `source` to `target`.
pub fn write(
    source: &Source,
    target: &mut Target,
    (cancel, events, state): (&Cancel, &Events, &SharedWriteState),
) -> Result<Written, Failure> {
    let (give_back, empty) = sync_channel(BUFFERS);
    (0..BUFFERS).for_each(|_| give_back.send(Buffer::new()).unwrap_or(()));
    let (full, read) = sync_channel(1);
    let (checked, ready) = sync_channel(1);
    let mut writer = Writer {
        target,
        cancel,
        events,
        state,
        blank: 0..0,
        zeroed: Vec::new(),
        done: 0,
        total: Some(source.size).filter(|size| *size > 0),
    };
    let pieces = Pieces {
        source,
        cancel,
        empty,
        full,
    };
    // All ends of the channels go with the closure: when it is left early, nobody waits for ever.
    thread::scope(move |scope| {
        scope.spawn(move || pieces.send());
        let checking = scope.spawn(move || check(source, &read, &checked));
        for piece in ready {
            if cancel.is_cancelled() {
                return Err(Failure::interrupted());
            }
            writer.take(piece, &give_back)?;
        }
        let map = checking.join();
        let map = map.map_err(|_| Failure::environment("hash the image: the thread ended"))??;
        writer.finish(map.image_size)?;
        let zeroed = writer.zeroed;
        Ok(Written { map, zeroed })
    })
}

struct Writer<'a> {
    target: &'a mut Target,
    cancel: &'a Cancel,
    events: &'a Events,
    state: &'a SharedWriteState,
    /// Zeros of the image that were not yet seen to.
    blank: Range<u64>,
    zeroed: Vec<Range<u64>>,
    /// Bytes of the image that the disk holds, zeros too.
    done: u64,
    /// All of them, when that is known.
    total: Option<u64>,
}

impl Writer<'_> {
    fn take(&mut self, piece: Piece, give_back: &SyncSender<Buffer>) -> Result<(), Failure> {
        match piece {
            Piece::Blank(at, count) => self.skip(at, count),
            Piece::Data(at, mut buffer) => {
                self.data(at, &mut buffer)?;
                give_back.send(buffer).unwrap_or(());
                Ok(())
            }
        }
    }

    /// Notes zeros; those that follow each other are seen to at once.
    fn skip(&mut self, at: u64, count: u64) -> Result<(), Failure> {
        if self.blank.end != at {
            self.see_to_blank()?;
            self.blank.start = at;
        }
        self.blank.end = at.saturating_add(count);
        Ok(())
    }

    /// Writes a buffer but for its long runs of zeros.
    fn data(&mut self, at: u64, buffer: &mut Buffer) -> Result<(), Failure> {
        let end = at.saturating_add(buffer.bytes().len() as u64);
        let room = self.target.size;
        if end > room {
            let text = format!("the image is larger than the disk, which has {room} bytes");
            return Err(Failure::usage(text));
        }
        let whole = self.target.whole_blocks(end).saturating_sub(at);
        let whole = usize::try_from(whole).unwrap_or(BUFFER);
        buffer.zero_to(whole);
        for (from, to, is_data) in runs(buffer.padded(whole)) {
            let start = at.saturating_add(from as u64);
            if is_data {
                self.see_to_blank()?;
                let bytes = buffer.padded(to).get(from..).unwrap_or_default();
                self.put(bytes, start)?;
                self.tell(bytes.len() as u64);
            } else {
                self.skip(start, (to.saturating_sub(from)) as u64)?;
            }
        }
        Ok(())
    }

    fn put(&self, bytes: &[u8], at: u64) -> Result<(), Failure> {
        self.state.set(WriteState::HalfWritten);
        let written = self.target.write(bytes, at);
        written
            .map_err(|e| trouble(&e))
            .or_environment(format!("write at byte {at}"))
    }

    fn tell(&mut self, more: u64) {
        self.done = self.done.saturating_add(more);
        let total = self.total.map(|total| total.max(self.done));
        self.events.bytes(Phase::Flash, self.done, total);
    }

    /// Has the disk hold zeros where the image does.
    fn see_to_blank(&mut self) -> Result<(), Failure> {
        let blank = std::mem::replace(&mut self.blank, 0..0);
        let end = self.target.whole_blocks(blank.end).min(self.target.size);
        let mut buffer = None;
        let mut at = blank.start;
        while at < end {
            if self.cancel.is_cancelled() {
                return Err(Failure::interrupted());
            }
            self.state.set(WriteState::HalfWritten);
            let left = end.saturating_sub(at);
            let mut count = left.min(ORDER);
            if !self.order(at, count)? {
                count = left.min(BUFFER as u64);
                let buffer = buffer.get_or_insert_with(Buffer::new);
                self.clear(at, usize::try_from(count).unwrap_or(0), buffer)?;
            }
            at = at.saturating_add(count);
            self.tell(count);
        }
        Ok(())
    }

    /// Has the disk itself make zeros, if it can.
    fn order(&mut self, at: u64, count: u64) -> Result<bool, Failure> {
        let zeroed = self.target.zero(at, count).map_err(|e| trouble(&e));
        let zeroed = zeroed.or_environment(format!("clear {count} bytes at byte {at}"))?;
        if zeroed {
            self.note_zeroed(at..at.saturating_add(count));
        }
        Ok(zeroed)
    }

    fn note_zeroed(&mut self, range: Range<u64>) {
        match self.zeroed.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.zeroed.push(range),
        }
    }

    /// Reads `count` bytes, and writes zeros where there is something else.
    fn clear(&mut self, at: u64, count: usize, buffer: &mut Buffer) -> Result<(), Failure> {
        let space = buffer.space().get_mut(..count).unwrap_or_default();
        let read = self.target.read(space, at).map_err(|e| trouble(&e));
        read.or_environment(format!("read at byte {at}"))?;
        let mut dirty = 0..0;
        for (from, to, is_data) in runs(space) {
            if is_data {
                dirty = if dirty.is_empty() {
                    from..to
                } else {
                    dirty.start..to
                };
            }
        }
        if dirty.is_empty() {
            return Ok(());
        }
        space.fill(0);
        let zeros = space.get(dirty.clone()).unwrap_or_default();
        let start = at.saturating_add(dirty.start as u64);
        self.put(zeros, start)?;
        self.note_zeroed(start..start.saturating_add(zeros.len() as u64));
        Ok(())
    }

    fn finish(&mut self, image_size: u64) -> Result<(), Failure> {
        if image_size > self.target.size {
            return Err(Failure::usage(format!(
                "the image has {image_size} bytes, the disk only {}",
                self.target.size
            )));
        }
        self.see_to_blank()?;
        let synced = self.target.sync().map_err(|e| trouble(&e));
        synced.or_environment("write what the disk had not yet taken")?;
        self.state.set(WriteState::NotVerified);
        Ok(())
    }
}

/// What the kernel's numbers mean for a card.
pub(super) fn trouble(error: &io::Error) -> io::Error {
    let text = match error.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(nix::errno::Errno::EIO) => {
            "the disk reports an error: it, its reader or their contact is bad"
        }
        Some(
            nix::errno::Errno::ENODEV | nix::errno::Errno::ENXIO | nix::errno::Errno::ENOMEDIUM,
        ) => "the disk is gone",
        Some(nix::errno::Errno::ENOSPC) => "the disk ends here",
        _ => return io::Error::new(error.kind(), error.to_string()),
    };
    io::Error::new(error.kind(), text)
}
