//! What every step of a run shares, and how a phase is told.

use std::future::Future;
use std::time::Instant;

use crate::common::cancel::Cancel;
use crate::common::event::{Event, Events, Phase};
use crate::common::failure::Failure;

/// The run's cancellation and its events.
#[derive(Clone, Debug)]
pub struct Context {
    /// Set by signals.
    pub cancel: Cancel,
    /// Read by the view.
    pub events: Events,
}

impl Context {
    /// Runs `work` as `phase`: told when it starts and, when it ends well, how long it took. The
    /// work's own waits race the cancellation, so that it can give back what it borrowed.
    pub async fn phase<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let start = Instant::now();
        self.events.emit(Event::Started(phase));
        let done = work.await?;
        self.events.emit(Event::Finished(phase, start.elapsed()));
        Ok(done)
    }
}
