//! The cancellation of a run and the events it emits: what nearly every step of it takes.

use std::time::Instant;

use crate::cancel::Cancel;
use crate::event::{Event, Events, Phase, Stop};
use crate::failure::{Class, Failure};

/// Cancellation and events of one run: cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// Set by signals.
    pub cancel: Cancel,
    /// Read by the view.
    pub events: Events,
}

impl Context {
    /// Runs `work` as `phase`: emits [`Event::Started`], and at its end [`Event::Finished`] or [`Event::Stopped`]. Fails at
    /// once, without an event, when the run is already cancelled.
    ///
    /// `work` itself is not raced against the cancellation: its own waits are, so that it can release
    /// what it acquired.
    pub fn phase<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> impl Future<Output = Result<T, Failure>> {
        // No `async fn`: its future would hold `work` twice.
        self.run_phase(phase, work, |done| {
            done.as_ref().err().map(|failure| self.stop_by(failure))
        })
    }

    /// The same for `work` without which the run goes on. The caller tells its error, unless that is an interruption.
    pub fn tolerated_phase<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> impl Future<Output = Result<T, Failure>> {
        self.run_phase(phase, work, |done| {
            let failure = done.as_ref().err()?;
            Some(match self.stop_by(failure) {
                Stop::Failed | Stop::Tolerated => Stop::Tolerated,
                stop @ (Stop::Interrupted | Stop::Question) => stop,
            })
        })
    }

    /// The same for `work` that has a result even where it failed, with the `failure` in it.
    pub fn phase_with_result<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, Failure>>,
        failure: fn(&T) -> Option<&Failure>,
    ) -> impl Future<Output = Result<T, Failure>> {
        self.run_phase(phase, work, move |done| {
            let failure = done.as_ref().map_or_else(Some, failure)?;
            Some(self.stop_by(failure))
        })
    }

    /// Runs `work` as `phase`; `stop` says of its result why the phase stops, if it does.
    async fn run_phase<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, Failure>>,
        stop: impl Fn(&Result<T, Failure>) -> Option<Stop>,
    ) -> Result<T, Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let running = RunningPhase::begin(self, phase);
        let done = work.await;
        running.end(stop(&done).map_or(Ok(()), Err));
        done
    }

    /// The same for `work` of the teardown, which begins in a cancelled run too. Its errors are failures even then.
    pub async fn teardown_phase<T, E>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let running = RunningPhase::begin(self, phase);
        let done = work.await;
        running.end(done.as_ref().map(|_| ()).map_err(|_| Stop::Failed));
        done
    }

    /// The same as [`Context::phase`] for `work` that blocks its thread, and that sees by itself whether the run is cancelled.
    pub fn blocking_phase<T, E>(
        &self,
        phase: Phase,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let running = RunningPhase::begin(self, phase);
        let done = work();
        running.end(done.as_ref().map(|_| ()).map_err(|_| self.stop()));
        done
    }

    /// Why a phase stops whose work ended with `failure`.
    fn stop_by(&self, failure: &Failure) -> Stop {
        if failure.class == Class::Interrupted {
            Stop::Interrupted
        } else if failure.question().is_some() {
            Stop::Question
        } else {
            self.stop()
        }
    }

    /// Why a phase stops whose work does not say it. After a signal its error may be anything: the programs that it runs
    /// may have received the signal too.
    fn stop(&self) -> Stop {
        if self.cancel.is_cancelled() {
            Stop::Interrupted
        } else {
            Stop::Failed
        }
    }
}

/// A phase that runs. It emits its end when it is dropped: work that is dropped while it waits has an end too.
struct RunningPhase<'a> {
    context: &'a Context,
    phase: Phase,
    start: Instant,
    /// How its work ended; `None` until it has.
    end: Option<Result<(), Stop>>,
}

impl<'a> RunningPhase<'a> {
    fn begin(context: &'a Context, phase: Phase) -> Self {
        context.events.emit(Event::Started(phase));
        Self {
            context,
            phase,
            start: Instant::now(),
            end: None,
        }
    }

    fn end(mut self, end: Result<(), Stop>) {
        self.end = Some(end);
    }
}

impl Drop for RunningPhase<'_> {
    fn drop(&mut self) {
        let took = self.start.elapsed();
        let end = self.end.take().unwrap_or_else(|| Err(self.context.stop()));
        self.context.events.emit(match end {
            Ok(()) => Event::Finished(self.phase, took),
            Err(stop) => Event::Stopped(self.phase, took, stop),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A context with the ends of its phases, as they come.
    fn recorded() -> (Context, Arc<Mutex<Vec<Option<Stop>>>>) {
        let ends = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&ends);
        let events = Events::new(move |event| {
            let end = if let Event::Stopped(_, _, stop) = event {
                Some(stop)
            } else {
                None
            };
            if !matches!(event, Event::Started(_)) {
                sink.lock().unwrap().push(end);
            }
        });
        let cancel = Cancel::new();
        (Context { cancel, events }, ends)
    }

    fn in_the_way() -> Failure {
        let question = crate::failure::Question::Replace("pi.img".into());
        Failure::new(Class::Usage, question).context("write the image")
    }

    #[tokio::test]
    async fn success_failure_and_interruption_are_distinct_ends() {
        let (context, ends) = recorded();
        let run = async |end: Result<(), Failure>| {
            context.phase(Phase::Build, async { end }).await.ok();
            std::mem::take(&mut *ends.lock().unwrap())
        };
        assert_eq!(run(Ok(())).await, [None]);
        assert_eq!(run(Err(Failure::usage("x"))).await, [Some(Stop::Failed)]);
        assert_eq!(run(Err(in_the_way())).await, [Some(Stop::Question)]);
        let nobody_to_ask = in_the_way().asked_if(false);
        assert_eq!(run(Err(nobody_to_ask)).await, [Some(Stop::Failed)]);
        let interrupted = Failure::interrupted();
        assert_eq!(run(Err(interrupted)).await, [Some(Stop::Interrupted)]);
    }

    #[tokio::test]
    async fn a_failure_that_the_run_survives_is_another_end() {
        let (context, ends) = recorded();
        let run = async |end: Result<(), Failure>| {
            let work = context.tolerated_phase(Phase::GiveBack, async { end });
            work.await.ok();
            std::mem::take(&mut *ends.lock().unwrap())
        };
        assert_eq!(run(Ok(())).await, [None]);
        let failed = Failure::environment("x");
        assert_eq!(run(Err(failed)).await, [Some(Stop::Tolerated)]);
        let interrupted = Failure::interrupted();
        assert_eq!(run(Err(interrupted)).await, [Some(Stop::Interrupted)]);
    }

    /// Ctrl-C reaches the programs that a phase runs as well: what they did not finish is no failure.
    #[tokio::test]
    async fn an_error_after_a_signal_is_an_interruption() {
        let (context, ends) = recorded();
        let killed = async {
            context.cancel.received(2);
            Err::<(), _>(Failure::environment("QEMU was killed"))
        };
        context.phase(Phase::Boot, killed).await.unwrap_err();
        let read = context.blocking_phase(Phase::ReadImage, || Err::<(), _>("stopped"));
        read.unwrap_err();
        let teardown = context.teardown_phase(Phase::Release, async { Err::<(), _>("left") });
        teardown.await.unwrap_err();
        let ends = ends.lock().unwrap();
        let interrupted = Some(Stop::Interrupted);
        assert_eq!(*ends, [interrupted, interrupted, Some(Stop::Failed)]);
    }

    /// The machine of a build can vanish: then the build is dropped, whatever it waits for.
    #[tokio::test]
    async fn work_that_is_dropped_has_an_end() {
        let (context, ends) = recorded();
        let build = context.phase(Phase::Build, std::future::pending::<Result<(), _>>());
        tokio::select! {
            biased;
            _ = build => {}
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(*ends.lock().unwrap(), [Some(Stop::Failed)]);
    }
}
