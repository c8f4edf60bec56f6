//! What a run has acquired outside of its process, and its release.

use tokio::sync::watch;

use crate::pipeline::job_control::Watchdogs;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Leftover;
use sdbuild_engine::binfmt::{Lease, PrivateBinfmt};
use sdbuild_engine::{ContainerGuard, PauseHandle};

/// The guards of a run, released in reverse order, each step bounded in time, all of them even when
/// one fails.
#[derive(Debug, Default)]
pub(super) struct Scope {
    lease: Option<Lease>,
    private: Option<PrivateBinfmt>,
    builder: Option<ContainerGuard>,
    leftovers: Vec<Leftover>,
    watchdogs: watch::Sender<Watchdogs>,
}

impl Scope {
    /// The watchdogs of everything that is kept, updated when that changes.
    pub(super) fn watchdogs(&self) -> watch::Receiver<Watchdogs> {
        self.watchdogs.subscribe()
    }

    /// Keeps the handler's lease.
    pub(super) fn keep_lease(&mut self, lease: Lease) {
        self.keep_pause_handle(lease.pause_handle());
        self.lease = Some(lease);
    }

    /// Keeps a handle that is paused before this process is stopped.
    pub(super) fn keep_pause_handle(&mut self, handle: PauseHandle) {
        self.watchdogs
            .send_modify(|watchdogs| watchdogs.0.push(handle));
    }

    /// The handler's lease, if the run registered one.
    pub(super) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Keeps private emulation, for the builder to be made with.
    pub(super) fn keep_private(&mut self, private: PrivateBinfmt) {
        self.private = Some(private);
    }

    /// Private emulation, if the run uses it.
    pub(super) fn private(&self) -> Option<&PrivateBinfmt> {
        self.private.as_ref()
    }

    /// Releases private emulation, once the builder has copied what it needs of it.
    pub(super) async fn release_private(&mut self, cancel: &Cancel) {
        if let Some(private) = self.private.take() {
            self.leftovers.extend(private.release(cancel).await);
        }
    }

    /// Keeps the builder's guard, which is armed before the builder exists.
    pub(super) fn keep_builder(&mut self, guard: ContainerGuard) -> &mut ContainerGuard {
        self.builder.insert(guard)
    }

    /// Removes the handler, once no emulated program runs any more.
    pub(super) async fn release_lease(&mut self, cancel: &Cancel) {
        if let Some(lease) = self.lease.take() {
            self.leftovers.extend(lease.release(cancel).await);
        }
    }

    /// Releases everything; returns what could not be removed.
    pub(super) async fn release(mut self, cancel: &Cancel) -> Vec<Leftover> {
        // At the same time: the handler must not wait for a container that is slow to stop.
        let builder = self.builder.take();
        let remove = async {
            match builder {
                Some(guard) => guard.release(cancel).await,
                None => None,
            }
        };
        let (left, ()) = tokio::join!(remove, self.release_lease(cancel));
        self.leftovers.extend(left);
        self.release_private(cancel).await;
        self.leftovers
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use sdbuild_engine::{AttachedInput, Heartbeat};

    #[tokio::test]
    async fn heartbeats_that_are_kept_are_paused() {
        let mut scope = Scope::default();
        let watchdogs = scope.watchdogs();
        let outputs = [(); 2].map(|()| {
            let heartbeat = Heartbeat::default();
            scope.keep_pause_handle(heartbeat.pause_handle());
            let (input, output) = tokio::io::duplex(64);
            (heartbeat.keep_alive(AttachedInput::to(input)), output)
        });
        let kept = watchdogs.borrow().clone();
        kept.pause().await;
        for (_heartbeat, mut output) in outputs {
            let mut line = [0; 6];
            output.read_exact(&mut line).await.unwrap();
            assert_eq!(&line, b"pause\n");
        }
    }
}
