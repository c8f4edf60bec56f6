//! Time-outs that count only the time in which this process ran.
//!
//! Part of the hall. A process that was stopped (Ctrl-Z, `kill -STOP`) finds the answer waiting when it
//! goes on, and must not take its own absence for somebody else's silence.

use std::time::Duration;

use tokio::task::coop::unconstrained;

/// What `work` gives; `None` when it took longer than `limit`. A stop counts as a moment.
pub async fn at_most<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    /// Long enough to cost nothing, short enough to be a moment.
    const TICK: Duration = Duration::from_millis(250);
    // Not `pin!`: the future would hold its work twice over.
    let (mut work, mut left) = (Box::pin(work), limit);
    loop {
        let tick = left.min(TICK);
        // Work that is never at a loss uses up the task's share of each turn; time passes all the same.
        let passes = unconstrained(tokio::time::sleep(tick));
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = passes => left = left.saturating_sub(tick),
        }
        if left.is_zero() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_waited_for_and_silence_is_not() {
        let soon = Duration::from_millis(300);
        let never = at_most(soon, std::future::pending::<()>());
        assert_eq!(never.await, None);
        let long = Duration::from_secs(60);
        assert_eq!(at_most(long, tokio::time::sleep(soon)).await, Some(()));
    }

    #[tokio::test]
    async fn work_that_never_rests_has_an_end_too() {
        let busy = async {
            loop {
                tokio::task::coop::consume_budget().await;
            }
        };
        assert_eq!(at_most::<()>(Duration::from_millis(300), busy).await, None);
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
        let waited = at_most(limit, answer);
        let (answered, ()) = tokio::join!(waited, async { stop(limit * 2) });
        assert_eq!(answered, Some(()));
    }
}
