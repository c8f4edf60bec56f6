//! Ctrl-Z: the registrar is asked for patience before the process stops, so that neither the handler
//! nor the build is lost until `fg`.

use nix::sys::signal::{Signal, raise};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::watch;

use crate::binfmt::Patience;
use crate::failure::{Failure, OrFail as _};

/// Listens for Ctrl-Z, which from then on stops the process only by [`Suspension::obey`].
#[derive(Debug)]
pub(super) struct Suspension {
    signals: Signals,
    patience: watch::Receiver<Option<Patience>>,
}

impl Suspension {
    /// Starts to listen; `patience` has the registrar's, once there is one.
    pub(super) fn listen(patience: watch::Receiver<Option<Patience>>) -> Result<Self, Failure> {
        let kind = SignalKind::from_raw(Signal::SIGTSTP as i32);
        let signals = signal(kind).or_internal("listen for Ctrl-Z")?;
        Ok(Self { signals, patience })
    }

    /// Does `work`; stops the process whenever somebody asks for it, once the registrar is patient.
    pub(super) async fn obey<T>(mut self, work: impl Future<Output = T> + Unpin) -> T {
        let mut work = work;
        loop {
            tokio::select! {
                done = &mut work => return done,
                Some(()) = self.signals.recv() => {}
            }
            let patience = self.patience.borrow().clone();
            if let Some(patience) = patience {
                patience.ask().await;
            }
            // It goes on here when somebody continues it.
            raise(Signal::SIGSTOP).unwrap_or(());
        }
    }
}
