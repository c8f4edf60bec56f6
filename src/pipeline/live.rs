//! Which runs are alive: those with a running container. The leash makes that true for every run whose
//! process is alive, and untrue soon after it is not.

use std::collections::BTreeSet;

use crate::engine::{ContainerInfo, RunId};

/// The runs that have a running container among `containers`.
pub(super) fn live_runs(containers: &[ContainerInfo]) -> BTreeSet<RunId> {
    (containers.iter())
        .filter(|container| container.running)
        .filter_map(|container| container.run.as_ref()?.parse().ok())
        .collect()
}
