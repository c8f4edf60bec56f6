//! Timeouts that count only the time in which this process ran.
//!
//! A process that was stopped (Ctrl-Z, `kill -STOP`) finds the response waiting when it continues, and must not report
//! the time of its own stop as a silence of the other end.

use std::pin::Pin;
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep};

use crate::failure::Failure;

/// The time that is counted at once, and what a stop of any length counts as at most.
const TICK: Duration = Duration::from_millis(250);

/// The output of `work`; `None` when it takes longer than `limit`. A stop of this process counts as a quarter of a second
/// at most.
pub async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut timer = ActiveTimer::new(limit);
    // With `pin!` the future would be twice as large.
    let mut work = Box::pin(work);
    tokio::select! {
        biased;
        output = &mut work => Some(output),
        // Work that is always ready uses up the task's budget, without which the timer would never be polled.
        () = unconstrained(timer.expired()) => None,
    }
}

/// The output of `work`, see [`timeout`]; a failure of the environment when it takes longer than `limit`.
pub async fn finish_within<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let output = timeout(limit, work).await;
    output.ok_or_else(|| Failure::environment(format!("not finished after {} s", limit.as_secs())))
}

/// A timer that does not count the time in which this process is stopped.
#[derive(Debug)]
pub struct ActiveTimer {
    /// Includes the tick that is being counted.
    remaining: Duration,
    current_tick: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl ActiveTimer {
    /// A timer that expires after `limit`.
    pub fn new(limit: Duration) -> Self {
        let current_tick = limit.min(TICK);
        Self {
            remaining: limit,
            current_tick,
            sleep: Box::pin(sleep(current_tick)),
        }
    }

    /// Reduces the remaining time to `limit`, rounded up to the end of the current tick.
    pub fn shorten(&mut self, limit: Duration) {
        self.remaining = self.remaining.min(limit);
    }

    /// Waits until the timer has expired. Cancel safe. Counts one tick at most while it is not awaited.
    pub async fn expired(&mut self) {
        while !self.remaining.is_zero() {
            self.sleep.as_mut().await;
            self.remaining = self.remaining.saturating_sub(self.current_tick);
            self.current_tick = self.remaining.min(TICK);
            // From now: the time at which the last tick was due may lie before a stop.
            self.sleep
                .as_mut()
                .reset(Instant::now() + self.current_tick);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_may_take_as_long_as_the_limit() {
        let soon = Duration::from_millis(300);
        let never = timeout(soon, std::future::pending::<()>());
        assert_eq!(never.await, None);
        let long = Duration::from_mins(1);
        assert_eq!(timeout(long, tokio::time::sleep(soon)).await, Some(()));
    }

    #[tokio::test]
    async fn work_that_is_always_ready_times_out() {
        let busy = async {
            loop {
                tokio::task::coop::consume_budget().await;
            }
        };
        assert_eq!(timeout::<()>(Duration::from_millis(300), busy).await, None);
    }

    /// Blocks the only thread of the runtime, as a signal stops a process.
    fn stop(length: Duration) {
        let start = std::time::Instant::now();
        while start.elapsed() < length {
            std::thread::park_timeout(length);
        }
    }

    /// After a stop of a minute both the response and the end of its timeout were ready. The timeout won, and the engine was
    /// reported as silent.
    #[tokio::test]
    async fn a_stop_is_not_reported_as_a_timeout() {
        let response = async {
            // It takes several polls, as a connection's does.
            tokio::time::sleep(Duration::from_millis(50)).await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_millis(500);
        let waited = timeout(limit, response);
        let (responded, ()) = tokio::join!(waited, async { stop(limit * 2) });
        assert_eq!(responded, Some(()));
    }

    #[tokio::test]
    async fn a_stop_counts_as_one_tick() {
        let limit = 4 * TICK;
        let mut timer = ActiveTimer::new(limit);
        stop(2 * limit);
        // The first tick is due at once, the next ones are not.
        tokio::select! {
            biased;
            () = timer.expired() => panic!("the stop was counted"),
            () = tokio::time::sleep(TICK) => {}
        }
        timer.expired().await;
    }

    #[tokio::test]
    async fn a_timer_resumes_and_can_be_shortened() {
        let mut timer = ActiveTimer::new(Duration::from_hours(1));
        for _ in 0..3 {
            tokio::select! {
                () = timer.expired() => panic!("an hour is not over"),
                () = tokio::time::sleep(TICK) => {}
            }
        }
        timer.shorten(TICK);
        timer.expired().await;
    }
}
