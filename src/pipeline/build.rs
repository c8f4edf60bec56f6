//! A build: the steps from container images to the image file, in their order.

use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::common::timings::Timings;
use crate::nixos::command::Task;
use crate::output::Image;
use crate::pipeline::plan::Plan;
use crate::pipeline::provenance::{SourceRecord, provenance};
use crate::pipeline::run_context::{Outcome, RunContext, with_cleanup};
use crate::pipeline::scope::Scope;
use crate::pipeline::steps::{builder, container_images, copy_out, emulation, source};

/// Carries out `plan`. `timings` holds how long the phases took that `context` reported so far; the manifest
/// lists them.
pub async fn build(
    plan: &Plan,
    context: &Context,
    timings: &Timings,
) -> Result<Outcome<Image>, Failure> {
    let steps = async |run: &RunContext<'_>, scope: &mut Scope| steps(run, scope, timings).await;
    with_cleanup(plan, context, steps).await
}

async fn steps(
    run: &RunContext<'_>,
    scope: &mut Scope,
    timings: &Timings,
) -> Result<Image, Failure> {
    let images = container_images::provide(run).await?;
    let nixpkgs = source::nixpkgs(run).await?;
    // Independent of each other. Both run to their end: a registrar that has started must not be dropped.
    let (emulation, job) = tokio::join!(
        emulation::set_up(run, &images, scope),
        builder::job(run, nixpkgs, Task::Build)
    );
    // The failure of this one may list leftovers, so it comes first.
    let emulation = emulation?;
    let job = job?;
    let source = SourceRecord::of(&job.source);
    let prepared = builder::prepare(run, &images.builder, job, scope).await?;
    let built = builder::build(run, prepared, scope).await?;
    let origin = provenance(run.plan, &images, emulation, source, &built);
    // Nothing runs under emulation any more.
    let (image, ()) = tokio::join!(
        copy_out::copy_out(run, &built, origin, timings),
        scope.release_lease(&run.context.cancel)
    );
    image
}
