//! The cancellation of a run. The first signal cancels it; the second shortens the timeouts of its teardown,
//! which still releases everything. Signal handlers do no work: they only set tokens.

use std::future::Future;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, OrFail};
use crate::timeout::timeout;

/// The run's cancellation: cheap to clone, shared by everything that waits.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    token: CancellationToken,
    /// Set when the teardown gets shorter timeouts.
    shortened: CancellationToken,
    /// When the steps of a shortened teardown have to be over, see [`Cancel::bounded`].
    deadline: Arc<OnceLock<Instant>>,
    /// The first signal received; 0 for none.
    signal: Arc<AtomicI32>,
}

impl Cancel {
    /// A cancellation that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts to listen for INT, TERM, HUP and QUIT, except those that the parent process set to be ignored (`nohup`).
    /// The task must not be aborted before the teardown has ended: tokio never restores a default handler, so
    /// a signal would have no effect.
    pub fn listen(&self) -> Result<JoinHandle<()>, Failure> {
        let ignored = ignored();
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ];
        let mut signals = Vec::new();
        for kind in kinds {
            let number = kind.as_raw_value();
            if ignored & (1 << (number - 1)) == 0 {
                let stream = signal(kind).or_internal("listen for signals")?;
                signals.push(SignalStream { stream, number });
            }
        }
        let cancel = self.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "the handle is returned: the task is owned"
        )]
        Ok(tokio::spawn(async move {
            loop {
                let received = futures_util::future::select_all(
                    signals.iter_mut().map(|signal| Box::pin(signal.recv())),
                );
                let (number, _, _) = received.await;
                cancel.received(number);
            }
        }))
    }

    /// Handles a signal: the first one cancels the run, any further one gives the rest of its teardown 5 seconds.
    pub fn received(&self, number: i32) {
        /// With it, half a dozen steps in a row take less than 6 seconds in all. An engine on a machine that is fully busy
        /// was seen to take longer than 2 seconds to remove a container.
        const TEARDOWN: Duration = Duration::from_secs(5);
        if self
            .signal
            .compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
        {
            self.token.cancel();
        } else {
            self.shorten_teardown(TEARDOWN);
        }
    }

    /// Gives all remaining steps of the teardown together `limit`, see [`Cancel::bounded`]. Only the first call counts.
    pub fn shorten_teardown(&self, limit: Duration) {
        self.deadline.get_or_init(|| Instant::now() + limit);
        self.shortened.cancel();
    }

    /// The first signal received, if any.
    pub fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::SeqCst)).filter(|n| *n != 0)
    }

    /// Whether the run is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The plain token, for blocking work that polls it.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Waits until the run is cancelled.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Runs `work`, and drops it when the run is cancelled first, with a failure of class
    /// [`Class::Interrupted`](crate::failure::Class::Interrupted).
    pub async fn race<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(Failure::interrupted()),
            out = work => Ok(out),
        }
    }

    /// Runs a step of the teardown for at most `limit`; `None` when the time was up. Once the teardown is shortened,
    /// all steps together have the time that was given then, and each later step 100 ms.
    pub async fn bounded<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            out = timeout(limit, work) => out,
            () = self.shortened_time_is_up() => None,
        }
    }

    /// Runs a step that the teardown can do without, for at most `limit`; `None` when the time was up, or as soon as the
    /// teardown is shortened: the steps that it needs have all of that time then.
    pub async fn unless_shortened<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            () = self.shortened.cancelled() => None,
            out = timeout(limit, work) => out,
        }
    }

    async fn shortened_time_is_up(&self) {
        /// A working engine accepts a request within this time, and carries it out even when no client waits.
        const MIN_STEP: Duration = Duration::from_millis(100);
        self.shortened.cancelled().await;
        let now = Instant::now();
        let deadline = self.deadline.get().copied().unwrap_or(now);
        tokio::time::sleep_until(deadline.max(now + MIN_STEP)).await;
    }
}

struct SignalStream {
    stream: Signal,
    number: i32,
}

impl SignalStream {
    async fn recv(&mut self) -> i32 {
        match self.stream.recv().await {
            Some(()) => self.number,
            None => std::future::pending().await,
        }
    }
}

/// The signals that this process ignores, bit n-1 for signal n; none when `/proc` is not readable.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .map(str::trim)
        .and_then(|mask| u64::from_str_radix(mask, 16).ok());
    mask.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Once, each step had its own limit: a teardown of eight steps took eight times as long with an engine that did not answer.
    #[tokio::test]
    async fn shortened_teardown_has_one_deadline_for_all_steps() {
        let cancel = Cancel::new();
        cancel.received(2);
        cancel.received(2);
        let long = Duration::from_mins(1);
        let steps = async {
            for _ in 0..8 {
                let step = cancel.bounded(long, std::future::pending::<()>());
                assert!(step.await.is_none());
            }
        };
        // Counts the time in which this process runs, however busy the machine is.
        assert!(timeout(Duration::from_secs(8), steps).await.is_some());
        // A late step is still tried.
        let done = cancel.bounded(long, tokio::task::yield_now()).await;
        assert!(done.is_some());
    }

    #[tokio::test]
    async fn the_first_limit_of_a_shortened_teardown_counts() {
        let cancel = Cancel::new();
        for limit in [Duration::from_millis(200), Duration::from_mins(1)] {
            cancel.shorten_teardown(limit);
        }
        let step = cancel.bounded(Duration::from_mins(1), std::future::pending::<()>());
        assert!(timeout(Duration::from_secs(30), step).await.is_some());
    }
}
