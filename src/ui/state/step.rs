//! A step within a build that makes a file system or an image: how far it is, and what it weighs in the progress. Pure.

use crate::common::nix_event::StepUnit;
use crate::ui::words;

/// Bytes of an image that are written or read in the time that one byte takes to download: 100 MB/s to 10 MB/s.
const BYTES_PER_DOWNLOADED: u64 = 10;
/// What a copied store path weighs, in bytes of a download: its some 4 MB are written.
const PATH_WEIGHT: u64 = 400_000;

/// A report about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) struct Step {
    unit: StepUnit,
    done: u64,
    expected: u64,
}

impl Step {
    /// `done` of `expected`, and never more.
    pub(super) fn new(unit: StepUnit, done: u64, expected: u64) -> Self {
        Self {
            unit,
            done: done.min(expected),
            expected,
        }
    }

    /// Whether this is a later report about the step of `before`.
    pub(super) fn continues(&self, before: &Self) -> bool {
        self.unit == before.unit && self.done >= before.done && self.expected >= before.expected
    }

    /// What is done of it, in bytes of a download that takes as long.
    pub(super) fn done_weight(&self) -> u64 {
        self.weigh(self.done)
    }

    /// What the whole step weighs.
    pub(super) fn weight(&self) -> u64 {
        self.weigh(self.expected)
    }

    fn weigh(&self, amount: u64) -> u64 {
        match self.unit {
            StepUnit::Bytes => amount / BYTES_PER_DOWNLOADED,
            StepUnit::Paths => amount.saturating_mul(PATH_WEIGHT),
        }
    }

    /// What is done of all of it, for users: `12 of 42 MB`, `3 of 9 store paths`.
    pub(in crate::ui) fn words(&self) -> String {
        match self.unit {
            StepUnit::Bytes => words::amount(self.done, self.expected),
            StepUnit::Paths => format!("{} of {} store paths", self.done, self.expected),
        }
    }
}
