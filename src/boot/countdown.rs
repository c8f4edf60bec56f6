//! Time that runs out beside other things. A stop of ours (Ctrl-Z, `kill -STOP`) counts as a moment, as
//! it does everywhere: what came meanwhile is there to be read.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// What is counted down at a time, and the moment that a stop counts as.
const TICK: Duration = Duration::from_millis(250);

/// How much time is left.
#[derive(Debug)]
pub(super) struct Countdown {
    left: Duration,
    ticks: Interval,
}

impl Countdown {
    /// Begins with `limit`.
    pub(super) fn of(limit: Duration) -> Self {
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { left: limit, ticks }
    }

    /// Leaves `limit` at most.
    pub(super) fn shorten(&mut self, limit: Duration) {
        self.left = self.left.min(limit);
    }

    /// Waits until nothing is left. May be dropped at any time, and goes on where it was.
    pub(super) async fn is_up(&mut self) {
        while !self.left.is_zero() {
            self.ticks.tick().await;
            self.left = self.left.saturating_sub(TICK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stops the one thread that everything here runs on, as a signal stops a process.
    fn stop(length: Duration) {
        let start = std::time::Instant::now();
        while start.elapsed() < length {
            std::thread::park_timeout(length);
        }
    }

    #[tokio::test]
    async fn a_stop_counts_as_a_moment() {
        let limit = 4 * TICK;
        let mut left = Countdown::of(limit);
        stop(2 * limit);
        let goes_on = async {
            // The first tick is due at once; the next ones take their time again.
            tokio::time::sleep(TICK).await;
        };
        tokio::select! {
            biased;
            () = left.is_up() => panic!("the stop was counted"),
            () = goes_on => {}
        }
        left.is_up().await;
    }

    #[tokio::test]
    async fn it_goes_on_where_it_was_and_can_be_shortened() {
        let mut left = Countdown::of(Duration::from_secs(3600));
        for _ in 0..3 {
            tokio::select! {
                () = left.is_up() => panic!("an hour is not over"),
                () = tokio::time::sleep(TICK) => {}
            }
        }
        left.shorten(TICK);
        left.is_up().await;
    }
}
