//! How many blocks are on their way at a time: as many as the line carries without a call taking too long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// At the beginning: a call may take two minutes, and four blocks of 512 KiB take as long at 140 kbit/s.
const AT_FIRST: usize = 4;
/// AWS advises some 100 connections for its full speed; each holds half a MiB here.
pub(super) const AT_MOST: usize = 48;
/// A call that takes longer shows that the line is full.
pub(super) const SLOW: Duration = Duration::from_secs(20);

/// Lets more calls run at a time while they are fast, and fewer while they are slow: if many shared a slow line, all of them
/// would reach the time limit of a call together, and be sent again.
#[derive(Debug)]
pub(super) struct Pace {
    free: Semaphore,
    allowed: AtomicUsize,
    slow: Duration,
}

impl Pace {
    /// Fewer calls run at a time after one that took `slow` or longer.
    pub(super) fn new(slow: Duration) -> Self {
        Self {
            slow,
            free: Semaphore::new(AT_FIRST),
            allowed: AtomicUsize::new(AT_FIRST),
        }
    }

    /// Runs `call` as soon as one more may run.
    pub(super) async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        let permit = self.free.acquire().await;
        let started = Instant::now();
        let result = call.await;
        let change = |next: fn(usize) -> Option<usize>| {
            let order = Ordering::Relaxed;
            self.allowed.fetch_update(order, order, next).is_ok()
        };
        if started.elapsed() < self.slow {
            if change(|allowed| (allowed < AT_MOST).then_some(allowed + 1)) {
                self.free.add_permits(1);
            }
        } else if change(|allowed| (allowed > 1).then_some(allowed - 1))
            && let Ok(permit) = permit
        {
            permit.forget();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    /// The most calls that ran at a time, of `calls` that take `took` each.
    async fn most_at_a_time(pace: &Pace, calls: usize, took: Duration) -> usize {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let call = async || {
            let now = running.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(now, Ordering::Relaxed);
            tokio::time::sleep(took).await;
            running.fetch_sub(1, Ordering::Relaxed);
        };
        join_all((0..calls).map(|_| pace.run(call()))).await;
        most.into_inner()
    }

    #[tokio::test]
    async fn fast_calls_become_more_and_are_bounded() {
        let pace = Pace::new(Duration::from_secs(60));
        let fast = Duration::from_millis(1);
        assert_eq!(most_at_a_time(&pace, 4, fast).await, 4);
        assert_eq!(most_at_a_time(&pace, 300, fast).await, AT_MOST);
    }

    #[tokio::test]
    async fn after_slow_calls_one_at_a_time_is_left() {
        let pace = Pace::new(Duration::ZERO);
        let took = Duration::from_millis(1);
        assert_eq!(most_at_a_time(&pace, 9, took).await, 4);
        assert_eq!(most_at_a_time(&pace, 9, took).await, 1);
    }
}
