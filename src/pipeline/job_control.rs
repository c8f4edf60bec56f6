//! Ctrl-Z: registrar and builder are asked for patience before the process stops, so that neither the
//! handler nor the build is lost until `fg`.

use nix::sys::signal::{Signal, raise};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::watch;

use crate::binfmt::PauseHandle;
use crate::common::failure::{Failure, OrFail as _};
use crate::nixos::builder;

/// Whoever ends when this process is silent.
#[derive(Clone, Debug, Default)]
pub(super) struct Watchdogs {
    pub(super) registrar: Option<PauseHandle>,
    pub(super) builder: Option<builder::PauseHandle>,
}

impl Watchdogs {
    /// Each of them is asked for patience.
    pub(super) async fn pause(self) {
        let registrar = async {
            if let Some(registrar) = self.registrar {
                registrar.pause().await;
            }
        };
        let builder = async {
            if let Some(builder) = self.builder {
                builder.pause().await;
            }
        };
        tokio::join!(registrar, builder);
    }
}

/// Listens for Ctrl-Z, which from then on stops the process only by [`Suspension::obey`].
#[derive(Debug)]
pub(super) struct JobControl {
    signals: Signals,
    leashes: watch::Receiver<Watchdogs>,
}

impl JobControl {
    /// Starts to listen; `leashes` has those that there are by then.
    pub(super) fn listen(leashes: watch::Receiver<Watchdogs>) -> Result<Self, Failure> {
        let kind = SignalKind::from_raw(Signal::SIGTSTP as i32);
        let signals = signal(kind).or_internal("listen for Ctrl-Z")?;
        Ok(Self { signals, leashes })
    }

    /// Does `work`; stops the process whenever somebody asks for it, once the others are patient.
    pub(super) async fn run_with_sigtstp<T>(mut self, work: impl Future<Output = T> + Unpin) -> T {
        let mut work = work;
        loop {
            tokio::select! {
                done = &mut work => return done,
                Some(()) = self.signals.recv() => {}
            }
            let leashes = self.leashes.borrow().clone();
            leashes.pause().await;
            // It goes on here when somebody continues it.
            raise(Signal::SIGSTOP).unwrap_or(());
        }
    }
}
