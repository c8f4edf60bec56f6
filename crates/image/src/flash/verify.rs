//! Reads the disk back and compares it with the hashes that were computed while it was written.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::buffer::{ALIGN, BUFFER_BYTES, BUFFER_COUNT, Buffer};
use super::state::{SharedWriteState, WriteState};
use super::target::{Target, explain};
use super::write::Written;
use crate::blockmap::{BlockMap, Checker, Mismatch};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::to_usize::to_usize;

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
