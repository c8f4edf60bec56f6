//! The program, arguments and environment that the builder runs, as data. Pure.
//!
//! No value passes through a shell.

use super::network_access;
use crate::build_mode::{Glue, Product};
use sdbuild_core::failure::Failure;
use sdbuild_core::system::System;
use sdbuild_image::image_format::Format;
use sdbuild_nix::layout;
use sdbuild_nix::nix_conf::NixSettings;
use sdbuild_nix::shell_session::ShellSession;

/// The task that Nix is run for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Task {
    /// Build the image.
    #[default]
    Build,
    /// Evaluate what the configuration sets, without building.
    Check,
    /// Evaluate what a build would fetch and build.
    Forecast,
    /// Evaluate which configurations a flake has.
    Machines,
    /// An interactive shell or a command.
    Shell(ShellSession),
    /// Complete the lock of a flake, or update inputs in it: their names, then further arguments for Nix.
    Lock(Vec<String>),
}

impl Task {
    /// Whether it builds nothing. The builder then has no handler for emulated programs.
    pub(super) fn only_evaluates(&self) -> bool {
        matches!(
            self,
            Self::Check | Self::Forecast | Self::Machines | Self::Lock(_)
        )
    }

    /// The command line of sdbuild for it, up to a flake.
    pub(super) fn before_flake(&self) -> &'static str {
        match self {
            Self::Build | Self::Forecast | Self::Machines => "sdbuild build",
            Self::Check => "sdbuild check",
            Self::Shell(_) => "sdbuild shell --flake",
            Self::Lock(_) => "sdbuild lock --flake",
        }
    }

    /// The session of a [`Task::Shell`].
    pub(super) fn session(&self) -> Option<&ShellSession> {
        match self {
            Self::Shell(session) => Some(session),
            Self::Build | Self::Check | Self::Forecast | Self::Machines | Self::Lock(_) => None,
        }
    }
}

/// What the builder runs Nix for, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NixCommand {
    /// The task.
    pub task: Task,
    /// The system that the configuration is built for.
    pub system: System,
    /// The format of the image.
    pub format: Format,
    /// Whether nothing names the format.
    pub is_default_format: bool,
    /// Whether programs of `system` run under emulation when the configuration is built.
    pub emulated: bool,
    /// Whose tools build the glue when programs are emulated.
    pub glue: Glue,
    /// What is built of the configuration.
    pub product: Product,
    /// Nix's settings.
    pub nix: NixSettings,
    /// Mirror that the miniature nixpkgs fetches from (`SDBUILD_DEBIAN_MIRROR`).
    pub debian_mirror: Option<String>,
}

/// The paths of one run on the store volume.
#[derive(Clone, Debug)]
pub(super) struct StorePaths {
    /// The run's id.
    pub(super) run: String,
    /// Tells the configuration from every other one on the volume.
    pub(super) configuration: String,
    /// Ids of runs that may have files on the volume, which the entry must not remove.
    pub(super) live: Vec<String>,
}

impl StorePaths {
    /// The garbage collector root of the result.
    fn result(&self) -> String {
        format!(
            "{}/{}/{}/image",
            layout::ROOTS,
            self.configuration,
            self.run
        )
    }
}

impl NixCommand {
    /// The command: the watchdog, the entry, which prepares the volume, then the program that it runs, with its
    /// arguments.
    pub(super) fn arguments(&self) -> Vec<String> {
        match &self.task {
            Task::Machines => evaluate(&TO_JSON, &["machines"]),
            // The entry builds what this evaluates to; for a check it evaluates more. Read-write: a configuration may import files
            // that must be fetched, or even built.
            Task::Build | Task::Forecast | Task::Check => evaluate(
                &["nix-instantiate", "--eval", "--read-write-mode"],
                &["image.drvPath"],
            ),
            Task::Shell(session) => session.arguments(),
            Task::Lock(inputs) => {
                let words = layout::COMMAND.into_iter().chain(["lock"]);
                let words = words.map(str::to_owned);
                words.chain(inputs.iter().cloned()).collect()
            }
        }
    }

    /// The system whose programs run under emulation, if any do.
    pub(super) fn emulated_system(&self) -> Option<System> {
        self.emulated.then_some(self.system)
    }

    /// The entry's word for how the image is built: `emulated` if the glue expression does not cover the format or the system.
    fn glue_mode(&self) -> &'static str {
        let covered = is_native_glue_possible(&self.format, self.system);
        match self.glue {
            _ if !self.emulated => "none",
            Glue::Auto if covered => "auto",
            Glue::Native if covered => "native",
            Glue::Auto | Glue::Native | Glue::Emulated => "emulated",
        }
    }

    /// The entry's word for what an image is evaluated for.
    fn image_task(&self) -> Option<&'static str> {
        match self.task {
            Task::Build => Some("build"),
            Task::Forecast => Some("forecast"),
            Task::Check => Some("check"),
            Task::Machines | Task::Shell(_) | Task::Lock(_) => None,
        }
    }

    /// The environment variables in addition to those of the container image.
    pub(super) fn environment(&self, paths: &StorePaths) -> Result<Vec<(String, String)>, Failure> {
        let build_dir = layout::build_dir(&paths.run);
        let mut environment = vec![
            ("NIX_CONFIG", self.nix.text(self.platform(), &build_dir)?),
            // No daemon, and no silent fallback to a store in $HOME.
            ("NIX_REMOTE", "local".to_owned()),
            ("HOME", layout::HOME_OF_NIX.to_owned()),
            ("USER", "sdbuild".to_owned()),
            // With an engine's limit for a file system in memory, a clone would not fit there.
            ("NIX_CACHE_HOME", format!("{build_dir}/cache")),
            ("TMPDIR", build_dir),
            ("LANG", "C.UTF-8".to_owned()),
            ("SDBUILD_RUN", paths.run.clone()),
            ("SDBUILD_LIVE", paths.live.join(" ")),
            ("SDBUILD_SYSTEM", self.system.to_string()),
        ];
        if let Some(task) = self.image_task() {
            environment.extend([
                ("SDBUILD_IMAGE", task.to_owned()),
                ("SDBUILD_GLUE", self.glue_mode().to_owned()),
            ]);
        }
        match self.task {
            Task::Build => environment.push(("SDBUILD_RESULT", paths.result())),
            Task::Lock(_) => environment.push(("SDBUILD_LOCK", "yes".to_owned())),
            Task::Forecast | Task::Check | Task::Machines | Task::Shell(_) => {}
        }
        environment.push(("SDBUILD_EXPRESSIONS", layout::EXPRESSIONS.to_owned()));
        if let Some(accepted) = self.nix.flake_caches.accepted() {
            environment.push(("SDBUILD_FLAKE_CACHES", accepted));
        }
        // Read by the garbage collector that Nix is linked with. Not in a shell, where one process of Nix evaluates and
        // builds and would keep that memory until its end.
        if let Some(heap) = self.nix.heap.filter(|_| self.task.session().is_none()) {
            environment.push(("GC_INITIAL_HEAP_SIZE", heap.to_string()));
        }
        if !self.nix.builders.is_empty() {
            environment.push(("NIX_SSHOPTS", network_access::ssh_options()));
        }
        if let Some(mirror) = &self.debian_mirror {
            environment.push(("SDBUILD_DEBIAN_MIRROR", mirror.clone()));
        }
        let session = self.task.session().map(ShellSession::environment);
        let session = session.transpose()?.unwrap_or_default();
        Ok(environment
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .chain(session)
            .collect())
    }

    /// The emulated platform that Nix may build for; `None` without a handler for it.
    fn platform(&self) -> Option<System> {
        self.emulated_system()
            .filter(|_| !self.task.only_evaluates())
    }
}

/// Whether the glue expression covers images of `format` for an emulated `system`: others are built wholly under emulation.
pub(crate) fn is_native_glue_possible(format: &Format, system: System) -> bool {
    format.row().has_native_glue && system == System::Aarch64Linux
}

/// The program that evaluates to JSON.
const TO_JSON: [&str; 5] = [
    "nix-instantiate",
    "--eval",
    "--strict",
    "--json",
    "--read-write-mode",
];

/// The entry and a `program` of Nix that evaluates `attributes` of sdbuild's expressions; the entry adds the expression.
fn evaluate(program: &[&str], attributes: &[&str]) -> Vec<String> {
    let mut words = layout::COMMAND.to_vec();
    words.extend(program);
    for attribute in attributes {
        words.extend(["-A", attribute]);
    }
    words.extend(["--log-format", "internal-json"]);
    words.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
