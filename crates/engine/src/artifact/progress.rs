//! The progress of several downloads in one number, reported a few times a second.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sdbuild_core::event::{Events, Phase};

/// Progress is reported at most once in this time.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

/// The progress of all downloads of one call.
pub(super) struct Progress<'a> {
    events: &'a Events,
    phase: Phase,
    total: Option<u64>,
    counter: Mutex<Counter>,
}

struct Counter {
    done: u64,
    reported: Option<Instant>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(events: &'a Events, phase: Phase, total: Option<u64>) -> Self {
        Self {
            events,
            phase,
            total,
            counter: Mutex::new(Counter {
                done: 0,
                reported: None,
            }),
        }
    }

    /// Counts `bytes` that were received or that the cache had.
    pub(super) fn add(&self, bytes: u64) {
        self.change(|done| done.saturating_add(bytes));
    }

    /// Subtracts `bytes` that were discarded.
    pub(super) fn subtract(&self, bytes: u64) {
        self.change(|done| done.saturating_sub(bytes));
    }

    fn change(&self, new: impl FnOnce(u64) -> u64) {
        let Ok(mut counter) = self.counter.lock() else {
            return;
        };
        counter.done = new(counter.done);
        let complete = self.total == Some(counter.done);
        let is_due = |last: Instant| last.elapsed() >= REPORT_INTERVAL;
        if complete || counter.reported.is_none_or(is_due) {
            counter.reported = Some(Instant::now());
            self.events.bytes(self.phase, counter.done, self.total);
        }
    }
}
