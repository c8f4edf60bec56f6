//! How fast bytes arrive now. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// What arrived longer ago does not count.
const WINDOW: Duration = Duration::from_secs(10);
/// A shorter time says nothing about the rate.
const MIN_SPAN: Duration = Duration::from_secs(1);
/// Bytes within this time are one sample, which bounds the samples.
const SAMPLE: Duration = Duration::from_millis(250);

/// The bytes that arrived lately.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// All bytes until a time.
    samples: VecDeque<(Duration, u64)>,
    total: u64,
}

impl Rate {
    /// Counts `bytes` that arrived at the time `at`.
    pub(super) fn add(&mut self, bytes: u64, at: Duration) {
        self.total = self.total.saturating_add(bytes);
        match self.samples.back_mut() {
            Some((since, total)) if at.saturating_sub(*since) < SAMPLE => *total = self.total,
            Some(_) | None => self.samples.push_back((at, self.total)),
        }
        while self.samples.len() > 1
            && self
                .samples
                .front()
                .is_some_and(|(since, _)| at.saturating_sub(*since) > WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Bytes and the time in which they arrived; `None` while that is too short, or when nothing arrives any more.
    pub(super) fn latest(&self, at: Duration) -> Option<(u64, Duration)> {
        let ((start, before), (end, _)) = (self.samples.front()?, self.samples.back()?);
        let span = at.saturating_sub(*start);
        let is_current = at.saturating_sub(*end) < WINDOW / 2;
        (span >= MIN_SPAN && is_current).then(|| (self.total.saturating_sub(*before), span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_that_of_the_last_seconds() {
        let second = Duration::from_secs(1);
        let mut rate = Rate::default();
        rate.add(1_000, second);
        assert_eq!(rate.latest(second), None);
        for at in 2..=40 {
            rate.add(5_000_000, second * at);
        }
        let (bytes, span) = rate.latest(second * 40).unwrap();
        assert_eq!(bytes / span.as_secs(), 5_000_000);
        assert!(span <= WINDOW + second && rate.samples.len() < 50);
        // A stall is not shown as the speed before it.
        assert_eq!(rate.latest(second * 46), None);
    }
}
