//! How long the phases of a run took.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::event::{Event, Events, Phase, PhaseTimes};

/// How long each phase that succeeded took, in the order in which they first ended.
#[derive(Clone, Debug, Default)]
pub struct Timings(Arc<Mutex<Vec<(Phase, Duration)>>>);

impl Timings {
    /// Records the phases that end in the events emitted to the result, and passes all events on to `events`.
    pub fn listen(&self, events: &Events) -> Events {
        let (timings, events) = (self.clone(), events.clone());
        Events::new(move |event| {
            if let Event::Finished(phase, took) = event {
                timings.add(phase, took);
            }
            events.emit(event);
        })
    }

    /// Records that `phase` took this time, in addition to what it took before.
    pub fn add(&self, phase: Phase, took: Duration) {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match recorded.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, all)) => *all += took,
            None => recorded.push((phase, took)),
        }
    }

    /// The times recorded so far.
    pub fn so_far(&self) -> Vec<(Phase, Duration)> {
        let recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.clone()
    }

    /// The same in milliseconds.
    pub fn in_millis(&self) -> PhaseTimes {
        let millis = |took: Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let times = self.so_far().into_iter();
        times.map(|(phase, took)| (phase, millis(took))).collect()
    }
}
