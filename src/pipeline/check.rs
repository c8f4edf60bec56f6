//! A configuration that is evaluated and looked at; nothing is built.

use crate::common::event::Phase;
use crate::common::failure::{Failure, Leftover};
use crate::nixos::check::CheckResult;
use crate::nixos::check::{Finding, findings, who_gets_in};
use crate::nixos::command::Task;
use crate::pipeline::Context;
use crate::pipeline::Plan;
use crate::pipeline::evaluation::evaluation;
use crate::pipeline::plan::{Purpose, plan_for};
use crate::pipeline::run::{sweep, with_cleanup};
use crate::pipeline::run_lock::RunLocks;
use crate::pipeline::scope::Scope;
use crate::settings;

/// What came of it.
#[derive(Debug)]
pub struct Checked {
    /// What is wrong with it, the worst first.
    pub findings: Vec<Finding>,
    /// Who gets in over SSH, and how.
    pub ways_in: Vec<String>,
    /// Why a build would not get past evaluation, when it would not.
    pub failure: Option<Failure>,
    /// What could not be removed.
    pub leftovers: Vec<Leftover>,
}

/// Evaluates the configuration in the builder, as a build would, and folds what it sets into findings.
pub async fn check(settings: settings::Build, context: &Context) -> Result<Checked, Failure> {
    let plan = plan_for(Purpose::Check, settings, context).await?;
    let steps = async |run_locks: &RunLocks, scope: &mut Scope| {
        Box::pin(look(&plan, context, (run_locks, scope))).await
    };
    let (looked, leftovers) = Box::pin(with_cleanup(&plan, context, steps)).await?;
    let CheckResult { facts, failure } = looked;
    let ways_in = who_gets_in(&facts).into_iter();
    Ok(Checked {
        findings: findings(&facts, &plan.settings.system.to_string()),
        ways_in: ways_in.map(|(name, way)| format!("{name} {way}")).collect(),
        failure,
        leftovers,
    })
}

async fn look(
    plan: &Plan,
    context: &Context,
    (run_locks, scope): (&RunLocks, &mut Scope),
) -> Result<CheckResult, Failure> {
    let Context { cancel, events } = context;
    sweep(plan, context, (run_locks, None)).await?;
    let evaluation = evaluation(plan, context, (Task::Check, scope));
    let prepared = Box::pin(evaluation).await?;
    let look = Box::pin(prepared.check(cancel, events));
    context.phase(Phase::Evaluate, look).await
}
