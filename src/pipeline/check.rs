//! A configuration that is evaluated and looked at; nothing is built.

use crate::event::Phase;
use crate::failure::{Failure, Leftover};
use crate::nixos::check::Looked;
use crate::nixos::check::{Finding, findings, who_gets_in};
use crate::nixos::command::Task;
use crate::pipeline::Context;
use crate::pipeline::Plan;
use crate::pipeline::beacon::Beacons;
use crate::pipeline::evaluation::evaluation;
use crate::pipeline::plan::{Aim, plan_for};
use crate::pipeline::run::borrowing;
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
    let plan = plan_for(Aim::Check, settings, context).await?;
    let steps = async |beacons: &Beacons, scope: &mut Scope| {
        Box::pin(look(&plan, context, (beacons, scope))).await
    };
    let (looked, leftovers) = Box::pin(borrowing(&plan, context, steps)).await?;
    let Looked { facts, failure } = looked;
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
    (beacons, scope): (&Beacons, &mut Scope),
) -> Result<Looked, Failure> {
    let Context { cancel, events } = context;
    let evaluation = evaluation(plan, context, (Task::Check, beacons, scope));
    let prepared = Box::pin(evaluation).await?;
    let look = Box::pin(prepared.check(cancel, events));
    context.phase(Phase::Evaluate, look).await
}
