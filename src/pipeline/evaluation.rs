//! The way to a builder that only evaluates: nothing is emulated in it.

use crate::common::failure::Failure;
use crate::nixos::builder::PreparedBuilder;
use crate::nixos::command::Task;
use crate::pipeline::run::{job, prepare};
use crate::pipeline::scope::Scope;
use crate::pipeline::{Context, Plan, images, inputs};

/// A builder with everything in it, kept in the scope, for `task`.
pub(super) async fn evaluation(
    plan: &Plan,
    context: &Context,
    (task, scope): (Task, &mut Scope),
) -> Result<PreparedBuilder, Failure> {
    let provided = images::provide(plan, context).await?;
    let nixpkgs = Box::pin(inputs::nixpkgs(plan, context, &provided.images)).await?;
    let (job, _) = Box::pin(job(plan, context, (&provided, nixpkgs, task))).await?;
    Box::pin(prepare(plan, context, (&provided.builder, job, scope))).await
}
