//! What a build would do, as Nix foretells it; nothing is built.

use crate::common::event::Phase;
use crate::common::failure::{Failure, Leftover};
use crate::nixos::command::Task;
use crate::nixos::forecast::Forecast;
use crate::pipeline::evaluation::evaluation;
use crate::pipeline::run::with_cleanup;
use crate::pipeline::run_lock::RunLocks;
use crate::pipeline::scope::Scope;
use crate::pipeline::{Context, Plan};

/// Evaluates the configuration of `plan` in the builder and asks Nix what it would do; what could not be
/// removed comes along.
pub async fn forecast(
    plan: &Plan,
    context: &Context,
) -> Result<(Forecast, Vec<Leftover>), Failure> {
    // Nothing that is emulated runs.
    let mut plan = plan.clone();
    plan.base.registrar = None;
    // What dead runs left is for a run that is none to look at.
    let steps = async |_: &RunLocks, scope: &mut Scope| {
        let Context { cancel, events } = context;
        let evaluation = evaluation(&plan, context, (Task::Forecast, scope));
        let prepared = Box::pin(evaluation).await?;
        let look = Box::pin(prepared.forecast(cancel, events));
        context.phase(Phase::Evaluate, look).await
    };
    Box::pin(with_cleanup(&plan, context, steps)).await
}
