//! A step within a build that makes a file system or an image: how far it is. Pure.

use crate::common::nix_event::StepUnit;
use crate::ui::words;

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

    /// What is done of all of it, for users: `12 of 42 MB`, `3 of 9 store paths`.
    pub(in crate::ui) fn words(&self) -> String {
        match self.unit {
            StepUnit::Bytes => words::amount(self.done, self.expected),
            StepUnit::Paths => format!("{} of {} store paths", self.done, self.expected),
        }
    }
}
