//! What `doctor` says about each remote builder.

use crate::nixos::builder::{BuilderImage, Trial, TrialRun};
use crate::pipeline::checks::Check;
use crate::pipeline::emulation::Emulation;
use crate::pipeline::plan::{BuilderPlan, EnginePlan};
use crate::pipeline::request::BuildRequest;
use crate::pipeline::run_lock::RunLocks;
use crate::pipeline::steps::{network_access, remote_builders};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_engine::{Engine, RunId};

const TOPIC: &str = "builder";

/// Tries every builder of the settings, as a build does before it begins. Nothing if there is none. Fails only when it is
/// interrupted.
pub(super) async fn try_builders(
    engine: &Engine,
    request: &BuildRequest,
    context: &Context,
) -> Result<Vec<Check>, Failure> {
    if request.resources.builders.machines.is_empty() {
        return Ok(Vec::new());
    }
    Ok(match trials(engine, request, context).await {
        Ok(Some(trials)) => trials.iter().map(check).collect(),
        Ok(None) => {
            let text =
                "not tested, because the engine does not have the builder's container image yet";
            vec![Check::good(TOPIC, text)]
        }
        Err(failure) if failure.class == Class::Interrupted => return Err(failure),
        Err(failure) => vec![Check::failed(TOPIC, &failure)],
    })
}

/// The trials; `None` if the image that they need is not there.
async fn trials(
    engine: &Engine,
    request: &BuildRequest,
    context: &Context,
) -> Result<Option<Vec<Trial>>, Failure> {
    let access = network_access::read(request)?;
    let plan = EnginePlan::new(engine.clone(), Emulation::Native, request).await?;
    let image = match &plan.builder {
        BuilderPlan::Own(definition) if engine.image(&definition.reference()).await?.is_some() => {
            BuilderImage::ours(definition.reference())
        }
        BuilderPlan::Own(_) => return Ok(None),
        BuilderPlan::Foreign { reference, .. } => match engine.image(reference).await? {
            Some(info) => BuilderImage::foreign(&info, &context.events),
            None => return Ok(None),
        },
    };
    let run = RunId::random()?;
    // Without it another run would take the container for one that was left.
    let lock = RunLocks::new(&request.common.state_dir, engine.endpoint()).acquire(&run)?;
    let trial = TrialRun {
        engine,
        run: &run,
        image: &image,
        access: &access,
    };
    let tried = trial.try_all(&context.cancel).await;
    lock.end(&tried);
    tried.map(Some)
}

fn check(trial: &Trial) -> Check {
    if let Some(failure) = trial.failure() {
        return Check::failed(TOPIC, &failure);
    }
    if let Some(text) = remote_builders::little_space(trial) {
        return Check::warning(TOPIC, text).remedy("collect garbage there: nix-collect-garbage");
    }
    let free = trial
        .free
        .map_or("free disk space not known".to_owned(), |free| {
            format!("{} free", human_bytes(free))
        });
    let text = format!("{} builds; {free}", trial.builder);
    Check::good(TOPIC, text)
}
