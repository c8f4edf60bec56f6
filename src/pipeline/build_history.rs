//! How long the last build of each configuration took under the same conditions, and the last boot of each image, for an estimate
//! of the next ones: a small file in the state directory, which may be removed at any time. A damaged one counts as empty, and the next build replaces it: all that it
//! has is for an estimate.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::common::build_shares::{BuildShares, BuildTimes};
use crate::common::event::{BuildEffort, EarlierBuilds, Event, Events, Phase, PhaseTimes};
use crate::common::nix_event::NixEvent;
use crate::common::plain_file::{self, is_gone};
use crate::common::{atomic_file, private_dir};

/// Configurations that are remembered, and images that were booted.
const MAX_ENTRIES: usize = 50;
/// Configurations whose derivations are remembered too.
const MAX_DETAILED: usize = 10;
/// Derivations of one configuration that are remembered: an image of NixOS has some 300 of its own.
const MAX_NAMES: usize = 2000;
/// Bytes of the file that are read: an entry has some 100, and as many for each derivation.
const MAX_HISTORY_BYTES: u64 = 4 << 20;

/// What the conditions of a boot begin with: no build has such conditions.
const BOOT: &str = "boot ";

/// What is built, and on what. Times of another one tell nothing about it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct BuildKey {
    /// The configuration's id; of a boot, the name of the image.
    pub(super) configuration: String,
    /// The id of the machines, and of how much they do at a time. Builds of earlier versions have none.
    #[serde(default)]
    pub(super) conditions: String,
}

/// One configuration's last build, or one image's last boot.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Entry {
    #[serde(flatten)]
    key: BuildKey,
    #[serde(flatten)]
    done: Done,
}

/// What a build or a boot did.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Done {
    #[serde(flatten)]
    pub(super) effort: BuildEffort,
    /// How long each derivation took in the last build that had it.
    #[serde(default)]
    pub(super) times: BuildTimes,
    /// How long each phase took in the last run that had it. Those of earlier versions have none.
    #[serde(default)]
    pub(super) phases: PhaseTimes,
    /// The name of the image that was built: how long its boot took is known by that.
    #[serde(default)]
    pub(super) image: String,
    /// How it was compressed, on which the time of its copy depends.
    #[serde(default)]
    pub(super) compression: String,
}

impl BuildKey {
    fn is_boot(&self) -> bool {
        self.conditions.starts_with(BOOT)
    }
}

/// The file in `state_dir`.
pub(super) fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("builds.json")
}

/// What the last builds of the configuration, and of others, did under the conditions of `key`; the time of the copy only if the
/// image had this `compression`.
pub(super) fn earlier(state_dir: &Path, key: &BuildKey, compression: &str) -> EarlierBuilds {
    let mut earlier = EarlierBuilds::default();
    // Without it the build is not estimated.
    let entries = read(state_dir).unwrap_or_default();
    let same = entries.iter().find(|entry| entry.key == *key);
    earlier.phases = same.map_or_else(PhaseTimes::new, |same| {
        let image = Some(&same.done.image).filter(|image| !image.is_empty());
        let is_its = |boot: &&Entry| image == Some(&boot.key.configuration);
        let boot = nearest_boot(entries.iter().filter(|entry| entry.key.is_boot()), is_its);
        let mut phases = same.done.phases.clone();
        if same.done.compression != compression {
            phases.remove(&Phase::CopyOut);
        }
        phases
            .into_iter()
            .chain(boot.into_iter().flatten())
            .collect()
    });
    for Entry { key: other, done } in entries {
        if other == *key {
            earlier.same = Some(done.effort);
            earlier.times = with_times_before(done.times, earlier.times);
        } else if other.conditions == key.conditions {
            earlier.others.push(done.effort);
            earlier.times = with_times_before(earlier.times, done.times);
        }
    }
    earlier
}

/// Notes what a build or a boot did. Of two builds that end at the same time one may be forgotten. An error if the
/// file cannot be read, which then stays as it is, or written.
pub(super) fn note(state_dir: &Path, key: &BuildKey, done: Done) -> io::Result<()> {
    let mut entries = read(state_dir)?;
    let same = entries.iter().position(|entry| entry.key == *key);
    let before = same.map(|at| entries.remove(at).done).unwrap_or_default();
    let mut of_kind = 1;
    entries.retain(|entry| {
        // Boots leave builds their room, and builds leave boots theirs.
        let is_of_kind = entry.key.is_boot() == key.is_boot();
        of_kind += usize::from(is_of_kind);
        !is_of_kind || of_kind <= MAX_ENTRIES
    });
    let newest = Entry {
        key: key.clone(),
        done: Done {
            times: with_times_before(done.times, before.times),
            phases: before.phases.into_iter().chain(done.phases).collect(),
            ..done
        },
    };
    entries.insert(0, newest);
    let all = entries.iter_mut().map(|entry| &mut entry.done.times);
    let detailed = all.filter(|times| !times.is_empty());
    detailed.skip(MAX_DETAILED).for_each(BuildTimes::clear);
    private_dir::create(state_dir)?;
    atomic_file::replace(&file(state_dir), &serde_json::to_string(&entries)?, 0o600)
}

/// The key of a boot of the image called `image`, done in this way. No build has such conditions.
fn key_of_boot(image: &str, way: &str) -> BuildKey {
    BuildKey {
        configuration: image.to_owned(),
        conditions: format!("{BOOT}{way}"),
    }
}

/// How long the phases of the last boot of an image with this name took, or of another image, done in this way.
pub fn last_boot(state_dir: &Path, image: &str, way: &str) -> PhaseTimes {
    let key = key_of_boot(image, way);
    let entries = read(state_dir).unwrap_or_default();
    let in_this_way = entries
        .iter()
        .filter(|entry| entry.key.conditions == key.conditions);
    nearest_boot(in_this_way, |entry| entry.key == key).unwrap_or_default()
}

/// How long the phases of the first of these `boots` took that `is_its`, or of the first one.
fn nearest_boot<'e>(
    mut boots: impl Iterator<Item = &'e Entry> + Clone,
    is_its: impl Fn(&&Entry) -> bool,
) -> Option<PhaseTimes> {
    let its = boots.clone().find(is_its);
    its.or_else(|| boots.next()).map(boot_phases)
}

/// Notes how long the phases of a boot took.
pub fn note_boot(state_dir: &Path, image: &str, way: &str, phases: PhaseTimes) -> io::Result<()> {
    let millis = phases.get(&Phase::Boot).copied().unwrap_or_default();
    let effort = BuildEffort {
        seconds: millis / 1000,
        ..BuildEffort::default()
    };
    let done = Done {
        effort,
        phases,
        ..Done::default()
    };
    note(state_dir, &key_of_boot(image, way), done)
}

/// How long the phases of a boot took; earlier versions have noted only the boot itself.
fn boot_phases(boot: &Entry) -> PhaseTimes {
    let mut phases = boot.done.phases.clone();
    let millis = boot.done.effort.seconds.saturating_mul(1000);
    phases.entry(Phase::Boot).or_insert(millis);
    phases
}

/// `times` and, of derivations that were not built now, those of `before`, as far as they have room.
fn with_times_before(times: BuildTimes, before: BuildTimes) -> BuildTimes {
    let mut all: BuildTimes = times.into_iter().take(MAX_NAMES).collect();
    for (name, time) in before {
        if all.len() < MAX_NAMES {
            all.entry(name).or_insert(time);
        }
    }
    all
}

/// The entries, the newest first; none if the file is missing or damaged.
fn read(state_dir: &Path) -> io::Result<Vec<Entry>> {
    let text = plain_file::read_text(&file(state_dir), MAX_HISTORY_BYTES);
    match text {
        Err(error) if plain_file::is_wrong_kind(&error) => Ok(Vec::new()),
        text if is_gone(&text) => Ok(Vec::new()),
        text => Ok(serde_json::from_str(&text?).unwrap_or_default()),
    }
}

/// What Nix has done in a build.
#[derive(Debug, Default)]
struct Counted {
    effort: BuildEffort,
    shares: BuildShares,
}

/// Counts what Nix does in a build.
#[derive(Clone, Debug)]
pub(super) struct EffortCounter {
    began: Instant,
    counted: Arc<Mutex<Counted>>,
}

impl EffortCounter {
    /// A counter of a build that begins now.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            counted: Arc::default(),
        }
    }

    /// Counts in the events emitted to the result, and passes them on to `events`.
    pub(super) fn listen(&self, events: &Events) -> Events {
        let (counter, events) = (self.clone(), events.clone());
        Events::new(move |event| {
            if let Event::Nix(event) = &event {
                counter.count(event);
            }
            events.emit(event);
        })
    }

    fn count(&self, event: &NixEvent) {
        let at = self.began.elapsed();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.shares.apply(event, at);
        let effort = &mut counted.effort;
        if let NixEvent::Built { done, .. } = event {
            effort.built = effort.built.max(*done);
        } else if let NixEvent::WillFetch { download, .. } = event {
            effort.downloaded = effort.downloaded.max(*download);
        } else if let NixEvent::ToDownload { bytes } = event {
            effort.downloaded = effort.downloaded.max(*bytes);
        }
    }

    /// The effort counted so far, and the times of the derivations.
    pub(super) fn so_far(&self) -> (BuildEffort, BuildTimes) {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        (counted.effort, counted.shares.times())
    }
}

#[cfg(test)]
mod tests;
