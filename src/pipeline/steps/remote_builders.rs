//! Step: the remote builders can be used; tried before anything relies on them.

use crate::nixos::builder::{BuilderImage, Trial, TrialRun};
use crate::pipeline::emulation::Emulation;
use crate::pipeline::plan::Plan;
use crate::pipeline::run_context::RunContext;
use crate::pipeline::steps::network_access;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::Failure;
use sdbuild_core::human_bytes::human_bytes;

/// Free disk space of a builder below which a warning is given: the closure of a system with a desktop, twice.
const LITTLE_SPACE: u64 = 10 << 30;

/// The remote builders, and what goes there.
pub(super) fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let request = &plan.request;
    if request.resources.builders.machines.is_empty() {
        return Vec::new();
    }
    let machines: Vec<_> = request
        .resources
        .builders
        .machines
        .iter()
        .map(ToString::to_string)
        .collect();
    let system = request.target.system;
    let share = match plan.engine_plan.emulation {
        Emulation::Builders => format!("{system} is built there only"),
        Emulation::Native => "when no builder is free, on the engine's machine".to_owned(),
        Emulation::Register | Emulation::Private | Emulation::Host => {
            format!("{system} is emulated when no builder is free or has the features")
        }
    };
    vec![(
        "remote builders",
        format!("{}; {share}", machines.join(", ")),
    )]
}

/// Tries every builder of the run (`Phase::Builders`). Fails if one cannot be used, and warns of little disk space.
pub(in crate::pipeline) async fn try_all(
    run: &RunContext<'_>,
    image: &BuilderImage,
) -> Result<(), Failure> {
    let (plan, Context { cancel, events }) = (run.plan, run.context);
    if plan.request.resources.builders.machines.is_empty() {
        return Ok(());
    }
    let access = network_access::read(&plan.request)?;
    let trial = TrialRun {
        engine: plan.engine(),
        run: &plan.run,
        image,
        access: &access,
    };
    let work = async {
        let trials = trial.try_all(cancel).await?;
        let mut failures = trials.iter().filter_map(Trial::failure);
        if let Some(mut first) = failures.next() {
            first.others.extend(failures);
            return Err(first);
        }
        trials
            .iter()
            .filter_map(little_space)
            .for_each(|text| events.warn(text));
        let names: Vec<_> = trials.iter().map(|trial| trial.builder.address()).collect();
        events.detail(Phase::Builders, names.join(", "));
        Ok(())
    };
    run.context.phase(Phase::Builders, work).await
}

/// The warning for a builder with little free disk space.
pub(in crate::pipeline) fn little_space(trial: &Trial) -> Option<String> {
    let free = trial.free.filter(|free| *free < LITTLE_SPACE)?;
    let (address, free) = (trial.builder.address(), human_bytes(free));
    Some(format!(
        "{address} has only {free} of free disk space, and the image's closure is copied there"
    ))
}
