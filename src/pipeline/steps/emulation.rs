//! Step: programs of the image run on the engine's machine; tried before anything relies on it.

use std::time::Duration;

use crate::common::build_mode::Glue;
use crate::nixos::command::is_native_glue_possible;
use crate::pipeline::emulation::{Emulation, on_one_line};
use crate::pipeline::plan::Plan;
use crate::pipeline::provenance::qemu_version;
use crate::pipeline::run_context::RunContext;
use crate::pipeline::scope::Scope;
use crate::pipeline::steps::container_images::ContainerImages;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_engine::binfmt;
use sdbuild_engine::binfmt::{
    HandlerKind, Lease, PrivateBinfmt, Registrar, RegistrarImage, RegistrarOptions,
};

/// How long the engine may take to answer before another way of emulation is tried: the failure of the first
/// may have been the engine's end.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(5);

/// The system, the engine's machine, and how the one runs on the other.
pub(super) fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let facts = plan.engine().facts();
    let engine = format!(
        "{} at {} ({}, kernel {}, {} cores)",
        facts.title(),
        plan.engine().endpoint(),
        facts.architecture,
        facts.kernel,
        facts.cpus
    );
    let request = &plan.request;
    let glue = match request.target.glue {
        _ if !plan.is_emulated() => "native: no emulation is needed",
        _ if !is_native_glue_possible(&request.target.format, request.target.system) => {
            "emulated: nothing can be built without emulation for this format and system"
        }
        Glue::Auto => {
            "auto: units, configuration files and the image itself are built without emulation where the result is the \
             same"
        }
        Glue::Native => {
            "native: units, configuration files and the image itself are built without emulation, or the build fails"
        }
        Glue::Emulated => {
            "emulated: units, configuration files and the image itself are built under emulation too"
        }
    };
    vec![
        ("system", plan.request.target.system.to_string()),
        ("engine", engine),
        ("emulation", describe_emulation(plan)),
        ("glue", glue.to_owned()),
    ]
}

fn describe_emulation(plan: &Plan) -> String {
    let facts = plan.engine().facts();
    let (machine, system) = (&facts.architecture, plan.request.target.system);
    let (emulation, choice) = (plan.engine_plan.emulation, plan.request.target.emulation);
    let foreign = format!("the engine's machine is {machine}, the image is for {system}");
    let first = match emulation {
        Emulation::Builders => format!("none, because remote builders build for it ({foreign})"),
        Emulation::Native => format!("none, because the engine's machine runs {machine} itself"),
        Emulation::Register => format!(
            "register: QEMU runs the image's {system} programs, with an entry in the kernel's binfmt_misc during the run"
        ),
        Emulation::Private => format!(
            "private: QEMU runs the image's {system} programs, with an entry that only the build's container sees"
        ),
        Emulation::Host if emulation.last_resort(choice, system, facts).is_some() => {
            "host: the existing binfmt_misc entry, if there is one; this engine cannot add entries"
                .to_owned()
        }
        Emulation::Host => {
            "host: the existing binfmt_misc entry, as --emulation requests".to_owned()
        }
    };
    let next = |mode: &Emulation| mode.otherwise(choice, facts);
    let others = std::iter::successors(next(&emulation), next);
    let others: Vec<&str> = others.map(Emulation::as_another).collect();
    if others.is_empty() {
        return first;
    }
    format!("{first}; if that fails, {}", others.join(", or "))
}

/// Sets up the planned emulation, or the next that may work instead, and keeps it in `scope`; returns which one
/// it is. Stale runs are swept in any case.
pub(in crate::pipeline) async fn set_up(
    run: &RunContext<'_>,
    images: &ContainerImages,
    scope: &mut Scope,
) -> Result<Emulation, Failure> {
    let Some(image) = &images.registrar else {
        run.sweep(None).await?;
        return Ok(run.plan.engine_plan.emulation);
    };
    let setup = Setup {
        run,
        image,
        builder_is_root: images.builder.is_root(),
    };
    let work = setup.first_that_works(scope);
    run.context.phase(Phase::Emulation, work).await
}

/// The emulation that works: `QEMU 10.0.8, registered for this run`.
fn describe_result(plan: &Plan, mode: Emulation) -> String {
    let registrar = plan.engine_plan.registrar.as_ref();
    let qemu = qemu_version(mode, registrar);
    let qemu = qemu.map(|version| format!("QEMU {version}, "));
    format!("{}{}", qemu.unwrap_or_default(), mode.short_name())
}

struct Setup<'a> {
    run: &'a RunContext<'a>,
    /// The registrar's image.
    image: &'a RegistrarImage,
    builder_is_root: bool,
}

impl Setup<'_> {
    /// Tries one mode after the other until one works. When none does, the failure of the first is reported
    /// with its hints; the user did not ask for the others.
    async fn first_that_works(&self, scope: &mut Scope) -> Result<Emulation, Failure> {
        let (engine, request) = (self.run.plan.engine(), &self.run.plan.request);
        let (choice, system) = (request.target.emulation, request.target.system);
        let mut mode = self.run.plan.engine_plan.emulation;
        let mut first = mode.last_resort(choice, system, engine.facts());
        if let Some(failure) = &first {
            self.warn_of_fallback(mode, &on_one_line(failure));
        }
        loop {
            let failure = match self.set_up(mode, scope).await {
                Ok(()) => {
                    let text = describe_result(self.run.plan, mode);
                    let events = &self.run.context.events;
                    events.detail(Phase::Emulation, text);
                    return Ok(mode);
                }
                Err(failure) if failure.class == Class::Interrupted => return Err(failure),
                Err(failure) => failure,
            };
            // A full disk or a silent engine fails every mode, and is no reason for one with more privileges.
            let another_may_work = failure.try_next_mode && failure.teardown.is_empty();
            let text = failure.to_string();
            let combined = combine(first, failure);
            let next = mode.otherwise(choice, engine.facts());
            match next.filter(|_| another_may_work) {
                Some(next) if engine.answers(ENGINE_TIMEOUT).await => mode = next,
                _ => return Err(combined),
            }
            self.warn_of_fallback(mode, &text);
            scope.release_lease(&self.run.context.cancel).await;
            first = Some(combined);
        }
    }

    fn warn_of_fallback(&self, mode: Emulation, why: &str) {
        let handler = mode.handler();
        let events = &self.run.context.events;
        events.warn(format!("{why}; continuing with {handler}"));
    }

    async fn set_up(&self, mode: Emulation, scope: &mut Scope) -> Result<(), Failure> {
        let (plan, cancel) = (self.run.plan, &self.run.context.cancel);
        let (engine, run) = (plan.engine(), &plan.run);
        if mode == Emulation::Register {
            scope.keep_lease(self.register().await?);
        } else {
            self.run.sweep(None).await?;
        }
        if mode == Emulation::Private {
            if self.builder_is_root {
                let request = &plan.request;
                return Err(Emulation::refused_to_root(
                    request.target.emulation,
                    request.target.system,
                ));
            }
            scope.keep_private(PrivateBinfmt::verify(engine, self.image, run, cancel).await?);
            return Ok(());
        }
        let handler = match scope.lease() {
            Some(_) => HandlerKind::Registered,
            None => HandlerKind::Found,
        };
        let probed = binfmt::probe(engine, self.image, handler, run, cancel).await;
        match (probed, scope.lease()) {
            (Err(failure), Some(lease)) if failure.class == Class::Environment => {
                Err(lease.blame(failure).await)
            }
            (probed, _) => probed,
        }
    }

    /// Starts a registrar, removes what stale runs left behind, and registers the handler.
    async fn register(&self) -> Result<Lease, Failure> {
        let Context { cancel, events } = self.run.context;
        let plan = self.run.plan;
        let options = RegistrarOptions::new(plan.engine(), self.image, &plan.run);
        let mut registrar = Registrar::start(options, cancel, events).await?;
        match self.run.sweep(Some(&mut registrar)).await {
            Ok(()) => registrar.hold(cancel).await,
            Err(failure) => Err(failure.with_teardown(registrar.release(cancel).await)),
        }
    }
}

/// The first failure, with the next one added but without that one's hints.
fn combine(first: Option<Failure>, next: Failure) -> Failure {
    let Some(mut first) = first else { return next };
    let hints = Vec::new();
    first.others.push(Failure { hints, ..next });
    first
}
