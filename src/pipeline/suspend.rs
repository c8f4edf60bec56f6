//! Ctrl-Z: registrar and builder are asked for patience before the process stops, so that neither the
//! handler nor the build is lost until `fg`.

use nix::sys::signal::{Signal, raise};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::watch;

use crate::binfmt::Patience;
use crate::failure::{Failure, OrFail as _};
use crate::nixos::builder;

/// Whoever ends when this process is silent.
#[derive(Clone, Debug, Default)]
pub(super) struct Leashes {
    pub(super) registrar: Option<Patience>,
    pub(super) builder: Option<builder::Patience>,
}

impl Leashes {
    /// Each of them is asked for patience.
    pub(super) async fn lengthen(self) {
        let registrar = async {
            if let Some(registrar) = self.registrar {
                registrar.ask().await;
            }
        };
        let builder = async {
            if let Some(builder) = self.builder {
                builder.ask().await;
            }
        };
        tokio::join!(registrar, builder);
    }
}

/// Listens for Ctrl-Z, which from then on stops the process only by [`Suspension::obey`].
#[derive(Debug)]
pub(super) struct Suspension {
    signals: Signals,
    leashes: watch::Receiver<Leashes>,
}

impl Suspension {
    /// Starts to listen; `leashes` has those that there are by then.
    pub(super) fn listen(leashes: watch::Receiver<Leashes>) -> Result<Self, Failure> {
        let kind = SignalKind::from_raw(Signal::SIGTSTP as i32);
        let signals = signal(kind).or_internal("listen for Ctrl-Z")?;
        Ok(Self { signals, leashes })
    }

    /// Does `work`; stops the process whenever somebody asks for it, once the others are patient.
    pub(super) async fn obey<T>(mut self, work: impl Future<Output = T> + Unpin) -> T {
        let mut work = work;
        loop {
            tokio::select! {
                done = &mut work => return done,
                Some(()) = self.signals.recv() => {}
            }
            let leashes = self.leashes.borrow().clone();
            leashes.lengthen().await;
            // It goes on here when somebody continues it.
            raise(Signal::SIGSTOP).unwrap_or(());
        }
    }
}
