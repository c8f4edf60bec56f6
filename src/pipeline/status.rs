//! What of sdbuild is on this machine right now, for `status`. Nothing is changed; what cannot be seen is
//! said to be unknown, and does not hide the rest.

mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::artifact::Cache;
use crate::binfmt::{Entry, Owner, classify};
use crate::common::failure::{Class, Failure};
use crate::common::timeout::timeout;
use crate::engine::{ContainerInfo, Engine, ImageInfo, RunId, VolumeInfo};
use crate::pipeline::inventory::{registrar_image, sizes};
use crate::pipeline::run_lock::{KnownRun, RunLocks};
use crate::pipeline::sweep::{StaleObjects, Sweep};
use crate::pipeline::{Context, binfmt_table, connection, logs};
use crate::settings::Common;
pub use parts::{Container, EngineState, Handler, Run, RunState, SizedObject};
use parts::{age, container, dir, handler, image, since, volume};

/// Raised when a field goes or means something else.
const VERSION: u32 = 1;
/// An engine that takes longer for its lists is as good as absent; what can be seen is shown then.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything of sdbuild that is here.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Of this form.
    pub version: u32,
    /// The engine.
    pub engine: EngineState,
    /// Runs that left something: alive, dead, or somebody else's.
    pub runs: Vec<Run>,
    /// The kernel's handlers; `None` when its table cannot be seen from here.
    pub handlers: Option<Vec<Handler>>,
    /// Our containers.
    pub containers: Vec<Container>,
    /// Our container images.
    pub images: Vec<SizedObject>,
    /// Our volumes.
    pub volumes: Vec<SizedObject>,
    /// The cache of downloads.
    pub downloads: SizedObject,
    /// The builders' logs.
    pub logs: SizedObject,
}

/// What the engine and its kernel told.
struct Seen {
    entries: Option<Vec<Entry>>,
    found: StaleObjects,
    containers: Vec<ContainerInfo>,
    images: Vec<ImageInfo>,
    volumes: Vec<(VolumeInfo, Option<u64>)>,
}

impl Status {
    /// Looks at the engine, the kernel's table and our directories. Fails when it was interrupted, or could
    /// not take back a container that counted.
    pub async fn look(settings: &Common, context: &Context) -> Result<Self, Failure> {
        let mut engine = EngineState::default();
        let seen = match see(settings, (&mut engine, context)).await {
            Ok(seen) => Some(seen),
            Err(e) if e.class == Class::Interrupted || !e.teardown.is_empty() => return Err(e),
            Err(e) => {
                engine.problem = Some(e.to_string());
                None
            }
        };
        let known = RunLocks::everywhere(&settings.state_dir);
        let live = known.iter().filter(|known| known.lives);
        let live = live.map(|known| known.run.clone()).collect();
        let (_, logs) = logs::usage(&settings.state_dir, &BTreeSet::new());
        let cache = Cache::usage(&settings.cache_dir).ok();
        let seen = seen.unwrap_or_else(|| Seen {
            // Without an engine this machine's kernel is the best guess.
            entries: Some(binfmt_table::local()),
            found: StaleObjects {
                live,
                ..StaleObjects::default()
            },
            containers: Vec::new(),
            images: Vec::new(),
            volumes: Vec::new(),
        });
        Ok(Self {
            version: VERSION,
            engine,
            runs: runs(&seen, &known),
            handlers: seen
                .entries
                .map(|entries| entries.into_iter().map(handler).collect()),
            containers: seen.containers.into_iter().map(container).collect(),
            images: seen.images.iter().map(image).collect(),
            volumes: seen.volumes.into_iter().map(volume).collect(),
            downloads: dir(&settings.cache_dir, cache),
            logs: dir(&settings.state_dir.join("logs"), Some(logs)),
        })
    }
}

async fn see(
    settings: &Common,
    (state, context): (&mut EngineState, &Context),
) -> Result<Seen, Failure> {
    let silent = || Failure::environment(format!("no answer within {} s", PATIENCE.as_secs()));
    let connect = connection::connect(settings, &context.cancel);
    let engine = timeout(PATIENCE, connect).await.ok_or_else(silent)??;
    let facts = engine.facts();
    state.endpoint = Some(engine.endpoint().to_string());
    state.version = Some(facts.title());
    let own = RunId::random()?;
    let lists = context.cancel.race(lists(&engine, settings, &own));
    let mut seen = timeout(PATIENCE, lists).await.ok_or_else(silent)???;
    let registrar = registrar_image(&seen.images);
    if seen.entries.is_none() && registrar.is_some() {
        seen.entries = binfmt_table::entries(&engine, (&own, registrar), context).await?;
        let entries = seen.entries.clone().unwrap_or_default();
        seen.found = find(&engine, (settings, &own), entries).await?;
    }
    seen.volumes = sizes(&engine, (&own, registrar), context).await?;
    Ok(seen)
}

/// What is read without a container.
async fn lists(engine: &Engine, settings: &Common, own: &RunId) -> Result<Seen, Failure> {
    let entries = binfmt_table::here(engine);
    let found = find(engine, (settings, own), entries.clone().unwrap_or_default());
    Ok(Seen {
        found: found.await?,
        entries,
        containers: engine.our_containers_with_size().await?,
        images: engine.our_images().await?,
        volumes: Vec::new(),
    })
}

/// What dead runs left on `engine`, and which runs live.
pub(super) async fn find(
    engine: &Engine,
    (settings, own): (&Common, &RunId),
    entries: Vec<Entry>,
) -> Result<StaleObjects, Failure> {
    let run_locks = RunLocks::new(&settings.state_dir, engine.endpoint());
    let sweep = Sweep {
        engine,
        run_locks: &run_locks,
        own,
    };
    sweep.find(entries).await
}

/// Every run of which there is a sign, the oldest first.
fn runs(seen: &Seen, known: &[KnownRun]) -> Vec<Run> {
    let mut runs = BTreeMap::new();
    let entries = seen.entries.iter().flatten().map(classify);
    let of_handlers = entries.filter_map(|owner| match owner {
        Owner::Ours(run) => Some((run.to_string(), None)),
        Owner::Foreign => None,
    });
    let of_containers = seen
        .containers
        .iter()
        .filter_map(|c| Some((c.run.clone()?, c.created.and_then(age))));
    for (id, age) in of_containers.chain(of_handlers) {
        let run = runs.entry(id.clone()).or_insert_with(|| Run {
            life: life(&seen.found, &id),
            run: id,
            endpoint: None,
            age: None,
        });
        run.age = run.age.max(age);
    }
    for known in known {
        let id = known.run.to_string();
        let run = Run {
            run: id.clone(),
            life: if known.lives {
                RunState::Live
            } else {
                RunState::Dead
            },
            endpoint: Some(known.endpoint.clone()),
            age: known.began.map(since),
        };
        runs.insert(id, run);
    }
    let mut runs: Vec<Run> = runs.into_values().collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.age));
    runs
}

fn life(found: &StaleObjects, id: &str) -> RunState {
    let handlers = found.handlers.iter().map(|(run, _)| run.as_str());
    let containers = found.containers.iter().filter_map(|c| c.run.as_deref());
    if found.live.iter().any(|run| run.as_str() == id) {
        RunState::Live
    } else if handlers.chain(containers).any(|dead| dead == id) {
        RunState::Dead
    } else {
        RunState::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_known_by_its_run_lock_its_containers_and_its_handler() {
        let container = |run: &str, running| ContainerInfo {
            run: Some(run.into()),
            running,
            ..ContainerInfo::default()
        };
        let [one, two, three] = ["00000000000a", "00000000000b", "00000000000c"];
        let seen = Seen {
            entries: None,
            found: StaleObjects {
                live: [one.parse().unwrap()].into(),
                containers: vec![container(two, false)],
                ..StaleObjects::default()
            },
            containers: vec![
                container(one, true),
                container(two, false),
                container(three, false),
            ],
            images: Vec::new(),
            volumes: Vec::new(),
        };
        let known = KnownRun {
            run: three.parse().unwrap(),
            endpoint: "unix:///x".into(),
            lives: false,
            began: None,
        };
        let mut lives: Vec<_> = runs(&seen, &[]).iter().map(|r| r.life).collect();
        assert_eq!(lives, [RunState::Live, RunState::Dead, RunState::Unknown]);
        lives = runs(&seen, &[known]).iter().map(|r| r.life).collect();
        assert_eq!(lives, [RunState::Live, RunState::Dead, RunState::Dead]);
    }
}
