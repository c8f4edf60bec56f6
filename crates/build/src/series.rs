//! What several builds on one engine, one after the other, share: the registration of the handler. None replaces an image of another
//! one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::run_lock::RunLock;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::Leftover;
use sdbuild_engine::binfmt::Lease;

/// Several builds on one engine, one after the other. The first that registers a handler leaves it to the next ones. Release it after the
/// last one; should it be dropped, the registrar removes the handler.
#[derive(Clone, Debug, Default)]
pub struct Series(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    lease: Option<(Lease, LeaseOwner)>,
    images: Vec<PathBuf>,
}

/// The run that registered the handler which later ones use. It counts as live for as long as this exists.
#[derive(Debug)]
pub(super) struct LeaseOwner {
    /// Its lock.
    pub(super) run_lock: RunLock,
    /// Whether it left nothing but the handler.
    pub(super) left_nothing: bool,
}

impl LeaseOwner {
    /// Ends the run, whose handler was released but for `leftovers`. It counts as stale if anything is left.
    pub(super) fn end(self, leftovers: &[Leftover]) {
        if self.left_nothing && leftovers.is_empty() {
            self.run_lock.release();
        }
    }
}

impl Series {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease for the next run.
    pub(super) fn take(&self) -> Option<(Lease, LeaseOwner)> {
        self.shared().lease.take()
    }

    /// Keeps `lease` for the next run.
    pub(super) fn keep(&self, lease: Lease, owner: LeaseOwner) {
        self.shared().lease = Some((lease, owner));
    }

    /// Adds an image that was built.
    pub(super) fn add(&self, image: &Path) {
        self.shared().images.push(image.to_owned());
    }

    /// The images that were built.
    pub(super) fn images(&self) -> Vec<PathBuf> {
        self.shared().images.clone()
    }

    /// Removes the handler, if there is one; what could not be removed.
    pub async fn release(&self, context: &Context) -> Vec<Leftover> {
        let Some((lease, owner)) = self.take() else {
            return Vec::new();
        };
        let release = async {
            let leftovers = Box::pin(lease.release(&context.cancel)).await;
            owner.end(&leftovers);
            if leftovers.is_empty() {
                Ok(())
            } else {
                Err(leftovers)
            }
        };
        let released = context.teardown_phase(Phase::Release, release).await;
        released.err().unwrap_or_default()
    }
}
