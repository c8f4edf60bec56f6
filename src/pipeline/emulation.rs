//! How programs of the image run on the engine's machine. Pure.

use crate::common::build_mode::EmulationChoice;
use crate::common::remote_builder::RemoteBuilder;
use crate::pipeline::kernel_version::KernelVersion;
use sdbuild_core::failure::Failure;
use sdbuild_core::system::System;
use sdbuild_engine::EngineFacts;

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
    pub fn choose_with(
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

    /// Whether a handler runs the system's programs on the engine's machine.
    pub fn uses_handler(self) -> bool {
        match self {
            Self::Native | Self::Builders => false,
            Self::Register | Self::Private | Self::Host => true,
        }
    }

    /// Chooses by the engine's machine, never by the client's: the handler is in the engine's kernel.
    pub fn choose(
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
    pub fn last_resort(
        self,
        choice: EmulationChoice,
        system: System,
        engine: &EngineFacts,
    ) -> Option<Failure> {
        (self == Self::Host && choice == EmulationChoice::Auto).then(|| rootless(system, engine))
    }

    /// The notice for a user who requested emulation where nothing is emulated.
    pub fn unneeded(self, choice: EmulationChoice, system: System) -> Option<String> {
        let requested = !matches!(choice, EmulationChoice::Auto | EmulationChoice::None);
        (requested && self == Self::Native).then(|| {
            format!("emulation `{choice}` is not needed, because the engine's machine runs {system} itself")
        })
    }

    /// What `auto` tries when this one turns out not to work: private emulation where the kernel supports it, then
    /// an existing handler, as Docker Desktop's virtual machine has.
    pub fn otherwise(self, choice: EmulationChoice, engine: &EngineFacts) -> Option<Self> {
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
            | EmulationChoice::None => {
                Failure::environment(text)
                    .try_next_mode()
                    .hint(other)
                    .hint(format!(
                        "or let root register {} in binfmt_misc on the engine's machine",
                        system.architecture().qemu_user()
                    ))
            }
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

    /// The handler as what is tried next, in few words.
    pub(super) fn as_another(self) -> &'static str {
        match self {
            Self::Native | Self::Builders => "no emulator",
            Self::Register => "with one during the run",
            Self::Private => "with one that only the build's container sees",
            Self::Host => "with the existing one",
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

#[cfg(test)]
mod tests;
