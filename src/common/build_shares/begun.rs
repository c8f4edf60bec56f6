//! A derivation that is being built, and about how long it takes on. Pure.

use std::time::Duration;

use super::typical;
use crate::common::nix_event::{NixEvent, StepUnit};

/// The rest of a derivation that takes longer than expected, in the time that it took so far: if its time was known …
const REST_OF_KNOWN: f64 = 0.5;
/// … if not, as of one that compiles a program …
const REST_OF_UNKNOWN: f64 = 3.0;
/// … and once it installs what it has made.
const REST_OF_ENDING: f64 = 0.25;
/// Bytes of an image that a step of a build writes or reads in a millisecond: 100 MB/s.
const STEP_BYTES_PER_MILLI: u64 = 100_000;
/// What a step of a build takes for a store path, in milliseconds: its some 4 MB are written.
const STEP_PATH_MILLIS: u64 = 40;

/// A derivation whose build began, and whose end Nix has not reported.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) name: String,
    /// The time that it got of the build's.
    pub(super) share: Duration,
    /// When it began.
    since: Duration,
    /// Whether it compiles nothing any more.
    is_ending: bool,
    /// What is left of its current step, at least.
    step: Duration,
}

impl Begun {
    pub(super) fn new(name: String, since: Duration) -> Self {
        Self {
            name,
            share: Duration::ZERO,
            since,
            is_ending: false,
            step: Duration::ZERO,
        }
    }

    /// How long it had been built at the time `at`.
    pub(super) fn took(&self, at: Duration) -> Duration {
        at.saturating_sub(self.since)
    }

    /// Notes what an event of this build tells about its rest.
    pub(super) fn look(&mut self, event: &NixEvent) {
        if let NixEvent::BuildPhase { phase, .. } = event {
            self.is_ending |= ["installPhase", "fixupPhase", "distPhase"].contains(&phase.as_str());
        } else if let NixEvent::Step {
            unit,
            done,
            expected,
            ..
        } = event
        {
            let left = expected.saturating_sub(*done);
            self.step = Duration::from_millis(match unit {
                StepUnit::Bytes => left / STEP_BYTES_PER_MILLI,
                StepUnit::Paths => left.saturating_mul(STEP_PATH_MILLIS),
            });
        }
    }

    /// About how long it takes on, of the time `known` at this `pace`, after the time `done`.
    pub(super) fn rest(&self, known: Option<Duration>, pace: f64, done: Duration) -> Duration {
        let part = match known {
            _ if self.is_ending => REST_OF_ENDING,
            Some(_) => REST_OF_KNOWN,
            None => REST_OF_UNKNOWN,
        };
        let all = known.unwrap_or(typical::SMALL).mul_f64(pace);
        let left = all.saturating_sub(done).max(done.mul_f64(part));
        left.max(self.step.mul_f64(pace))
    }
}
