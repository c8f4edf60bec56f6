//! Ctrl-Z: the heartbeats of registrar and builder are paused before the process stops, so that neither the
//! handler nor the build is lost until `fg`.

use futures_util::future::join_all;
use nix::sys::signal::{Signal, raise};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::watch;

use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_engine::PauseHandle;

/// The heartbeats of the containers that end when this process is silent.
#[derive(Clone, Debug, Default)]
pub(super) struct Watchdogs(pub(super) Vec<PauseHandle>);

impl Watchdogs {
    /// Pauses all of them at once: the first pause must not expire while another one is waited for.
    pub(super) async fn pause(self) {
        join_all(self.0.iter().map(PauseHandle::pause)).await;
    }
}

/// Listens for Ctrl-Z, which from then on stops the process only in [`JobControl::run_with_sigtstp`].
#[derive(Debug)]
pub(super) struct JobControl {
    signals: Signals,
    watchdogs: watch::Receiver<Watchdogs>,
    events: Events,
}

impl JobControl {
    /// Starts to listen; `watchdogs` has those that exist at the time of a signal.
    pub(super) fn listen(
        watchdogs: watch::Receiver<Watchdogs>,
        events: &Events,
    ) -> Result<Self, Failure> {
        let kind = SignalKind::from_raw(Signal::SIGTSTP as i32);
        let signals = signal(kind).or_internal("listen for Ctrl-Z")?;
        Ok(Self {
            signals,
            watchdogs,
            events: events.clone(),
        })
    }

    /// Runs `work`; on each Ctrl-Z pauses the watchdogs and then stops the process, which goes on here with `fg`.
    pub(super) async fn run_with_sigtstp<T>(mut self, work: impl Future<Output = T> + Unpin) -> T {
        let mut work = work;
        loop {
            tokio::select! {
                done = &mut work => return done,
                Some(()) = self.signals.recv() => {}
            }
            let watchdogs = self.watchdogs.borrow().clone();
            watchdogs.pause().await;
            self.events.emit(Event::Suspended);
            raise(Signal::SIGSTOP).ok();
            self.events.emit(Event::Resumed);
        }
    }
}
