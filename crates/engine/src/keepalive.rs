//! Long waits on connections whose other end may vanish silently: a TCP connection to a machine that was switched off
//! stays open for ever as long as nothing is written to it.

use std::pin::pin;
use std::time::Duration;

use sdbuild_core::timeout::timeout;

/// How the other end is probed during a long wait.
#[derive(Clone, Copy)]
pub(super) struct KeepAlive {
    /// Time between two probes.
    pub(super) interval: Duration,
    /// Time for a response to a probe.
    pub(super) timeout: Duration,
    /// Number of failed probes in a row after which the other end counts as gone.
    pub(super) max_failures: u32,
}

impl KeepAlive {
    /// For a wait of hours: the other end counts as gone after two to three minutes without a response.
    pub(super) const LONG_REQUEST: Self = Self {
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(30),
        max_failures: 3,
    };

    /// The output of `work`; `None` when too many probes in a row have failed.
    pub(super) async fn watch<T, P: Future<Output = bool>>(
        self,
        work: impl Future<Output = T>,
        probe: impl Fn() -> P,
    ) -> Option<T> {
        let mut work = pin!(work);
        let mut failures = 0;
        while failures < self.max_failures {
            let probed = async {
                tokio::time::sleep(self.interval).await;
                timeout(self.timeout, probe()).await
            };
            tokio::select! {
                biased;
                output = &mut work => return Some(output),
                responded = probed => failures = match responded {
                    Some(true) => 0,
                    Some(false) | None => failures + 1,
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

    const QUICK_KEEPALIVE: KeepAlive = KeepAlive {
        interval: Duration::from_millis(1),
        timeout: Duration::from_millis(1),
        max_failures: 3,
    };

    #[tokio::test]
    async fn a_vanished_end_is_given_up_and_a_busy_one_is_not() {
        assert!(
            QUICK_KEEPALIVE
                .watch(pending::<()>(), pending)
                .await
                .is_none()
        );
        assert!(
            QUICK_KEEPALIVE
                .watch(pending::<()>(), || ready(false))
                .await
                .is_none()
        );
        let probes = AtomicU32::new(0);
        // Two of three probes fail, for as long as the work takes.
        let probe = || ready(probes.fetch_add(1, Ordering::SeqCst) % 3 == 2);
        let work = async {
            while probes.load(Ordering::SeqCst) < 30 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(QUICK_KEEPALIVE.watch(work, probe).await.is_some());
    }
}
