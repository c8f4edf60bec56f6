//! The bytes that a phase processes. Pure.

use std::time::Duration;

use super::bar::Bar;

/// Bytes that a phase has processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) struct Transfer {
    pub(in crate::ui) done: u64,
    pub(in crate::ui) total: Option<u64>,
    /// The time since the phase started.
    pub(in crate::ui) took: Duration,
}

impl Transfer {
    /// The bytes that `bar` shows as processed.
    pub(super) fn shown(&self, bar: &Bar) -> Option<u64> {
        Some(self.done.min(bar.part_of(self.total?)))
    }
}
