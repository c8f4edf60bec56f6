//! What a run has borrowed, and the one place where it is given back.

use tokio::sync::watch;

use crate::binfmt::{Lease, PrivateBinfmt};
use crate::common::cancel::Cancel;
use crate::common::failure::{Failure, Leftover};
use crate::engine::ContainerGuard;
use crate::nixos::builder;
use crate::pipeline::job_control::Watchdogs;

/// The guards of a run, released in reverse order, each step bounded in time, all of them even when
/// one fails.
#[derive(Debug, Default)]
pub(super) struct Scope {
    lease: Option<Lease>,
    private: Option<PrivateBinfmt>,
    builder: Option<ContainerGuard>,
    leftovers: Vec<Leftover>,
    leashes: watch::Sender<Watchdogs>,
}

impl Scope {
    /// Whom to ask for patience, whatever is or will be kept.
    pub(super) fn leashes(&self) -> watch::Receiver<Watchdogs> {
        self.leashes.subscribe()
    }

    /// Keeps the handler's lease.
    pub(super) fn keep_lease(&mut self, lease: Lease) {
        let patience = lease.pause_handle();
        self.leashes
            .send_modify(|leashes| leashes.registrar = Some(patience));
        self.lease = Some(lease);
    }

    /// Keeps the means to ask the builder for patience.
    pub(super) fn keep_patience(&mut self, patience: builder::PauseHandle) {
        self.leashes
            .send_modify(|leashes| leashes.builder = Some(patience));
    }

    /// The handler's lease, when there is one.
    pub(super) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Keeps private emulation, for the builder to be made with.
    pub(super) fn keep_private(&mut self, private: PrivateBinfmt) {
        self.private = Some(private);
    }

    /// Private emulation, when that is what it is.
    pub(super) fn private(&self) -> Option<&PrivateBinfmt> {
        self.private.as_ref()
    }

    /// The builder has all that it needs of private emulation.
    pub(super) async fn release_private(&mut self, cancel: &Cancel) {
        if let Some(private) = self.private.take() {
            self.leftovers.extend(private.release(cancel).await);
        }
    }

    /// Keeps the builder's guard; armed, not necessarily made.
    pub(super) fn keep_builder(&mut self, guard: ContainerGuard) -> &mut ContainerGuard {
        self.builder.insert(guard)
    }

    /// Gives the handler back: nothing that is emulated runs any more.
    pub(super) async fn release_lease(&mut self, cancel: &Cancel) {
        if let Some(lease) = self.lease.take() {
            self.leftovers.extend(lease.release(cancel).await);
        }
    }

    /// Gives everything back; what could not be removed.
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

/// What a run ended with: its result with what could not be removed, or its first error with that.
pub(super) fn settle<T>(
    outcome: Result<T, Failure>,
    leftovers: Vec<Leftover>,
) -> Result<(T, Vec<Leftover>), Failure> {
    match outcome {
        Ok(done) => Ok((done, leftovers)),
        Err(failure) => Err(failure.with_teardown(leftovers)),
    }
}

/// Whether nothing of the run is left, neither by its release nor by a step that failed and could not
/// undo itself. Only then may the run be forgotten: what is left is known as a dead run's by its run lock.
pub(super) fn gave_all_back<T>(settled: &Result<(T, Vec<Leftover>), Failure>) -> bool {
    match settled {
        Ok((_, leftovers)) => leftovers.is_empty(),
        Err(failure) => failure.teardown.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_builder_that_is_kept_is_asked_for_patience() {
        let (patience, asked) = builder::PauseHandle::counted();
        let mut scope = Scope::default();
        let leashes = scope.leashes();
        scope.keep_patience(patience);
        let whom = leashes.borrow().clone();
        whom.pause().await;
        drop((scope, leashes));
        assert_eq!(asked.await.unwrap(), 1);
    }

    /// The engine was killed while the registrar started; the next run took its container for that of
    /// a living stranger.
    #[test]
    fn what_a_failed_step_could_not_undo_counts_as_left_behind() {
        let left = || Leftover {
            what: "container c".into(),
            why: "the connection to the engine was lost".into(),
            remedy: "docker rm --force c".into(),
        };
        let failed = |teardown| Failure::environment("start").with_teardown(teardown);
        assert!(gave_all_back(&settle(Ok(()), vec![])));
        assert!(!gave_all_back(&settle(Ok(()), vec![left()])));
        assert!(gave_all_back(&settle::<()>(Err(failed(vec![])), vec![])));
        assert!(!gave_all_back(&settle::<()>(
            Err(failed(vec![left()])),
            vec![]
        )));
        assert!(!gave_all_back(&settle::<()>(
            Err(failed(vec![])),
            vec![left()]
        )));
    }
}
