//! What the time of a build depends on besides the configuration: the machines, and how much they do at a time.

use crate::common::hash::Sha256Hash;
use crate::common::remote_builder::RemoteBuilder;
use crate::pipeline::plan::Plan;

/// Hexadecimal digits of an id.
const ID_CHARS: usize = 32;

/// An id of the conditions that `plan` builds under. Times of builds with another one tell nothing about it.
pub(super) fn conditions_id(plan: &Plan) -> String {
    let (request, facts, resources) = (&plan.request, plan.engine().facts(), plan.resources());
    // Each rented machine has another name.
    let machine = match &request.resources.rented {
        Some(kind) => kind.clone(),
        None => format!("{}\0{}", facts.name, facts.root_dir),
    };
    let builders = request.resources.builders.machines.iter();
    let builders: Vec<String> = builders.map(RemoteBuilder::machine).collect();
    id_of(&[
        &machine,
        &facts.cpus.to_string(),
        &format!("{:?} {:?}", plan.engine_plan.emulation, request.target.glue),
        &format!("{} {}", resources.jobs, resources.cores),
        &builders.join("\n"),
    ])
}

/// A hash: it is kept in a file, and names no machine.
fn id_of(parts: &[&str]) -> String {
    let mut id = Sha256Hash::of(parts.join("\0").as_bytes()).to_string();
    id.truncate(ID_CHARS);
    id
}
