//! What the steps of a run share, and the frame around them: the run lock, Ctrl-Z, and the release of
//! everything that they acquired, however they end.

use std::future::Future;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::{Signal, raise};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::watch;

use crate::plan::Plan;
use crate::run_lock::RunLocks;
use crate::series::{LeaseOwner, Series};
use crate::sweep::{StaleObjects, Sweep};
use crate::{clients, inventory};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Events, Phase};
use sdbuild_core::failure::{Class, Failure, Leftover, OrFail as _};
use sdbuild_engine::artifact::Fetcher;
use sdbuild_engine::binfmt::{Lease, PrivateBinfmt, Registrar};
use sdbuild_engine::{ContainerGuard, Engine, PauseHandle};

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
    let series = plan.request.series.as_ref();
    if let Some((lease, owner)) = series.and_then(Series::take) {
        scope.keep_lease(lease);
        scope.lease_owner = Some(owner);
    }
    let cancelled_and_silent = async {
        cancel.cancelled().await;
        until_silent(plan.engine()).await;
    };
    let steps = Box::pin(steps(&run, &mut scope));
    let steps = shorten_teardown_when(cancelled_and_silent, steps, cancel);
    let result = job_control.run_with_sigtstp(Box::pin(steps)).await;
    let kept = series.filter(|_| may_share(&result));
    let kept = kept.and_then(|series| Some((series, scope.take_lease()?)));
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
    let left_nothing = left_nothing(&outcome);
    let own = LeaseOwner {
        run_lock,
        left_nothing,
    };
    match kept {
        Some((series, (lease, None))) => series.keep(lease, own),
        Some((series, (lease, Some(owner)))) => {
            series.keep(lease, owner);
            own.end(&[]);
        }
        None => own.end(&[]),
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
        let entries = inventory::visible_entries(self.plan.engine()).unwrap_or_default();
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

/// Whether the next run of a series can use the handler of one with this `result`. What failed by the machine gets a new one.
fn may_share<T>(result: &Result<T, Failure>) -> bool {
    let is_of_configuration =
        |failure: &Failure| matches!(failure.class, Class::Usage | Class::Build | Class::Declined);
    result.as_ref().err().is_none_or(is_of_configuration)
}

/// Whether neither the release nor a failed step that could not undo itself left anything behind.
fn left_nothing<T>(outcome: &Result<Outcome<T>, Failure>) -> bool {
    match outcome {
        Ok(outcome) => outcome.leftovers.is_empty(),
        Err(failure) => failure.teardown.is_empty(),
    }
}

/// The guards of a run, released in reverse order, each step bounded in time, all of them even when
/// one fails.
#[derive(Debug, Default)]
pub(super) struct Scope {
    lease: Option<Lease>,
    /// The run that made the lease, if it was an earlier one.
    lease_owner: Option<LeaseOwner>,
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

    /// The handler's lease, for a later run, with the run that made it if it was an earlier one.
    fn take_lease(&mut self) -> Option<(Lease, Option<LeaseOwner>)> {
        let lease = self.lease.take_if(|lease| !lease.is_lost())?;
        Some((lease, self.lease_owner.take()))
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
            let leftovers = lease.release(cancel).await;
            if let Some(owner) = self.lease_owner.take() {
                owner.end(&leftovers);
            }
            self.leftovers.extend(leftovers);
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

/// The heartbeats of the containers that end when this process is silent.
#[derive(Clone, Debug, Default)]
pub(super) struct Watchdogs(pub(super) Vec<PauseHandle>);

impl Watchdogs {
    /// Pauses all of them at once: the first pause must not expire while another one is waited for.
    pub(super) async fn pause(self) {
        join_all(self.0.iter().map(PauseHandle::pause)).await;
    }
}

/// Listens for Ctrl-Z, which from then on stops the process only in [`JobControl::run_with_sigtstp`].
#[derive(Debug)]
pub(super) struct JobControl {
    signals: Signals,
    watchdogs: watch::Receiver<Watchdogs>,
    events: Events,
}

impl JobControl {
    /// Starts to listen; `watchdogs` has those that exist at the time of a signal.
    pub(super) fn listen(
        watchdogs: watch::Receiver<Watchdogs>,
        events: &Events,
    ) -> Result<Self, Failure> {
        let kind = SignalKind::from_raw(Signal::SIGTSTP as i32);
        let signals = signal(kind).or_internal("listen for Ctrl-Z")?;
        Ok(Self {
            signals,
            watchdogs,
            events: events.clone(),
        })
    }

    /// Runs `work`; on each Ctrl-Z pauses the watchdogs and then stops the process, which goes on here with `fg`.
    pub(super) async fn run_with_sigtstp<T>(mut self, work: impl Future<Output = T> + Unpin) -> T {
        let mut work = work;
        loop {
            tokio::select! {
                done = &mut work => return done,
                Some(()) = self.signals.recv() => {}
            }
            let watchdogs = self.watchdogs.borrow().clone();
            watchdogs.pause().await;
            self.events.emit(Event::Suspended);
            raise(Signal::SIGSTOP).ok();
            self.events.emit(Event::Resumed);
        }
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

#[cfg(test)]
mod scope_tests {
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
