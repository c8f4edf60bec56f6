//! `check` and the forecast of `--dry-run`: Nix evaluates the configuration, and nothing is built or emulated.

use std::path::Path;

use crate::build_source::Source;
use crate::builder::PreparedBuilder;
use crate::command::Task;
use crate::plan::{Plan, plan_for};
use crate::request::BuildRequest;
use crate::run_context::Scope;
use crate::run_context::{Outcome, RunContext, with_cleanup};
use crate::source::Purpose;
use crate::{builder_step, check_memory, container_images, source};
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Phase};
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::image_choice::ImageChoice;
use sdbuild_image::board::BoardName;
use sdbuild_nix::check::{CheckResult, Finding, findings, looked_at, who_logs_in};
use sdbuild_nix::forecast::Forecast;

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// What is wrong with the configuration, the worst first.
    pub findings: Vec<Finding>,
    /// The image that a build makes, and who chose it; `None` if there is none.
    pub image: Option<ImageChoice>,
    /// Who can log in over SSH, and how.
    pub ways_in: Vec<String>,
    /// What the findings are about: in nothing else was looked for any.
    pub looked_at: Vec<String>,
    /// Why a build would fail in evaluation, if it would.
    pub failure: Option<Failure>,
}

/// Evaluates the configuration as a build would, and turns what it sets into findings.
pub async fn check(request: BuildRequest, context: &Context) -> Result<Outcome<Checked>, Failure> {
    let plan = plan_for(Purpose::Check, request, context).await?;
    let steps = async |run: &RunContext<'_>, scope: &mut Scope| {
        let Context { cancel, events } = context;
        run.sweep(None).await?;
        let memory = check_memory::file(&plan.request.common.state_dir);
        if let Some(known) = remembered_check(run, &memory).await? {
            events.notice("nothing has changed since this was checked last");
            return Ok(known);
        }
        let images = !plan.engine_plan.missing.images.is_empty();
        let images = images.then_some([Phase::Fetch, Phase::ContainerImages]);
        let rest = [Phase::Upload, Phase::Evaluate];
        let to_come = images.into_iter().flatten().chain(rest).collect();
        events.emit(Event::ToCome(to_come));
        let prepared = prepare(run, Task::Check, scope).await?;
        let check = prepared.check(&memory, cancel, events);
        context
            .phase_with_result(Phase::Evaluate, check, |result| result.failure.as_ref())
            .await
    };
    let Outcome { value, leftovers } = with_cleanup(&plan, context, steps).await?;
    let CheckResult {
        mut facts,
        definitions,
        failure,
    } = value;
    let board = plan.request.target.board.map(|BoardName(board)| board);
    definitions.complete(&mut facts);
    let ways_in = who_logs_in(&facts).into_iter();
    let mut findings = findings(&facts, board);
    definitions.locate(&mut findings);
    let value = Checked {
        image: facts.image.clone(),
        findings,
        ways_in: ways_in.map(|(name, way)| format!("{name} {way}")).collect(),
        looked_at: looked_at(&facts, board),
        failure,
    };
    Ok(Outcome { value, leftovers })
}

/// Evaluates the configuration of `plan`, and returns what Nix would fetch and build. Stale runs are not swept:
/// this changes as little as it can.
pub async fn forecast(plan: &Plan, context: &Context) -> Result<Outcome<Forecast>, Failure> {
    let mut plan = plan.clone();
    plan.engine_plan.registrar = None;
    let steps = async |run: &RunContext<'_>, scope: &mut Scope| {
        let Context { cancel, events } = context;
        let prepared = prepare(run, Task::Forecast, scope).await?;
        let forecast = prepared.forecast(cancel, events);
        context.phase(Phase::Evaluate, forecast).await
    };
    with_cleanup(&plan, context, steps).await
}

/// The attribute paths of the configurations of the flake that the settings name, each as it is named behind `#`.
pub async fn machines(
    request: BuildRequest,
    context: &Context,
) -> Result<Outcome<Vec<Vec<String>>>, Failure> {
    let plan = plan_for(Purpose::Check, request, context).await?;
    let steps = async |run: &RunContext<'_>, scope: &mut Scope| {
        let Context { cancel, events } = context;
        let prepared = prepare(run, Task::Machines, scope).await?;
        let machines = prepared.machines(cancel, events);
        context.phase(Phase::Evaluate, machines).await
    };
    with_cleanup(&plan, context, steps).await
}

/// Completes the lock of the flake that the settings name, or updates `inputs` in it; the text of the new one, `None` if
/// nothing has changed.
pub async fn lock_flake(
    request: BuildRequest,
    inputs: Vec<String>,
    context: &Context,
) -> Result<Outcome<Option<String>>, Failure> {
    let plan = plan_for(Purpose::Lock(&inputs), request, context).await?;
    let Source::Flake(flake) = &plan.source.source else {
        return Err(Failure::message(Class::Internal, "only a flake has a lock"));
    };
    let arguments = [inputs.clone(), flake.lock_arguments()].concat();
    let steps = async |run: &RunContext<'_>, scope: &mut Scope| {
        let Context { cancel, events } = context;
        run.sweep(None).await?;
        let prepared = prepare(run, Task::Lock(arguments), scope).await?;
        let lock = prepared.lock(cancel, events);
        let lock = context.phase(Phase::Evaluate, lock).await?;
        lock.map(|text| flake.complete_lock(text)).transpose()
    };
    with_cleanup(&plan, context, steps).await
}

/// What an earlier check of the same flake evaluated in the same container image, by the file `memory`.
async fn remembered_check(
    run: &RunContext<'_>,
    memory: &Path,
) -> Result<Option<CheckResult>, Failure> {
    let image = run.plan.engine_plan.builder.content_reference();
    let (Some(image), Source::Flake(_)) = (image, &run.plan.source.source) else {
        return Ok(None);
    };
    let job = builder_step::job(run, None, Task::Check).await?;
    let (memory, events) = (memory.to_owned(), run.context.events.clone());
    // It reads all files of the flake.
    let work = move || job.remembered_check(&memory, &image, &events);
    let work = run.context.cancel.race(tokio::task::spawn_blocking(work));
    work.await?.or_internal("look for an earlier check")?
}

/// A builder for `task` with the source in it; nothing is emulated there.
async fn prepare(
    run: &RunContext<'_>,
    task: Task,
    scope: &mut Scope,
) -> Result<PreparedBuilder, Failure> {
    let images = container_images::provide(run).await?;
    let nixpkgs = source::provide_nixpkgs(run).await?;
    let job = builder_step::job(run, nixpkgs, task).await?;
    builder_step::prepare(run, &images.builder, job, scope).await
}
