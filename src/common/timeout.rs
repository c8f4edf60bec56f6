//! Time-outs that count only the time in which this process ran.
//!
//! Part of the hall. A process that was stopped (Ctrl-Z, `kill -STOP`) finds the answer waiting when it
//! goes on, and must not take its own absence for somebody else's silence.

use std::pin::Pin;
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep};

/// What is counted down at a time, and the moment that a stop counts as: long enough to cost nothing,
/// short enough to be a moment.
const TICK: Duration = Duration::from_millis(250);

/// What `work` gives; `None` when it took longer than `limit`. A stop counts as a moment.
pub async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut left = ActiveTimer::of(limit);
    // Not `pin!`: the future would hold its work twice over.
    let mut work = Box::pin(work);
    tokio::select! {
        biased;
        done = &mut work => Some(done),
        // Work that is never at a loss uses up the task's share of each turn; time passes all the same.
        () = unconstrained(left.is_up()) => None,
    }
}

/// Time that runs out beside other things. A stop counts as a moment.
#[derive(Debug)]
pub struct ActiveTimer {
    /// With what is being counted.
    left: Duration,
    counted: Duration,
    tick: Pin<Box<Sleep>>,
}

impl ActiveTimer {
    /// Begins with `limit`.
    pub fn of(limit: Duration) -> Self {
        let counted = limit.min(TICK);
        Self {
            left: limit,
            counted,
            tick: Box::pin(sleep(counted)),
        }
    }

    /// Leaves `limit` at most, or what is being counted just now.
    pub fn shorten(&mut self, limit: Duration) {
        self.left = self.left.min(limit);
    }

    /// Waits until nothing is left. May be dropped at any time, and goes on where it was.
    pub async fn is_up(&mut self) {
        while !self.left.is_zero() {
            self.tick.as_mut().await;
            self.left = self.left.saturating_sub(self.counted);
            self.counted = self.left.min(TICK);
            // From now, not from when it was due: that may be a stop ago.
            self.tick.as_mut().reset(Instant::now() + self.counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_waited_for_and_silence_is_not() {
        let soon = Duration::from_millis(300);
        let never = timeout(soon, std::future::pending::<()>());
        assert_eq!(never.await, None);
        let long = Duration::from_secs(60);
        assert_eq!(timeout(long, tokio::time::sleep(soon)).await, Some(()));
    }

    #[tokio::test]
    async fn work_that_never_rests_has_an_end_too() {
        let busy = async {
            loop {
                tokio::task::coop::consume_budget().await;
            }
        };
        assert_eq!(timeout::<()>(Duration::from_millis(300), busy).await, None);
    }

    /// Stops the one thread that everything here runs on, as a signal stops a process.
    fn stop(length: Duration) {
        let start = std::time::Instant::now();
        while start.elapsed() < length {
            std::thread::park_timeout(length);
        }
    }

    /// After a stop of a minute both the answer and the end of the time for it were there; the time won,
    /// and the engine was said to be silent.
    #[tokio::test]
    async fn a_stop_is_nobodys_silence() {
        let answer = async {
            // It has a way to go through other tasks, as a connection's has.
            tokio::time::sleep(Duration::from_millis(50)).await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_millis(500);
        let waited = timeout(limit, answer);
        let (answered, ()) = tokio::join!(waited, async { stop(limit * 2) });
        assert_eq!(answered, Some(()));
    }

    #[tokio::test]
    async fn a_stop_counts_as_a_moment() {
        let limit = 4 * TICK;
        let mut left = ActiveTimer::of(limit);
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
        let mut left = ActiveTimer::of(Duration::from_secs(3600));
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
