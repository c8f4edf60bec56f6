//! Reads the disk back and compares it with the hashes that were taken while it was written.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::buffer::{ALIGN, BUFFER, BUFFERS, Buffer};
use super::state::{SharedWriteState, WriteState};
use super::target::Target;
use super::write::{Written, trouble};
use crate::blockmap::{BlockMap, Checker, Mismatch};
use crate::common::cancel::Cancel;
use crate::common::event::{Events, Phase};
use crate::common::failure::{Failure, OrFail as _};

/// Reads back what was written; zeros that were seen on the disk before need no second look.
pub fn verify(
    written: Written,
    target: &Target,
    (cancel, events, state): (&Cancel, &Events, &SharedWriteState),
) -> Result<(), Failure> {
    let operation = "read the disk back";
    target.forget().or_environment(operation)?;
    let stretches = stretches(&written.map, &written.zeroed, target);
    let total = stretches
        .iter()
        .map(|s| s.end.saturating_sub(s.start))
        .sum();
    let (give_back, empty) = sync_channel(BUFFERS);
    (0..BUFFERS).for_each(|_| give_back.send(Buffer::new()).unwrap_or(()));
    let (full, read) = sync_channel::<Result<(u64, Buffer), Failure>>(1);
    let size = written.map.image_size;
    let mut checker = Checker::new(written.map);
    let differs = |mismatch: Mismatch| {
        state.set(WriteState::Different);
        Failure::environment(match mismatch {
            Mismatch::Range { start, end } => {
                format!("bytes {start} to {end} read back differently")
            }
            Mismatch::NotBlank(at) => format!("what was cleared near byte {at} is not zero"),
            Mismatch::Length(at, _) => format!("the disk ends at byte {at}"),
        })
    };
    thread::scope(move |scope| {
        let reader = Reader {
            target,
            cancel,
            empty,
            full,
        };
        scope.spawn(move || reader.send(&stretches));
        let (mut at, mut done) = (0, 0_u64);
        for piece in read {
            let (start, buffer) = piece?;
            checker.blank(start.saturating_sub(at)).map_err(differs)?;
            // The last block is read whole, whatever is behind the image's end.
            let ours = size.saturating_sub(start).min(buffer.bytes().len() as u64);
            let bytes = buffer.padded(usize::try_from(ours).unwrap_or(0));
            checker.push(bytes).map_err(differs)?;
            at = start.saturating_add(ours);
            done = done.saturating_add(buffer.bytes().len() as u64);
            events.bytes(Phase::Verify, done, Some(total));
            give_back.send(buffer).unwrap_or(());
        }
        checker.blank(size.saturating_sub(at)).map_err(differs)?;
        checker.finish().map(drop).map_err(differs)
    })
}

/// What has to be read, in order: the blocks of the map and what was made zero.
fn stretches(map: &BlockMap, zeroed: &[Range<u64>], target: &Target) -> Vec<Range<u64>> {
    let whole = |start: u64, end: u64| start / ALIGN * ALIGN..target.whole_blocks(end);
    let mapped = map.ranges.iter().map(|r| whole(map.start(r), map.end(r)));
    let mut all: Vec<_> = mapped.chain(zeroed.iter().cloned()).collect();
    all.sort_by_key(|stretch| stretch.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for stretch in all {
        match joined.last_mut() {
            Some(last) if stretch.start <= last.end => last.end = last.end.max(stretch.end),
            _ => joined.push(stretch),
        }
    }
    joined
}

struct Reader<'a> {
    target: &'a Target,
    cancel: &'a Cancel,
    empty: Receiver<Buffer>,
    full: SyncSender<Result<(u64, Buffer), Failure>>,
}

impl Reader<'_> {
    fn send(&self, stretches: &[Range<u64>]) {
        for stretch in stretches {
            let mut at = stretch.start;
            while at < stretch.end {
                let n = stretch.end.saturating_sub(at).min(BUFFER as u64);
                // An error means that nobody listens any more: they have a reason of their own.
                let Ok(buffer) = self.empty.recv() else {
                    return;
                };
                let piece = self.read(at, usize::try_from(n).unwrap_or(0), buffer);
                let failed = piece.is_err();
                if self.full.send(piece).is_err() || failed {
                    return;
                }
                at = at.saturating_add(n);
            }
        }
    }

    fn read(&self, at: u64, n: usize, mut buffer: Buffer) -> Result<(u64, Buffer), Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let space = buffer.space().get_mut(..n).unwrap_or_default();
        let read = self.target.read(space, at).map_err(|e| trouble(&e));
        read.or_environment(format!("read back at byte {at}"))?;
        buffer.set_len(n);
        Ok((at, buffer))
    }
}
