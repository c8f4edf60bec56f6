//! Long waits over connections whose other end may vanish without a word: a TCP connection to a machine
//! that was switched off stays open for ever when nobody writes to it.

use std::pin::pin;
use std::time::Duration;

use crate::common::timeout::timeout;

/// How the other end is looked after while something is waited for.
#[derive(Clone, Copy)]
pub(super) struct KeepAlive {
    /// Between two questions.
    pub(super) every: Duration,
    /// For an answer.
    pub(super) patience: Duration,
    /// So many questions in a row without an answer are enough.
    pub(super) misses: u32,
}

impl KeepAlive {
    /// For as long as a build takes: given up after two to three minutes without any answer.
    pub(super) const LONG: Self = Self {
        every: Duration::from_secs(30),
        patience: Duration::from_secs(30),
        misses: 3,
    };

    /// What `work` gives; `None` when the other end has not answered what `ask` asks for too long.
    pub(super) async fn watch<T, A: Future<Output = bool>>(
        self,
        work: impl Future<Output = T>,
        ask: impl Fn() -> A,
    ) -> Option<T> {
        let mut work = pin!(work);
        let mut missed = 0;
        while missed < self.misses {
            let question = async {
                tokio::time::sleep(self.every).await;
                timeout(self.patience, ask()).await
            };
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                answered = question => missed = match answered {
                    Some(true) => 0,
                    Some(false) | None => missed + 1,
                },
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const QUICK: KeepAlive = KeepAlive {
        every: Duration::from_millis(1),
        patience: Duration::from_millis(1),
        misses: 3,
    };

    #[tokio::test]
    async fn an_end_that_vanished_is_not_waited_for_and_one_that_is_busy_is() {
        assert!(QUICK.watch(pending::<()>(), pending).await.is_none());
        assert!(
            QUICK
                .watch(pending::<()>(), || ready(false))
                .await
                .is_none()
        );
        let asked = AtomicU32::new(0);
        // Two of three questions go unanswered, for as long as the work takes.
        let ask = || ready(asked.fetch_add(1, Ordering::SeqCst) % 3 == 2);
        let work = async {
            while asked.load(Ordering::SeqCst) < 30 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(QUICK.watch(work, ask).await.is_some());
    }
}
