//! The bytes that a phase processes. Pure.

use std::time::Duration;

/// Bytes that a phase has processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) struct Transfer {
    pub(in crate::ui) done: u64,
    pub(in crate::ui) total: Option<u64>,
    /// The time since the phase started.
    pub(in crate::ui) took: Duration,
}
