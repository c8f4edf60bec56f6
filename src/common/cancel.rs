//! One cancellation token for the run: who sets it, who waits on it, and how the process dies of it.
//!
//! Part of the hall. A signal only ever sets the token; no work happens in a handler. The second
//! signal makes the teardown impatient: shorter waits, never fewer releases.

use std::future::Future;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::common::failure::{Failure, OrFail};
use crate::common::timeout::timeout;

/// The run's cancellation: cheap to clone, shared by everything that waits.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    token: CancellationToken,
    impatient: CancellationToken,
    /// When the patience was lost.
    since: Arc<OnceLock<Instant>>,
    signal: Arc<AtomicI32>,
}

impl Cancel {
    /// A token that nobody has set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts to listen for INT, TERM, HUP and QUIT, but for those that whoever started us has us
    /// ignore (`nohup`). The task lives until it is aborted: tokio never restores a default handler, so
    /// listening must go on through the teardown.
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

    /// Takes note of a signal: the first one cancels, the next one makes the teardown impatient.
    pub fn received(&self, number: i32) {
        if self
            .signal
            .compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
        {
            self.token.cancel();
        } else {
            self.shorten_teardown();
        }
    }

    /// Makes the teardown impatient.
    pub fn shorten_teardown(&self) {
        self.since.get_or_init(Instant::now);
        self.impatient.cancel();
    }

    /// The first signal received, if any.
    pub fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::SeqCst)).filter(|n| *n != 0)
    }

    /// Whether the run was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The plain token, for callers that pass it on.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Waits until the run is asked to stop.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Runs `work` unless the run is asked to stop first; the interruption is an error of its own class.
    pub async fn race<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(Failure::interrupted()),
            out = work => Ok(out),
        }
    }

    /// Runs a step of the teardown, `patience` at most. Once the patience is lost all steps together
    /// have two seconds, and those that come later still have the time to ask. `None` when the time
    /// was up.
    pub async fn bounded<T>(&self, patience: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            out = timeout(patience, work) => out,
            () = self.out_of_patience() => None,
        }
    }

    async fn out_of_patience(&self) {
        /// Half a dozen steps in a row stay below three seconds in all.
        const IMPATIENCE: Duration = Duration::from_secs(2);
        /// An engine that works takes the request in this time, and carries it out.
        const LEAST: Duration = Duration::from_millis(100);
        self.impatient.cancelled().await;
        let now = Instant::now();
        let since = self.since.get().copied().unwrap_or(now);
        tokio::time::sleep_until((since + IMPATIENCE).max(now + LEAST)).await;
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

/// The signals that this process ignores, bit n-1 for signal n; none when the kernel does not say.
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

    /// Every step had two seconds of its own, so that a teardown of eight took sixteen with an engine
    /// that did not answer.
    #[tokio::test]
    async fn impatience_is_for_the_whole_teardown_and_not_for_each_step() {
        let cancel = Cancel::new();
        cancel.received(2);
        cancel.received(2);
        let (start, long) = (Instant::now(), Duration::from_secs(60));
        for _ in 0..8 {
            let step = cancel.bounded(long, std::future::pending::<()>());
            assert!(step.await.is_none());
        }
        assert!(start.elapsed() < Duration::from_secs(8));
        // A step that comes late is tried all the same.
        let asked = cancel.bounded(long, tokio::task::yield_now()).await;
        assert!(asked.is_some());
    }
}
