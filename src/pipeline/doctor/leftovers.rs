//! What dead runs left, and what `clean` would take.

use crate::artifact::Cache;
use crate::common::human_bytes::human_bytes;
use crate::common::timeout::timeout;
use crate::engine::Engine;
use crate::pipeline::doctor::{Check, PATIENCE};
use crate::pipeline::inventory::{ContainerSizes, Inventory};
use crate::pipeline::run_lock::{RunLocks, RunState};
use crate::settings;

const TOPIC: &str = "leftovers";

/// Found by label, prefix and run lock, without a container: a handler of an engine elsewhere is not seen.
pub(super) async fn check(engine: Option<&Engine>, settings: &settings::Build) -> Check {
    let common = &settings.common;
    let cache = Cache::usage(&common.cache_dir).unwrap_or(0);
    let Some(engine) = engine else {
        let runs = RunLocks::all_engines(&common.state_dir);
        let stale = runs.iter().filter(|run| run.state == RunState::Stale);
        return told(&words(&[(stale.count(), "stale run")]), cache);
    };
    let list = Inventory::list(engine.clone(), common, ContainerSizes::Skipped);
    match timeout(PATIENCE, list).await {
        None => Check::warning(TOPIC, "the engine does not tell its containers in time"),
        Some(Err(failure)) => Check::warning(TOPIC, format!("cannot be told: {failure}")),
        Some(Ok(inventory)) => {
            let stale = inventory.objects.stale;
            let containers = (stale.containers.len(), "container");
            let handlers = (stale.handlers.len(), "handler");
            told(&words(&[containers, handlers]), cache)
        }
    }
}

fn told(dead: &str, cache: u64) -> Check {
    if dead.is_empty() {
        let text = format!(
            "none of dead runs; {} of downloads (`sdbuild status` tells the rest)",
            human_bytes(cache)
        );
        return Check::good(TOPIC, text);
    }
    Check::warning(TOPIC, format!("of dead runs: {dead}"))
        .remedy("the next `sdbuild build` or `sdbuild clean` removes them")
}

/// `2 containers, 1 handler`; nothing of what is not there.
fn words(counts: &[(usize, &str)]) -> String {
    let some = counts.iter().filter(|(n, _)| *n > 0);
    let some = some.map(|(n, what)| format!("{n} {what}{}", if *n == 1 { "" } else { "s" }));
    some.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::doctor::Verdict;

    #[test]
    fn what_is_there_is_counted() {
        assert_eq!(words(&[(2, "container"), (0, "handler")]), "2 containers");
        assert_eq!(
            words(&[(1, "container"), (1, "handler")]),
            "1 container, 1 handler"
        );
        assert_eq!(told("", 5).verdict, Verdict::Good);
        assert_eq!(told("1 handler", 5).verdict, Verdict::Warning);
    }
}
