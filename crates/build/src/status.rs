//! What sdbuild has on this machine right now, for `status`. Nothing is changed; a part that is not visible is
//! reported as unknown and does not hide the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::builder::BuilderImage;
use crate::clients;
use crate::inventory;
use crate::inventory::{ContainerSizes, EngineObjects, Inventory, SizedVolume};
use crate::ledger::LocalFiles;
use crate::removal::{OldResults, forecast};
use crate::request::Common;
use crate::run_lock::{KnownRun, RunLocks, RunState};
use crate::sweep::image_name;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::timeout::timeout;
use sdbuild_engine::binfmt::{Entry, Owner, classify};
use sdbuild_engine::{ContainerInfo, ImageInfo, RunId};

/// Raised when a field of the JSON is removed or changes its meaning.
const JSON_VERSION: u32 = 1;
/// An engine that takes longer for its lists counts as absent; the rest is shown without it.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(20);

/// Everything of sdbuild on this machine and its engine.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The version of this form.
    pub version: u32,
    /// The engine.
    pub engine: EngineState,
    /// Runs that are live or left something behind, the oldest first.
    pub runs: Vec<Run>,
    /// The kernel's handlers; `None` when its table is not visible.
    pub handlers: Option<Vec<Handler>>,
    /// Our containers.
    pub containers: Vec<Container>,
    /// Our container images.
    pub images: Vec<SizedObject>,
    /// Our volumes.
    pub volumes: Vec<SizedObject>,
    /// The cache of downloads.
    pub downloads: SizedObject,
    /// The build logs.
    pub logs: SizedObject,
    /// Files and directories that killed processes left.
    pub leftovers: Vec<SizedObject>,
    /// What the parts of `clean` would give back.
    pub reclaimable: Reclaimable,
}

/// Bytes that the parts of `clean` would give back; `None` where that is unknown, also while a run uses them.
#[derive(Debug, Default, Serialize)]
pub struct Reclaimable {
    /// `clean --old`.
    pub old: Option<u64>,
    /// `clean --downloads`.
    pub downloads: Option<u64>,
}

impl Status {
    /// Looks at the engine, the kernel's table and our directories. Fails when it was interrupted, or could
    /// not remove a container that counted. Unfinished files are looked for in `outputs`.
    pub async fn look(
        settings: &Common,
        outputs: &[PathBuf],
        context: &Context,
    ) -> Result<Self, Failure> {
        let mut engine = EngineState::default();
        let mut old = None;
        let objects = match objects(settings, &mut engine, context).await {
            Ok((objects, found)) => {
                old = found;
                objects
            }
            Err(e) if e.class == Class::Interrupted || !e.teardown.is_empty() => return Err(e),
            Err(e) => {
                engine.problem = Some(e.to_string());
                EngineObjects {
                    // Without an engine this machine's kernel is the best guess.
                    entries: inventory::local_entries_or_warn(context),
                    ..EngineObjects::default()
                }
            }
        };
        let files = LocalFiles::find(settings, outputs, &BTreeSet::new());
        let of_kind = |kind| {
            let files = files.iter().filter(move |found| found.kind() == Some(kind));
            files.map(|found| dir(&found.path, found.size.as_ref().ok().copied()))
        };
        let one = |kind, path: &Path| of_kind(kind).next().unwrap_or_else(|| dir(path, None));
        let runs = runs(&objects, &RunLocks::all_engines(&settings.state_dir));
        // Runs of other users have downloads of their own.
        let mut own = runs.iter().filter(|run| run.endpoint.is_some());
        let is_idle = own.all(|run| run.life != RunState::Live);
        let downloads = one("downloads", &settings.cache_dir);
        let reclaimable = Reclaimable {
            old,
            downloads: downloads.size.filter(|_| is_idle),
        };
        let handlers = objects.entries.map(|all| all.into_iter().map(handler));
        let images = objects.images.iter();
        Ok(Self {
            version: JSON_VERSION,
            engine,
            runs,
            handlers: handlers.map(Iterator::collect),
            containers: objects.containers.into_iter().map(container).collect(),
            images: images.map(image).collect(),
            volumes: volumes(objects.volumes, &settings.store),
            downloads,
            logs: one("logs", &settings.state_dir),
            leftovers: of_kind("leftover").collect(),
            reclaimable,
        })
    }
}

/// The objects on the engine, and the bytes that old results take; what is known about the engine itself is written to `state` at once, so that
/// it remains when the rest fails.
async fn objects(
    settings: &Common,
    state: &mut EngineState,
    context: &Context,
) -> Result<(EngineObjects, Option<u64>), Failure> {
    let engine = answered(clients::connect(settings, &context.cancel)).await?;
    state.endpoint = Some(engine.endpoint().to_string());
    state.version = Some(engine.facts().title());
    let look = async {
        let list = Box::pin(Inventory::list(engine, settings, ContainerSizes::Counted));
        let mut inventory = answered(async { context.cancel.race(list).await? }).await?;
        inventory.look(context).await?;
        let (volumes, old) = measure(&inventory, settings, context).await?;
        inventory.objects.volumes = volumes;
        Ok((inventory.objects, old))
    };
    context.phase(Phase::Measure, Box::pin(look)).await
}

/// The volumes with their sizes, and the bytes that old results take.
async fn measure(
    inventory: &Inventory,
    settings: &Common,
    context: &Context,
) -> Result<(Vec<SizedVolume>, Option<u64>), Failure> {
    if inventory.objects.images.is_empty() {
        let old = measure_old_results(inventory, settings, context).await?;
        return Ok((inventory.objects.volumes.clone(), old));
    }
    let work = async {
        let volumes = inventory.volume_sizes(context).await?;
        Ok((
            volumes,
            measure_old_results(inventory, settings, context).await?,
        ))
    };
    inventory.locked(Box::pin(work)).await
}

/// The bytes that old results take on the store volume; `None` without the image that finds out, and while a builder uses it.
async fn measure_old_results(
    inventory: &Inventory,
    settings: &Common,
    context: &Context,
) -> Result<Option<u64>, Failure> {
    let mut volumes = inventory.objects.volumes.iter();
    if !volumes.any(|sized| sized.volume.name == settings.store) {
        return Ok(Some(0));
    }
    let Some(image) = inventory.builder_image() else {
        return Ok(None);
    };
    let image = BuilderImage::ours(image.id.clone());
    let (store, keep) = (&settings.store, OldResults::KEEP);
    match Box::pin(forecast(inventory, &image, store, keep, context)).await {
        Ok(found) => Ok(found.map(|found| found.freed)),
        Err(e) if e.class == Class::Interrupted || !e.teardown.is_empty() => Err(e),
        // A store of another user's, for instance.
        Err(_) => Ok(None),
    }
}

/// The result of `request`; a failure if the engine takes longer than [`ENGINE_TIMEOUT`].
async fn answered<T>(request: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(ENGINE_TIMEOUT, request).await.unwrap_or_else(|| {
        let seconds = ENGINE_TIMEOUT.as_secs();
        Err(Failure::environment(format!(
            "no answer within {seconds} s"
        )))
    })
}

/// Every run that has a handler, a container or a lock file, the oldest first.
fn runs(objects: &EngineObjects, known: &[KnownRun]) -> Vec<Run> {
    let mut runs = BTreeMap::new();
    let owners = objects.entries.iter().flatten().map(classify);
    let of_handlers = owners.filter_map(|owner| match owner {
        Owner::Ours(name) => Some((name.run().clone(), None)),
        Owner::Foreign => None,
    });
    let containers = objects.containers.iter();
    let of_containers = containers.map(|c| (c.run.clone(), c.created.and_then(age_at)));
    for (id, age) in of_containers.chain(of_handlers) {
        let run = runs.entry(id.clone()).or_insert_with(|| Run {
            life: state(objects, &id),
            run: id,
            endpoint: None,
            age: None,
        });
        run.age = run.age.max(age);
    }
    for known in known {
        let run = Run {
            run: known.run.clone(),
            life: known.state,
            endpoint: Some(known.endpoint.clone()),
            age: known.began.map(age_since),
        };
        runs.insert(known.run.clone(), run);
    }
    let mut runs: Vec<Run> = runs.into_values().collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.age));
    runs
}

/// The state of a run without a lock file here. Containers that do not run are kept for a while, but are no sign of life.
fn state(objects: &EngineObjects, run: &RunId) -> RunState {
    let of_handlers = objects.stale.handlers.iter().map(|(name, _)| name.run());
    let of_containers = objects.stale.containers.iter().map(|c| &c.run);
    let mut containers = objects.containers.iter();
    if of_handlers.chain(of_containers).any(|stale| stale == run) {
        RunState::Stale
    } else if containers.any(|c| c.running && c.run == *run) {
        RunState::Live
    } else {
        RunState::Unknown
    }
}

/// The engine, as far as it answers.
#[derive(Debug, Default, Serialize)]
pub struct EngineState {
    /// Its address.
    pub endpoint: Option<String>,
    /// `Docker 20.10.24`.
    pub version: Option<String>,
    /// Why nothing about it is known, or not everything.
    pub problem: Option<String>,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Its id.
    pub run: RunId,
    /// Whether it is still going on.
    pub life: RunState,
    /// The address of its engine, for a run of this user.
    pub endpoint: Option<String>,
    /// Seconds since it began.
    pub age: Option<u64>,
}

/// A handler in the kernel's table.
#[derive(Debug, Serialize)]
pub struct Handler {
    /// Its name.
    pub name: String,
    /// The run that registered it; `None` for a handler that is not ours.
    pub run: Option<RunId>,
    /// Whether the kernel uses it.
    pub enabled: bool,
    /// The path of the program that runs what the handler matches.
    pub interpreter: String,
    /// Seconds since its agent last touched it.
    pub age: Option<u64>,
}

/// A container.
#[derive(Debug, Serialize)]
pub struct Container {
    /// Its name, size and age.
    #[serde(flatten)]
    pub object: SizedObject,
    /// The run that created it.
    pub run: RunId,
    /// Whether a process of it runs.
    pub running: bool,
}

/// Something with a name, a size and an age.
#[derive(Debug, Serialize)]
pub struct SizedObject {
    /// Its name or directory.
    pub name: String,
    /// Bytes, where they are known.
    pub size: Option<u64>,
    /// Seconds since it was created; for a directory since it last changed.
    pub age: Option<u64>,
}

pub(super) fn handler(entry: Entry) -> Handler {
    Handler {
        run: match classify(&entry) {
            Owner::Ours(name) => Some(name.run().clone()),
            Owner::Foreign => None,
        },
        name: entry.name,
        enabled: entry.enabled,
        interpreter: entry.interpreter,
        age: entry.age,
    }
}

pub(super) fn container(found: ContainerInfo) -> Container {
    Container {
        object: SizedObject {
            name: found.name,
            size: found.size,
            age: found.created.and_then(age_at),
        },
        run: found.run,
        running: found.running,
    }
}

pub(super) fn image(found: &ImageInfo) -> SizedObject {
    SizedObject {
        name: image_name(found),
        size: Some(found.size),
        age: found.loaded.and_then(age_at),
    }
}

/// The volumes, the one of builds with these settings, which is called `own`, first: on a small screen the last ones are left out.
pub(super) fn volumes(mut found: Vec<SizedVolume>, own: &str) -> Vec<SizedObject> {
    found.sort_by_key(|sized| sized.volume.name != own);
    found.into_iter().map(volume).collect()
}

fn volume(found: SizedVolume) -> SizedObject {
    SizedObject {
        name: found.volume.name,
        size: found.size,
        age: found.volume.created.and_then(age_at),
    }
}

pub(super) fn dir(path: &Path, size: Option<u64>) -> SizedObject {
    let changed = fs::metadata(path).and_then(|meta| meta.modified()).ok();
    SizedObject {
        name: path.display().to_string(),
        size,
        age: changed.map(age_since),
    }
}

/// Seconds since `created`, which is in seconds since 1970; `None` for a time before 1970.
pub(super) fn age_at(created: i64) -> Option<u64> {
    let created = Duration::from_secs(u64::try_from(created).ok()?);
    Some(age_since(SystemTime::UNIX_EPOCH.checked_add(created)?))
}

/// Seconds since `then`; 0 when the clock was set back since.
pub(super) fn age_since(then: SystemTime) -> u64 {
    then.elapsed().map_or(0, |age| age.as_secs())
}

#[cfg(test)]
mod tests {
    use RunState::{Live, Stale, Unknown};

    use super::*;
    use crate::sweep::StaleObjects;
    use sdbuild_engine::{ContainerInfo, Role};

    #[test]
    fn run_is_known_by_lock_container_or_handler() {
        let container = |run: &str, running| ContainerInfo {
            running,
            ..ContainerInfo::of(Role::Builder, &run.parse().unwrap())
        };
        let [one, two, three] = ["00000000000a", "00000000000b", "00000000000c"];
        let objects = EngineObjects {
            stale: StaleObjects {
                live_runs: [one, three].map(|run| run.parse().unwrap()).into(),
                containers: vec![container(two, true)],
                ..StaleObjects::default()
            },
            containers: vec![
                container(one, true),
                container(two, true),
                container(three, false),
            ],
            ..EngineObjects::default()
        };
        let known = KnownRun {
            run: three.parse().unwrap(),
            endpoint: "unix:///x".into(),
            state: RunState::Stale,
            began: None,
        };
        let states = |known: &[KnownRun]| -> Vec<RunState> {
            runs(&objects, known).iter().map(|run| run.life).collect()
        };
        assert_eq!(states(&[]), [Live, Stale, Unknown]);
        assert_eq!(states(&[known]), [Live, Stale, Stale]);
    }
}

#[cfg(test)]
mod status_tests {
    use super::*;
    use sdbuild_engine::VolumeInfo;

    #[test]
    fn the_volume_of_these_settings_is_the_first() {
        let volume = |name: &str| SizedVolume {
            volume: VolumeInfo {
                name: name.to_owned(),
                users: Vec::new(),
                created: None,
            },
            size: None,
        };
        let found = ["a", "b", "own", "z"].map(volume).into();
        let names = volumes(found, "own").into_iter().map(|one| one.name);
        assert_eq!(names.collect::<Vec<_>>(), ["own", "a", "b", "z"]);
    }

    #[test]
    fn times_in_the_future_have_age_zero() {
        assert_eq!(age_at(i64::MAX / 2), Some(0));
        assert_eq!(age_at(-5), None);
        assert!(age_at(0) > Some(1_500_000_000));
    }
}
