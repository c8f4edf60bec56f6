//! How programs of the image run on the engine's machine. Pure.

use std::fmt;
use std::time::Duration;

use crate::build_mode::{EmulationChoice, Glue};
use crate::command::is_native_glue_possible;
use crate::container_images::ContainerImages;
use crate::copy_out::qemu_version;
use crate::plan::Plan;
use crate::remote_builder::RemoteBuilder;
use crate::request::BuildRequest;
use crate::run_context::{RunContext, Scope};
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::system::System;
use sdbuild_engine::EngineFacts;
use sdbuild_engine::binfmt;
use sdbuild_engine::binfmt::{
    HandlerKind, Lease, PrivateBinfmt, Refused, Registrar, RegistrarImage, RegistrarOptions,
};

/// The first kernel whose user namespaces have `binfmt_misc` tables of their own (commit 21ca59b365c0).
const OWN_TABLES: KernelVersion = KernelVersion::new(6, 7);

/// How one run emulates, chosen from what the user asked for and what the engine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulation {
    /// The engine's machine runs the system itself.
    Native,
    /// It does not, and remote builders build everything for the system.
    Builders,
    /// Our registrar adds a handler to the kernel during the run.
    Register,
    /// The builder has a handler in its own user namespace.
    Private,
    /// A handler that another program registered is used as it is.
    Host,
}

impl Emulation {
    /// What [`choose`](Self::choose) chooses, or [`Self::Builders`] where that emulates, the user did not request it, and one
    /// of `builders` builds everything for `system`.
    pub(crate) fn choose_with(
        builders: &[RemoteBuilder],
        choice: EmulationChoice,
        system: System,
        engine: &EngineFacts,
    ) -> Result<Self, Failure> {
        let native = engine.architecture.is(system.architecture());
        let open = matches!(choice, EmulationChoice::Auto | EmulationChoice::None);
        let name = system.to_string();
        if open && !native && builders.iter().any(|one| one.covers(&name)) {
            return Ok(Self::Builders);
        }
        Self::choose(choice, system, engine)
    }

    /// What a build of `request` chooses.
    pub(crate) fn of_build(request: &BuildRequest, engine: &EngineFacts) -> Result<Self, Failure> {
        let (builders, target) = (&request.resources.builders.machines, &request.target);
        Self::choose_with(builders, target.emulation, target.system, engine)
    }

    /// Whether a handler runs the system's programs on the engine's machine.
    pub(crate) fn uses_handler(self) -> bool {
        match self {
            Self::Native | Self::Builders => false,
            Self::Register | Self::Private | Self::Host => true,
        }
    }

    /// Chooses by the engine's machine, never by the client's: the handler is in the engine's kernel.
    pub(crate) fn choose(
        choice: EmulationChoice,
        system: System,
        engine: &EngineFacts,
    ) -> Result<Self, Failure> {
        let native = engine.architecture.is(system.architecture());
        match choice {
            // Whatever the user's settings request for all engines: there is nothing to emulate.
            _ if native => Ok(Self::Native),
            EmulationChoice::None => Err(Failure::usage(format!(
                "--emulation none does not work, because the engine's machine is {} and the image is for {system}",
                engine.architecture
            ))
            .hint("omit --emulation, or point DOCKER_HOST at a native engine")),
            EmulationChoice::Host => Ok(Self::Host),
            EmulationChoice::Auto | EmulationChoice::Register | EmulationChoice::Private
                if !is_emulable(system, engine) =>
            {
                Err(Failure::environment(format!(
                    "sdbuild cannot emulate {system} on the engine's machine, which is {}",
                    engine.architecture
                ))
                .hint("point DOCKER_HOST at an engine on a machine of that architecture")
                .hint("or give --emulation host if an emulator for it is registered there already"))
            }
            EmulationChoice::Auto if engine.rootless && has_own_tables(engine) => Ok(Self::Private),
            EmulationChoice::Auto if engine.rootless => Ok(Self::Host),
            EmulationChoice::Register if engine.rootless => Err(rootless(system, engine)),
            EmulationChoice::Auto | EmulationChoice::Register => Ok(Self::Register),
            EmulationChoice::Private if !has_own_tables(engine) => {
                Err(too_old(engine)
                    .hint("omit --emulation, or point DOCKER_HOST at a newer machine"))
            }
            EmulationChoice::Private => Ok(Self::Private),
        }
    }

    /// Why `auto` starts with [`Emulation::Host`]: the failure to report, with its hints, when there is no such
    /// handler. `None` for every other choice.
    pub(crate) fn last_resort(
        self,
        choice: EmulationChoice,
        system: System,
        engine: &EngineFacts,
    ) -> Option<Failure> {
        (self == Self::Host && choice == EmulationChoice::Auto).then(|| rootless(system, engine))
    }

    /// The notice for a user who requested emulation where nothing is emulated.
    pub(crate) fn unneeded(self, choice: EmulationChoice, system: System) -> Option<String> {
        let requested = !matches!(choice, EmulationChoice::Auto | EmulationChoice::None);
        (requested && self == Self::Native).then(|| {
            format!("emulation `{choice}` is not needed, because the engine's machine runs {system} itself")
        })
    }

    /// What `auto` tries when this one turns out not to work: private emulation where the kernel supports it, then
    /// an existing handler, as Docker Desktop's virtual machine has.
    pub(crate) fn otherwise(self, choice: EmulationChoice, engine: &EngineFacts) -> Option<Self> {
        match self {
            _ if choice != EmulationChoice::Auto => None,
            Self::Register if has_own_tables(engine) => Some(Self::Private),
            Self::Register | Self::Private => Some(Self::Host),
            Self::Native | Self::Builders | Self::Host => None,
        }
    }

    /// The failure of [`Emulation::Private`] for a builder image that runs as root: without capabilities root may
    /// not create a user namespace with root in it.
    pub(super) fn refused_to_root(choice: EmulationChoice, system: System) -> Failure {
        let text = "private emulation does not work with a builder image that runs as root";
        let other = "give an image with another USER";
        match choice {
            EmulationChoice::Private => Failure::usage(text)
                .hint(other)
                .hint("or omit --emulation, and sdbuild tries another way"),
            // `auto` goes on with an existing handler; this is reported when there is none.
            EmulationChoice::Auto
            | EmulationChoice::Register
            | EmulationChoice::Host
            | EmulationChoice::None => Failure::environment(text).hint(other).hint(format!(
                "or let root register {} in binfmt_misc on the engine's machine",
                system.architecture().qemu_user()
            )),
        }
    }

    /// The same in a few words.
    pub(super) fn short_name(self) -> &'static str {
        match self {
            Self::Native => "none",
            Self::Builders => "remote builders",
            Self::Register => "registered for this run",
            Self::Private => "in the builder only",
            Self::Host => "the entry of the host",
        }
    }

    /// The handler that runs the image's programs, as a noun phrase for messages.
    pub(super) fn handler(self) -> &'static str {
        match self {
            Self::Native | Self::Builders => "no emulator",
            Self::Register => "an entry for QEMU in the kernel's binfmt_misc during the run",
            Self::Private => "an entry for QEMU that only the build's container sees",
            Self::Host => "the existing binfmt_misc entry, if there is one",
        }
    }
}

impl From<Emulation> for EmulationChoice {
    /// The choice that requests this emulation.
    fn from(emulation: Emulation) -> Self {
        match emulation {
            Emulation::Native | Emulation::Builders => Self::None,
            Emulation::Register => Self::Register,
            Emulation::Private => Self::Private,
            Emulation::Host => Self::Host,
        }
    }
}

/// Whether there is a registrar for the engine's machine that emulates `system`.
fn is_emulable(system: System, engine: &EngineFacts) -> bool {
    let host = engine.architecture.supported();
    host.is_ok_and(|host| host.emulates() == system.architecture())
}

fn has_own_tables(engine: &EngineFacts) -> bool {
    KernelVersion::of(&engine.kernel).is_none_or(|version| version >= OWN_TABLES)
}

fn too_old(engine: &EngineFacts) -> Failure {
    let kernel = &engine.kernel;
    Failure::environment(format!(
        "private emulation needs Linux {OWN_TABLES} or later, but the engine's kernel is {kernel}"
    ))
}

fn rootless(system: System, engine: &EngineFacts) -> Failure {
    let failure = Failure::environment(
        "the engine runs rootless and cannot register QEMU in the kernel's binfmt_misc",
    );
    if has_own_tables(engine) {
        return failure.hint("omit --emulation, and QEMU is registered inside the builder only");
    }
    Failure {
        others: vec![too_old(engine)],
        ..failure
    }
    .hint("point DOCKER_HOST at a rootful engine, or at a machine with a newer kernel")
    .hint(format!(
        "or let root register {} in binfmt_misc, and omit --emulation",
        system.architecture().qemu_user()
    ))
}

/// The failure and its further problems on one line.
pub(super) fn on_one_line(failure: &Failure) -> String {
    let all = std::iter::once(failure).chain(&failure.others);
    all.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// How long the engine may take to answer before another way of emulation is tried: the failure of the first
/// may have been the engine's end.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(5);

/// The system, the engine's machine, and how the one runs on the other.
pub(super) fn describe_steps(plan: &Plan) -> Vec<(&'static str, String)> {
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
    let others: Vec<String> = others
        .map(|mode| EmulationChoice::from(mode).to_string())
        .collect();
    if others.is_empty() {
        return first;
    }
    format!("{first}; if that fails, {}", others.join(", or "))
}

/// Sets up the planned emulation, or the next that may work instead, and keeps it in `scope`; returns which one
/// it is. Stale runs are swept in any case.
pub(crate) async fn set_up(
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

/// Whether the handler of `emulation`, which was set up with `images`, was lost: the registrar ended, or a program of the emulated
/// architecture that is started now does not run.
pub(crate) async fn is_lost(
    run: &RunContext<'_>,
    images: &ContainerImages,
    emulation: Emulation,
    scope: &Scope,
) -> bool {
    let handler = match (scope.lease(), emulation) {
        (Some(lease), _) if lease.is_lost() => return true,
        (Some(_), _) => HandlerKind::Registered,
        // Nobody else can change the builder's own table.
        (None, Emulation::Private | Emulation::Native | Emulation::Builders) => return false,
        (None, _) => HandlerKind::Found,
    };
    let Some(image) = &images.registrar else {
        return false;
    };
    let engine = run.plan.engine();
    let probed = binfmt::probe(engine, image, handler, &run.plan.run, &run.context.cancel).await;
    // Any other failure says nothing about the handler.
    probed.is_err_and(|refused| refused.of_this_mode)
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
            let (failure, next) = match self.set_up(mode, scope).await {
                Ok(()) => {
                    let text = describe_result(self.run.plan, mode);
                    let events = &self.run.context.events;
                    events.detail(Phase::Emulation, text);
                    return Ok(mode);
                }
                Err(Refused { failure, .. }) if failure.class == Class::Interrupted => {
                    return Err(failure);
                }
                Err(refused) => {
                    // Otherwise there is no reason for a mode with more privileges.
                    let may_try = refused.of_this_mode && refused.failure.teardown.is_empty();
                    let next = mode.otherwise(choice, engine.facts());
                    (refused.failure, next.filter(|_| may_try))
                }
            };
            let text = failure.to_string();
            let combined = combine(first, failure);
            match next {
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

    async fn set_up(&self, mode: Emulation, scope: &mut Scope) -> Result<(), Refused> {
        let (plan, cancel) = (self.run.plan, &self.run.context.cancel);
        let (engine, run) = (plan.engine(), &plan.run);
        // Of an earlier build of a series.
        if scope.lease().is_some_and(Lease::is_lost) {
            scope.release_lease(cancel).await;
        }
        if mode == Emulation::Register && scope.lease().is_none() {
            scope.keep_lease(self.register().await?);
        } else {
            self.run.sweep(None).await?;
        }
        if mode == Emulation::Private {
            if self.builder_is_root {
                let request = &plan.request;
                return Err(Refused::next_mode(Emulation::refused_to_root(
                    request.target.emulation,
                    request.target.system,
                )));
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
            (Err(refused), Some(lease)) if refused.failure.class == Class::Environment => {
                Err(lease.blame(refused).await)
            }
            (probed, _) => probed,
        }
    }

    /// Starts a registrar, removes what stale runs left behind, and registers the handler.
    async fn register(&self) -> Result<Lease, Refused> {
        let Context { cancel, events } = self.run.context;
        let plan = self.run.plan;
        let options = RegistrarOptions::new(plan.engine(), self.image, &plan.run);
        let mut registrar = Registrar::start(options, cancel, events).await?;
        match self.run.sweep(Some(&mut registrar)).await {
            Ok(()) => registrar.hold(cancel).await,
            Err(failure) => Err(failure
                .with_teardown(registrar.release(cancel).await)
                .into()),
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

/// Major and minor version of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KernelVersion {
    major: u32,
    minor: u32,
}

impl KernelVersion {
    /// The version `major.minor`.
    pub(super) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The version of a kernel release such as `6.18.0-9-generic`; `None` when it does not begin with two
    /// numbers.
    pub(super) fn of(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod kernel_version_tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let version = |release| KernelVersion::of(release).unwrap();
        assert!(version("6.18.0-9-generic") > version("6.7"));
        assert!(version("4.8") >= KernelVersion::new(4, 8));
        assert!(version("3.10.0-1160.el7") < KernelVersion::new(4, 8));
        assert_eq!(KernelVersion::of("strange"), None);
        assert_eq!(version("6.7.0").to_string(), "6.7");
    }
}
