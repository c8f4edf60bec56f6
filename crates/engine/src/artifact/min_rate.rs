//! Notices a source that sends, but next to nothing.

use std::time::Duration;

use sdbuild_core::timeout::ActiveTimer;

/// Bytes per second below which a source counts as one that hangs: with them 30 MB take eight hours.
const MIN_RATE: u64 = 1024;

/// Measures whether a source sends at least [`MIN_RATE`].
pub(super) struct MinRate {
    /// The time over which the rate is measured.
    limit: Duration,
    timer: ActiveTimer,
    /// Bytes since the timer was started.
    received: u64,
}

impl MinRate {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: ActiveTimer::new(limit),
            received: 0,
        }
    }

    /// The time over which the rate is measured.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Counts `bytes` that were received.
    pub(super) fn add(&mut self, bytes: u64) {
        self.received = self.received.saturating_add(bytes);
    }

    /// Waits until less was received within the limit than the rate requires. Cancel safe.
    pub(super) async fn too_slow(&mut self) {
        let min = u128::from(MIN_RATE) * self.limit.as_millis() / 1000;
        loop {
            self.timer.expired().await;
            if u128::from(self.received) < min {
                return;
            }
            self.received = 0;
            self.timer = ActiveTimer::new(self.limit);
        }
    }
}
