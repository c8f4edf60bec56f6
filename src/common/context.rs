//! The cancellation of a run and the events it emits: what nearly every step of it takes.

use crate::common::cancel::Cancel;
use crate::common::event::{Events, Phase};
use crate::common::failure::Failure;

/// Cancellation and events of one run: cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// Set by signals.
    pub cancel: Cancel,
    /// Read by the view.
    pub events: Events,
}

impl Context {
    /// Runs `work` as `phase`, see [`Events::phase`]; fails at once when the run is already cancelled.
    ///
    /// `work` itself is not raced against the cancellation: its own waits are, so that it can release
    /// what it acquired.
    pub async fn phase<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        self.events.phase(phase, work).await
    }
}
