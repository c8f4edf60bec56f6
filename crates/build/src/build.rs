//! A build: the steps from container images to the image file, in their order.

use std::time::SystemTime;

use crate::build_mode::Product;
use crate::build_source::ResolvedNixpkgs;
use crate::builder::{BuildJob, BuildResult};
use crate::command::Task;
use crate::container_images;
use crate::container_images::ContainerImages;
use crate::copy_out;
use crate::copy_out::{SourceRecord, configuration_id, provenance};
use crate::emulation;
use crate::emulation::Emulation;
use crate::last_times::{last_times, note_times};
use crate::output::{Image, UnchangedImage};
use crate::plan::Plan;
use crate::run_context::{Outcome, RunContext, Scope, with_cleanup};
use crate::{builder_step, remote_builders, source};
use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Phase};
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::timings::Timings;

/// Carries out `plan`. `timings` holds how long the phases took that `context` reported so far; the manifest
/// lists them.
pub async fn build(
    plan: &Plan,
    context: &Context,
    timings: &Timings,
) -> Result<Outcome<Image>, Failure> {
    // Those of the manifest have the time of the copy before it has ended.
    let phases = Timings::default();
    let context = &Context {
        events: phases.listen(&context.events),
        ..context.clone()
    };
    let steps =
        async |run: &RunContext<'_>, scope: &mut Scope| Box::pin(steps(run, scope, timings)).await;
    let built = Box::pin(with_cleanup(plan, context, steps)).await?;
    // Without it the next build shows no earlier time.
    let state_dir = &plan.request.common.state_dir;
    if let Some(series) = &plan.request.series {
        series.add(&built.value.path);
    }
    note_times(state_dir, &configuration_id(plan), phases.in_millis()).ok();
    Ok(built)
}

/// Builds the system of `plan`, which [`plan_system`](crate::plan_system) made, and what the image has in its firmware partition, as far
/// as that is known: the store path of both, which [`ClosureExport`](crate::ClosureExport) reads from the store volume.
pub async fn build_system(plan: &Plan, context: &Context) -> Result<Outcome<String>, Failure> {
    let steps =
        async |run: &RunContext<'_>, scope: &mut Scope| match Box::pin(begin(run, scope)).await? {
            Beginning::Ready(ready) => {
                let built = Box::pin(run_builder(run, scope, *ready)).await?;
                Ok(built.result.out_path)
            }
            Beginning::UpToDate(_) => Err(Failure::message(
                Class::Internal,
                "an image was taken for a system",
            )),
        };
    Box::pin(with_cleanup(plan, context, steps)).await
}

async fn steps(
    run: &RunContext<'_>,
    scope: &mut Scope,
    timings: &Timings,
) -> Result<Image, Failure> {
    let ready = match Box::pin(begin(run, scope)).await? {
        Beginning::Ready(ready) => *ready,
        Beginning::UpToDate(image) => {
            remove_leftovers(run, scope).await?;
            return Ok(image.into_image());
        }
    };
    let Ready {
        emulation,
        configuration_read,
        ..
    } = ready;
    let source = SourceRecord::of(&ready.job.source);
    let BuiltWith {
        result: built,
        images,
    } = Box::pin(run_builder(run, scope, ready)).await?;
    let origin = provenance(run.plan, &images, emulation, source, &built);
    let release = async {
        // Nothing runs under emulation any more, but for the next build of a series.
        if run.plan.request.series.is_none() {
            scope.release_lease(&run.context.cancel).await;
        }
    };
    let (image, ()) = tokio::join!(
        copy_out::copy_out(run, &built, origin, timings, configuration_read),
        release
    );
    image
}

/// A build's result, and the container images that it was built with.
struct BuiltWith {
    result: BuildResult,
    images: ContainerImages,
}

/// Builds what `ready` prepared.
async fn run_builder(
    run: &RunContext<'_>,
    scope: &mut Scope,
    ready: Ready,
) -> Result<BuiltWith, Failure> {
    let Ready {
        job,
        images,
        emulation,
        ..
    } = ready;
    let prepared = builder_step::prepare(run, &images.builder, job, scope).await?;
    let state_dir = &run.plan.request.common.state_dir;
    let last = last_times(state_dir, &configuration_id(run.plan));
    run.context.events.emit(Event::LastTimes(last));
    let building = builder_step::build(run, prepared, (&images, emulation), scope);
    let result = Box::pin(building).await?;
    Ok(BuiltWith { result, images })
}

/// Removes what stale runs left. Only a registrar can remove their handlers; where nothing is left, none is started.
async fn remove_leftovers(run: &RunContext<'_>, scope: &mut Scope) -> Result<(), Failure> {
    if run.has_leftovers().await? {
        let images = container_images::provide(run).await?;
        emulation::set_up(run, &images, scope).await?;
    }
    Ok(())
}

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
        let nixpkgs = source::provide_nixpkgs(run).await?;
        return Box::pin(begin_with(nixpkgs, run, scope)).await;
    };
    let remembered = Some(remembered);
    // Both to their end: a failure of one must not drop the other in the middle of what it does in the engine.
    let (nixpkgs, begun) = tokio::join!(
        source::provide_nixpkgs(run),
        Box::pin(begin_with(remembered.clone(), run, scope))
    );
    let (nixpkgs, begun) = (nixpkgs?, begun?);
    match begun {
        begun if nixpkgs == remembered => Ok(begun),
        Beginning::UpToDate(_) => Box::pin(begin_with(nixpkgs, run, scope)).await,
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
    let job = builder_step::job(run, nixpkgs, Task::Build).await?;
    let builds_image = run.plan.request.target.product == Product::Image;
    if builds_image && let Some(image) = copy_out::unchanged(run, &job, configuration_read).await? {
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
        (
            Phase::CopyOut,
            run.plan.request.target.product == Product::Image,
        ),
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
        if run.plan.request.target.product == Product::System {
            return Ok(Beginning::Ready(self));
        }
        let image = copy_out::unchanged(run, &self.job, self.configuration_read).await?;
        Ok(image.map_or_else(
            || Beginning::Ready(self),
            |image| Beginning::UpToDate(Box::new(image)),
        ))
    }
}

/// What a build would do, for `--dry-run`: subject and text, in the order of the steps.
pub fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let steps = [
        source::describe_source,
        emulation::describe_steps,
        remote_builders::describe_builders,
        container_images::describe,
        builder_step::describe,
        copy_out::describe,
    ];
    steps
        .into_iter()
        .flat_map(|describe| describe(plan))
        .collect()
}
