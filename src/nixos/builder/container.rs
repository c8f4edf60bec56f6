//! The builder's container: what it is made from, and the store volume that it is given.

use std::path::PathBuf;
use std::time::Duration;

use super::image::BuilderImage;
use crate::nixos::build_source::BuildSource;
use crate::nixos::command::{BuildRequest, StorePaths, Task};
use crate::nixos::network_access::NetworkAccess;
use crate::nixos::shell_session::ShellSession;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::failure::Failure;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::timeout::finish_within;
use sdbuild_engine::labels::store_filler_name;
use sdbuild_engine::{
    Container, ContainerGuard, ContainerSpec, Engine, EntryWrapper, Input, Role, RunId,
};

/// Processes of the builder. An emulated program counts twice; a parallel build of something large needs thousands.
const MAX_PROCESSES: i64 = 16_384;
/// Timeout for copying an image's store to a new volume: a hundred megabytes in thousands of files, on a slow disk.
const FILL_TIMEOUT: Duration = Duration::from_secs(1800);
/// From this size on, it takes seconds or minutes that Nix copies a flake to its store, about which it says nothing.
const MIN_COPIED_BYTES: u64 = 16 << 20;

/// One run of the builder.
#[derive(Clone, Debug)]
pub struct BuildJob {
    /// The configuration and its nixpkgs.
    pub source: BuildSource,
    /// Tells the configuration, with its host and system, from every other one of the store volume, without its path.
    pub configuration: String,
    /// The request that Nix is run for.
    pub request: BuildRequest,
    /// Network access of the builder.
    pub access: NetworkAccess,
    /// Memory limit in bytes; `None`: unlimited.
    pub memory: Option<u64>,
    /// Path of the log file.
    pub log: PathBuf,
}

impl BuildJob {
    /// Whether the user's terminal is attached to it.
    pub(super) fn is_interactive(&self) -> bool {
        let session = self.request.task.session();
        session.is_some_and(ShellSession::is_interactive)
    }

    /// Says that Nix copies a large flake to its store; the phase that does it.
    pub(super) fn tell_of_copying(&self, events: &Events) -> Option<Phase> {
        let bytes = self.source.uploaded_bytes();
        if !self.source.is_flake() || bytes < MIN_COPIED_BYTES {
            return None;
        }
        let phase = match self.request.task {
            Task::Build => Phase::Build,
            Task::Check | Task::Forecast | Task::Shell(_) | Task::Lock(_) => Phase::Evaluate,
        };
        let text = format!("copying {} of flakes to the Nix store", human_bytes(bytes));
        events.detail(phase, text);
        Some(phase)
    }
}

/// What a builder is created from.
#[derive(Clone, Debug)]
pub struct Builder<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The run that it belongs to.
    pub run: &'a RunId,
    /// The container image.
    pub image: &'a BuilderImage,
    /// Name of the store volume, which is created if it is missing.
    pub store: &'a str,
    /// The wrapper that gives the builder a private handler, and the container that has the wrapper's files.
    pub wrapper: Option<(&'a EntryWrapper, &'a Container)>,
}

impl Builder<'_> {
    /// The paths of `job` on the store volume.
    pub(super) async fn store_paths(&self, job: &BuildJob) -> Result<StorePaths, Failure> {
        // Every run with a builder may have files on the volume, also before its builder is started.
        let containers = self.engine.our_containers().await?;
        let builders = containers.into_iter().filter(|c| c.role == Role::Builder);
        Ok(StorePaths {
            run: self.run.to_string(),
            configuration: job.configuration.clone(),
            live: builders.map(|c| c.run.to_string()).collect(),
        })
    }

    /// The specification of the container for `job`.
    pub(super) fn spec(
        &self,
        job: &BuildJob,
        paths: &StorePaths,
    ) -> Result<ContainerSpec, Failure> {
        let arguments = job.request.arguments(paths);
        let mut spec =
            ContainerSpec::new(Role::Builder, self.run, &self.image.reference, arguments);
        spec.environment = job.request.environment(paths)?;
        let source = job.source.environment(&job.request.task).into_iter();
        let source = source.map(|(name, value)| (name.to_owned(), value));
        spec.environment.extend(source);
        spec.user = Some(self.image.user.clone());
        spec.working_dir = Some("/".to_owned());
        spec.input = if job.is_interactive() {
            Input::Terminal
        } else {
            Input::Pipe
        };
        job.access.apply_to(&mut spec);
        spec.volumes = vec![(self.store.to_owned(), "/nix".to_owned())];
        spec.pids_limit = Some(MAX_PROCESSES);
        spec.memory = job.memory;
        if let Some((wrapper, _)) = self.wrapper {
            wrapper.apply_to(&mut spec);
        }
        Ok(spec)
    }

    /// Copies the image's `/nix` to a new store volume where the engine does that only when a first container with
    /// the volume starts (Podman).
    pub(super) async fn fill_store(&self, cancel: &Cancel) -> Result<(), Failure> {
        if !self.engine.facts().podman {
            return Ok(());
        }
        let no_command = ["/bin/sh", "-c", ":"].map(str::to_owned).to_vec();
        let reference = &self.image.reference;
        let spec = ContainerSpec {
            name: store_filler_name(self.run),
            user: Some(self.image.user.clone()),
            volumes: vec![(self.store.to_owned(), "/nix".to_owned())],
            ..ContainerSpec::new(Role::Probe, self.run, reference, no_command)
        };
        let guard = ContainerGuard::arm(self.engine, &spec.name).grace(0);
        let fill = async |guard: &mut ContainerGuard| {
            finish_within(FILL_TIMEOUT, guard.output(&spec, 1)).await??;
            Ok(())
        };
        guard.run("fill the store volume", cancel, fill).await
    }
}
