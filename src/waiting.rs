//! Time-outs that count only the time in which this process ran.
//!
//! Part of the hall. A process that was stopped (Ctrl-Z, `kill -STOP`) finds the answer waiting when it
//! goes on, and must not take its own absence for somebody else's silence.

use std::time::Duration;

/// What `work` gives; `None` when it took longer than `limit`. A stop counts as a moment.
pub async fn at_most<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    /// Long enough to cost nothing, short enough to be a moment.
    const TICK: Duration = Duration::from_millis(250);
    // Not `pin!`: the future would hold its work twice over.
    let (mut work, mut left) = (Box::pin(work), limit);
    loop {
        let tick = left.min(TICK);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = tokio::time::sleep(tick) => left = left.saturating_sub(tick),
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
}
