//! A build: the steps from container images to the image file, in their order.

use crate::output::Image;
use crate::pipeline::beginning::{Beginning, Ready, begin};
use crate::pipeline::build_places::BuildPlaces;
use crate::pipeline::last_times::{last_times, note_times};
use crate::pipeline::plan::Plan;
use crate::pipeline::provenance::{SourceRecord, configuration_id, provenance};
use crate::pipeline::run_context::{Outcome, RunContext, with_cleanup};
use crate::pipeline::scope::Scope;
use crate::pipeline::steps::{builder, container_images, copy_out, emulation};
use sdbuild_core::context::Context;
use sdbuild_core::event::Event;
use sdbuild_core::failure::Failure;
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
    let places = BuildPlaces::new(&plan.request.resources.builders.machines);
    let context = &Context {
        events: places.listen(&phases.listen(&context.events)),
        ..context.clone()
    };
    let steps =
        async |run: &RunContext<'_>, scope: &mut Scope| steps(run, scope, timings, &places).await;
    let built = with_cleanup(plan, context, steps).await?;
    // Without it the next build shows no earlier time.
    let state_dir = &plan.request.common.state_dir;
    note_times(state_dir, &configuration_id(plan), phases.in_millis()).ok();
    Ok(built)
}

async fn steps(
    run: &RunContext<'_>,
    scope: &mut Scope,
    timings: &Timings,
    places: &BuildPlaces,
) -> Result<Image, Failure> {
    let Ready {
        job,
        images,
        emulation,
        configuration_read,
    } = match Box::pin(begin(run, scope)).await? {
        Beginning::Ready(ready) => *ready,
        Beginning::UpToDate(image) => {
            remove_leftovers(run, scope).await?;
            return Ok(image.into_image());
        }
    };
    let source = SourceRecord::of(&job.source);
    let prepared = builder::prepare(run, &images.builder, job, scope).await?;
    let state_dir = &run.plan.request.common.state_dir;
    let last = last_times(state_dir, &configuration_id(run.plan));
    run.context.events.emit(Event::LastTimes(last));
    let refused = copy_out::refuse_early(run, prepared.image());
    let built = Box::pin(builder::build(run, prepared, scope, refused)).await?;
    if let Some(summary) = places.summary() {
        run.context.events.notice(summary);
    }
    let origin = provenance(run.plan, &images, emulation, source, &built);
    // Nothing runs under emulation any more.
    let (image, ()) = tokio::join!(
        copy_out::copy_out(run, &built, origin, timings, configuration_read),
        scope.release_lease(&run.context.cancel)
    );
    image
}

/// Removes what stale runs left. Only a registrar can remove their handlers; where nothing is left, none is started.
async fn remove_leftovers(run: &RunContext<'_>, scope: &mut Scope) -> Result<(), Failure> {
    if run.has_leftovers().await? {
        let images = container_images::provide(run).await?;
        emulation::set_up(run, &images, scope).await?;
    }
    Ok(())
}
