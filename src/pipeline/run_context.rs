//! What the steps of a run share, and the frame around them: the run lock, Ctrl-Z, and the release of
//! everything that they acquired, however they end.

use std::future::Future;
use std::time::Duration;

use crate::pipeline::job_control::JobControl;
use crate::pipeline::plan::Plan;
use crate::pipeline::run_lock::RunLocks;
use crate::pipeline::scope::Scope;
use crate::pipeline::sweep::{StaleObjects, Sweep};
use crate::pipeline::{binfmt_table, clients};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_engine::Engine;
use sdbuild_engine::artifact::Fetcher;
use sdbuild_engine::binfmt::Registrar;

/// How long a busy engine may take to answer a ping. It does so from memory, but an engine that waits for a disk (a board's
/// SD card, or a machine that swaps) has been seen to take more than five seconds. A second Ctrl-C waits for less.
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the rest of the teardown may take once the engine counts as silent. What it was asked to remove before, it removes
/// when it goes on, and what a stale run left is removed by the next run.
const SILENT_TEARDOWN: Duration = Duration::from_secs(3);
/// The time between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// What every step of a run takes, beside the [`Scope`] that some of them change.
#[derive(Debug)]
pub(super) struct RunContext<'a> {
    /// What the run does.
    pub(super) plan: &'a Plan,
    /// Its cancellation and its events.
    pub(super) context: &'a Context,
    /// The locks of this user's runs on this engine.
    pub(super) run_locks: RunLocks,
    /// Downloads everything that the run needs.
    pub(super) fetcher: Fetcher,
}

/// What a run that succeeded produced, and what its release could not remove.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What it produced.
    pub value: T,
    /// What could not be removed.
    pub leftovers: Vec<Leftover>,
}

impl<T> Outcome<T> {
    /// What `finish` makes of the value. What could not be removed is reported in any case: with the failure of `finish`, or
    /// by a failure of its own; `done` is the clause that says what succeeded nevertheless.
    pub fn finish<U>(
        self,
        done: &str,
        finish: impl FnOnce(T) -> Result<U, Failure>,
    ) -> Result<U, Failure> {
        match finish(self.value) {
            Ok(value) if self.leftovers.is_empty() => Ok(value),
            Ok(_) => {
                let text = format!("{done}, but not everything could be removed");
                Err(Failure::environment(text).with_teardown(self.leftovers))
            }
            Err(failure) => Err(failure.with_teardown(self.leftovers)),
        }
    }
}

/// Runs `steps`, and releases what they acquired, whether they succeed, fail or are cancelled.
///
/// The run lock is released only when nothing is left: by a lock file without a holder the next run knows a
/// stale run, and removes what belongs to it.
pub(super) async fn with_cleanup<T>(
    plan: &Plan,
    context: &Context,
    steps: impl AsyncFnOnce(&RunContext<'_>, &mut Scope) -> Result<T, Failure>,
) -> Result<Outcome<T>, Failure> {
    let Context { cancel, events } = context;
    let run = RunContext {
        plan,
        context,
        run_locks: RunLocks::new(&plan.request.common.state_dir, plan.engine().endpoint()),
        fetcher: clients::fetcher(&plan.request.common, events)?,
    };
    let mut scope = Scope::default();
    let job_control = JobControl::listen(scope.watchdogs(), events)?;
    // Held until everything is released: other runs sweep nothing that belongs to a live run.
    let run_lock = run.run_locks.acquire(&plan.run)?;
    let cancelled_and_silent = async {
        cancel.cancelled().await;
        until_silent(plan.engine()).await;
    };
    let steps = Box::pin(steps(&run, &mut scope));
    let steps = shorten_teardown_when(cancelled_and_silent, steps, cancel);
    let result = job_control.run_with_sigtstp(Box::pin(steps)).await;
    let release = async {
        let release = Box::pin(scope.release(cancel));
        let silent = until_silent(plan.engine());
        let leftovers = shorten_teardown_when(silent, release, cancel).await;
        // What a failed step could not undo counts as well.
        let steps_left = result
            .as_ref()
            .err()
            .map_or(0, |failure| failure.teardown.len());
        if leftovers.is_empty() && steps_left == 0 {
            Ok(())
        } else {
            Err(leftovers)
        }
    };
    let leftovers = match context.teardown_phase(Phase::Release, release).await {
        Ok(()) => Vec::new(),
        Err(leftovers) => leftovers,
    };
    let outcome = settle(result, leftovers);
    if left_nothing(&outcome) {
        run_lock.release();
    }
    outcome
}

impl RunContext<'_> {
    /// Whether stale runs left anything behind, as far as that is known without starting a container.
    pub(super) async fn has_leftovers(&self) -> Result<bool, Failure> {
        let sweep = Sweep {
            engine: self.plan.engine(),
            run_locks: &self.run_locks,
            own: &self.plan.run,
        };
        // Handlers that take a container to be seen are left to the next run that starts one.
        let entries = binfmt_table::visible_entries(self.plan.engine()).unwrap_or_default();
        let found = self.context.cancel.race(sweep.find(&entries)).await??;
        let StaleObjects {
            containers,
            handlers,
            live_runs: _,
            stale_runs,
        } = found;
        let has_objects = !(containers.is_empty() && handlers.is_empty());
        Ok(has_objects || !stale_runs.is_empty())
    }

    /// Removes what stale runs left behind, their handlers through `registrar` if there is one.
    pub(super) async fn sweep(&self, registrar: Option<&mut Registrar>) -> Result<(), Failure> {
        let sweep = Sweep {
            engine: self.plan.engine(),
            run_locks: &self.run_locks,
            own: &self.plan.run,
        };
        sweep.clear(registrar, self.context).await
    }
}

/// Runs `work`; as soon as `reason` ends, the teardown in it gets shorter timeouts.
async fn shorten_teardown_when<T>(
    reason: impl Future<Output = ()>,
    mut work: impl Future<Output = T> + Unpin,
    cancel: &Cancel,
) -> T {
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = reason => cancel.shorten_teardown(SILENT_TEARDOWN),
    }
    work.await
}

/// Ends when the engine no longer answers: each step of a teardown would wait for its whole timeout.
async fn until_silent(engine: &Engine) {
    while !engine.is_silent(PING_TIMEOUT).await {
        tokio::time::sleep(PING_INTERVAL).await;
    }
}

/// The result of the steps with what the release left behind.
fn settle<T>(result: Result<T, Failure>, leftovers: Vec<Leftover>) -> Result<Outcome<T>, Failure> {
    match result {
        Ok(value) => Ok(Outcome { value, leftovers }),
        Err(failure) => Err(failure.with_teardown(leftovers)),
    }
}

/// Whether neither the release nor a failed step that could not undo itself left anything behind.
fn left_nothing<T>(outcome: &Result<Outcome<T>, Failure>) -> bool {
    match outcome {
        Ok(outcome) => outcome.leftovers.is_empty(),
        Err(failure) => failure.teardown.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leftover() -> Leftover {
        Leftover {
            what: "container c".into(),
            why: "the connection to the engine was lost".into(),
            remedy: "docker rm --force c".into(),
        }
    }

    /// A lock that could not be written, or a closed disk for the result, hid what was left on the engine.
    #[test]
    fn leftovers_are_reported_whatever_becomes_of_the_value() {
        let finish = |leftovers, result: Result<(), Failure>| {
            let outcome = Outcome {
                value: 1,
                leftovers,
            };
            outcome.finish("it is done", |_| result).map_err(|failure| {
                let leftovers = failure.teardown.len();
                (failure.to_string(), leftovers)
            })
        };
        assert_eq!(finish(vec![], Ok(())), Ok(()));
        let (text, leftovers) = finish(vec![leftover()], Ok(())).unwrap_err();
        assert!(text.starts_with("it is done, but"), "{text}");
        assert_eq!(leftovers, 1);
        let failed = finish(vec![leftover()], Err(Failure::usage("not written")));
        assert_eq!(failed, Err(("not written".to_owned(), 1)));
    }

    /// The engine was killed while the registrar started; the next run took its container for that of a
    /// live run of another user.
    #[test]
    fn leftovers_of_a_failed_step_keep_the_run_stale() {
        let failed = |teardown| Err(Failure::environment("start").with_teardown(teardown));
        let clean =
            |result: Result<(), Failure>, leftovers| left_nothing(&settle(result, leftovers));
        assert!(clean(Ok(()), vec![]));
        assert!(!clean(Ok(()), vec![leftover()]));
        assert!(clean(failed(vec![]), vec![]));
        assert!(!clean(failed(vec![leftover()]), vec![]));
        assert!(!clean(failed(vec![]), vec![leftover()]));
    }
}
