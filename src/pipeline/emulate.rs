//! Emulation set up and tried, before anybody relies on it.

use std::time::Duration;

use crate::binfmt::{
    self, HandlerKind, Lease, PrivateBinfmt, Registrar, RegistrarImage, RegistrarOptions,
};
use crate::common::event::Phase;
use crate::common::failure::{Class, Failure};
use crate::pipeline::emulation::{Emulation, on_one_line};
use crate::pipeline::images::ContainerImages;
use crate::pipeline::run::sweep;
use crate::pipeline::run_lock::RunLocks;
use crate::pipeline::scope::Scope;
use crate::pipeline::{Context, Plan};

/// How long an engine may take to answer whose failure may be its end.
const ANSWER: Duration = Duration::from_secs(5);

/// A run that gets its emulation.
struct Run<'a> {
    plan: &'a Plan,
    context: &'a Context,
    locks: &'a RunLocks,
    provided: &'a ContainerImages,
}

/// Sets up what the plan says, or what it names for the case that this does not work, and keeps it in
/// the scope; says which of the two it was. Dead runs are swept in any case.
pub(super) async fn emulate(
    plan: &Plan,
    context: &Context,
    (provided, (run_locks, scope)): (&ContainerImages, (&RunLocks, &mut Scope)),
) -> Result<Emulation, Failure> {
    let Some(image) = &provided.registrar else {
        sweep(plan, context, (run_locks, None)).await?;
        return Ok(plan.base.emulation);
    };
    let run = Run {
        plan,
        context,
        locks: run_locks,
        provided,
    };
    let work = run.first_that_works(image, scope);
    context.phase(Phase::Emulation, Box::pin(work)).await
}

impl Run<'_> {
    /// Goes from mode to mode until one works. The failure of the first is the one that is told when none
    /// does: its hints are those that lead further, the others were nobody's wish.
    async fn first_that_works(
        &self,
        image: &RegistrarImage,
        scope: &mut Scope,
    ) -> Result<Emulation, Failure> {
        let engine = &self.plan.base.engine;
        let mut mode = self.plan.base.emulation;
        let mut failed = mode.last_resort(self.plan.settings.emulation, engine.facts());
        if let Some(failure) = &failed {
            self.go_on_with(mode, &on_one_line(failure));
        }
        loop {
            let failure = match Box::pin(self.set_up(mode, image, scope)).await {
                Ok(()) => return Ok(mode),
                Err(failure) if failure.class == Class::Interrupted => return Err(failure),
                Err(failure) => failure,
            };
            // A full disk or a silent engine is met in every mode, and no reason for a wider surface.
            let another_may_work = failure.try_next_mode && failure.teardown.is_empty();
            let text = failure.to_string();
            let first = together(failed, failure);
            let other = mode.otherwise(self.plan.settings.emulation, engine.facts());
            match other.filter(|_| another_may_work) {
                Some(other) if engine.answers(ANSWER).await => mode = other,
                _ => return Err(first),
            }
            self.go_on_with(mode, &text);
            scope.release_lease(&self.context.cancel).await;
            failed = Some(first);
        }
    }

    fn go_on_with(&self, mode: Emulation, why: &str) {
        let handler = mode.handler();
        let events = &self.context.events;
        events.warn(format!("{why}; going on with {handler}"));
    }

    async fn set_up(
        &self,
        emulation: Emulation,
        image: &RegistrarImage,
        scope: &mut Scope,
    ) -> Result<(), Failure> {
        let (engine, run, cancel) = (&self.plan.base.engine, &self.plan.run, &self.context.cancel);
        if emulation == Emulation::Register {
            scope.keep_lease(self.register(image).await?);
        } else {
            sweep(self.plan, self.context, (self.locks, None)).await?;
        }
        if emulation == Emulation::Private {
            if self.provided.builder.is_root() {
                return Err(Emulation::refused_to_root(self.plan.settings.emulation));
            }
            scope.keep_private(PrivateBinfmt::verify(engine, image, run, cancel).await?);
            return Ok(());
        }
        let handler = match scope.lease() {
            Some(_) => HandlerKind::Registered,
            None => HandlerKind::Found,
        };
        let probed = binfmt::probe(engine, (image, handler), run, cancel).await;
        match (probed, scope.lease()) {
            (Err(failure), Some(lease)) if failure.class == Class::Environment => {
                Err(lease.blame(failure).await)
            }
            (probed, _) => probed,
        }
    }

    /// Starts a registrar, removes what dead runs left, and has the handler registered.
    async fn register(&self, image: &RegistrarImage) -> Result<Lease, Failure> {
        let Context { cancel, events } = self.context;
        let options = RegistrarOptions::new(&self.plan.base.engine, image, &self.plan.run);
        let mut registrar = Registrar::start(options, cancel, events).await?;
        let swept = sweep(self.plan, self.context, (self.locks, Some(&mut registrar)));
        match swept.await {
            Ok(()) => registrar.hold(cancel).await,
            Err(failure) => Err(failure.with_teardown(registrar.release(cancel).await)),
        }
    }
}

/// What failed first, with what the next one says but not with its hints.
fn together(first: Option<Failure>, next: Failure) -> Failure {
    let Some(mut first) = first else { return next };
    let hints = Vec::new();
    first.others.push(Failure { hints, ..next });
    first
}
