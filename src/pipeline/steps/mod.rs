//! The steps of a run, one file each: what a step will do (`describe`) beside the code that does it.
//!
//! A step takes the [`RunContext`](super::run_context::RunContext) and what earlier steps returned, and returns
//! what later ones need. What it acquires in the engine it keeps in the [`Scope`](super::scope::Scope), whose
//! guards undo it. [`build`](super::build()), `check`, the forecast and `shell` each put steps together.

pub(super) mod builder;
pub(super) mod container_images;
pub(super) mod copy_out;
pub(super) mod emulation;
pub(super) mod network_access;
pub(super) mod remote_builders;
pub(super) mod source;

use crate::pipeline::plan::Plan;

/// What a build would do, for `--dry-run`: subject and text, in the order of the steps.
pub fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let steps = [
        source::describe,
        emulation::describe,
        remote_builders::describe,
        container_images::describe,
        builder::describe,
        copy_out::describe,
    ];
    steps
        .into_iter()
        .flat_map(|describe| describe(plan))
        .collect()
}
