//! What a build does before it has a builder: it reads its source, looks for an image that is up to date already, and provides
//! container images and emulation.

use std::time::SystemTime;

use crate::nixos::build_source::ResolvedNixpkgs;
use crate::nixos::builder::BuildJob;
use crate::nixos::command::Task;
use crate::output::UnchangedImage;
use crate::pipeline::emulation::Emulation;
use crate::pipeline::run_context::RunContext;
use crate::pipeline::scope::Scope;
use crate::pipeline::steps::container_images::ContainerImages;
use crate::pipeline::steps::{
    builder, container_images, copy_out, emulation, remote_builders, source,
};
use sdbuild_core::compression::Compression;
use sdbuild_core::event::{Event, Phase};
use sdbuild_core::failure::Failure;

/// How a build goes on.
#[derive(Debug)]
pub(super) enum Beginning {
    /// Not at all: an earlier build has made the image of the same inputs.
    UpToDate(Box<UnchangedImage>),
    /// With a builder.
    Ready(Box<Ready>),
}

/// What a builder needs.
#[derive(Debug)]
pub(super) struct Ready {
    /// What it does.
    pub(super) job: BuildJob,
    /// The container images, which the engine holds.
    pub(super) images: ContainerImages,
    /// How programs of the image run.
    pub(super) emulation: Emulation,
    /// When the build began to read the configuration.
    pub(super) configuration_read: SystemTime,
}

/// Begins a build.
///
/// Whether a directory of nixpkgs has changed takes a look at each of its 50,000 files. So the build begins with the directory
/// as it was read last, and begins anew if it has changed.
pub(super) async fn begin(run: &RunContext<'_>, scope: &mut Scope) -> Result<Beginning, Failure> {
    let Some(remembered) = source::remembered_nixpkgs(run) else {
        let nixpkgs = source::nixpkgs(run).await?;
        return begin_with(nixpkgs, run, scope).await;
    };
    let remembered = Some(remembered);
    // Both to their end: a failure of one must not drop the other in the middle of what it does in the engine.
    let (nixpkgs, begun) = tokio::join!(
        source::nixpkgs(run),
        Box::pin(begin_with(remembered.clone(), run, scope))
    );
    let (nixpkgs, begun) = (nixpkgs?, begun?);
    match begun {
        begun if nixpkgs == remembered => Ok(begun),
        Beginning::UpToDate(_) => begin_with(nixpkgs, run, scope).await,
        Beginning::Ready(ready) => ready.with_nixpkgs(nixpkgs, run).await,
    }
}

async fn begin_with(
    nixpkgs: Option<ResolvedNixpkgs>,
    run: &RunContext<'_>,
    scope: &mut Scope,
) -> Result<Beginning, Failure> {
    // After `sdbuild.lock` is written, which belongs to the configuration.
    let configuration_read = SystemTime::now();
    let job = builder::job(run, nixpkgs, Task::Build).await?;
    if let Some(image) = copy_out::unchanged(run, &job, configuration_read).await? {
        return Ok(Beginning::UpToDate(Box::new(image)));
    }
    run.context.events.emit(Event::ToCome(to_come(run)));
    let images = container_images::provide(run).await?;
    remote_builders::try_all(run, &images.builder).await?;
    let emulation = emulation::set_up(run, &images, scope).await?;
    Ok(Beginning::Ready(Box::new(Ready {
        job,
        images,
        emulation,
        configuration_read,
    })))
}

/// The phases of a build of which something is built.
fn to_come(run: &RunContext<'_>) -> Vec<Phase> {
    let plan = &run.plan.engine_plan;
    let phases = [
        (Phase::ContainerImages, !plan.missing.images.is_empty()),
        (
            Phase::Builders,
            !run.plan.request.resources.builders.machines.is_empty(),
        ),
        (Phase::Emulation, plan.registrar.is_some()),
        (Phase::Upload, true),
        (Phase::Build, true),
        (Phase::CopyOut, true),
    ];
    let phases = phases.into_iter().filter(|(_, comes)| *comes);
    let request = &run.plan.request;
    let is_compressed = request.output.compress.format != Compression::None;
    let boot = request
        .output
        .is_booted
        .then(|| request.target.format.row().boot_phases(is_compressed));
    let boot = boot.unwrap_or_default().iter().copied();
    phases.map(|(phase, _)| phase).chain(boot).collect()
}

impl Ready {
    /// The same with another nixpkgs, of which there may be an image already.
    async fn with_nixpkgs(
        mut self: Box<Self>,
        nixpkgs: Option<ResolvedNixpkgs>,
        run: &RunContext<'_>,
    ) -> Result<Beginning, Failure> {
        self.job.source.nixpkgs = nixpkgs;
        let image = copy_out::unchanged(run, &self.job, self.configuration_read).await?;
        Ok(image.map_or_else(
            || Beginning::Ready(self),
            |image| Beginning::UpToDate(Box::new(image)),
        ))
    }
}
