//! Bytes of several downloads in one figure, told a few times a second.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::common::event::{Events, Phase};

/// No more often than this.
const EVERY: Duration = Duration::from_millis(100);

/// The common progress of the downloads of one call.
pub(super) struct Progress<'a> {
    events: &'a Events,
    total: Option<u64>,
    state: Mutex<State>,
}

struct State {
    done: u64,
    told: Option<Instant>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(events: &'a Events, total: Option<u64>) -> Self {
        Self {
            events,
            total,
            state: Mutex::new(State {
                done: 0,
                told: None,
            }),
        }
    }

    /// `bytes` more are there.
    pub(super) fn forward(&self, bytes: u64) {
        self.change(|done| done.saturating_add(bytes));
    }

    /// `bytes` were thrown away.
    pub(super) fn back(&self, bytes: u64) {
        self.change(|done| done.saturating_sub(bytes));
    }

    fn change(&self, to: impl FnOnce(u64) -> u64) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        state.done = to(state.done);
        let complete = self.total == Some(state.done);
        if complete || state.told.is_none_or(|told| told.elapsed() >= EVERY) {
            state.told = Some(Instant::now());
            self.events.bytes(Phase::Fetch, state.done, self.total);
        }
    }
}
