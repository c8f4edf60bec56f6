//! How long the last build of each configuration took under the same conditions, and the last boot of each image, for an estimate
//! of the next ones: a small file in the state directory, which may be removed at any time. A damaged one counts as empty, and the next build replaces it: all that it
//! has is for an estimate.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::common::build_shares::{BuildShares, BuildTimes};
use crate::common::event::{BuildEffort, EarlierBuilds, Event, Events};
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
    effort: BuildEffort,
    /// How long each derivation took in the last build that had it.
    #[serde(default)]
    times: BuildTimes,
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

/// What the last builds of the configuration, and of others, did under the conditions of `key`.
pub(super) fn earlier(state_dir: &Path, key: &BuildKey) -> EarlierBuilds {
    let mut earlier = EarlierBuilds::default();
    // Without it the build is not estimated.
    for entry in read(state_dir).unwrap_or_default() {
        if entry.key == *key {
            earlier.same = Some(entry.effort);
            earlier.times = with_times_before(entry.times, earlier.times);
        } else if entry.key.conditions == key.conditions {
            earlier.others.push(entry.effort);
            earlier.times = with_times_before(earlier.times, entry.times);
        }
    }
    earlier
}

/// Notes what a build did, and how long its derivations took. Of two builds that end at the same time one may be forgotten. An error if the
/// file cannot be read, which then stays as it is, or written.
pub(super) fn note(
    state_dir: &Path,
    key: &BuildKey,
    effort: BuildEffort,
    times: BuildTimes,
) -> io::Result<()> {
    let mut entries = read(state_dir)?;
    let same = entries.iter().position(|entry| entry.key == *key);
    let before = same.map(|at| entries.remove(at).times);
    let mut of_kind = 1;
    entries.retain(|entry| {
        // Boots leave builds their room, and builds leave boots theirs.
        let is_of_kind = entry.key.is_boot() == key.is_boot();
        of_kind += usize::from(is_of_kind);
        !is_of_kind || of_kind <= MAX_ENTRIES
    });
    let newest = Entry {
        key: key.clone(),
        effort,
        times: with_times_before(times, before.unwrap_or_default()),
    };
    entries.insert(0, newest);
    let detailed = entries.iter_mut().filter(|entry| !entry.times.is_empty());
    for old in detailed.skip(MAX_DETAILED) {
        old.times.clear();
    }
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

/// How long the last boot of an image with this name took, done in this way.
pub fn last_boot(state_dir: &Path, image: &str, way: &str) -> Option<Duration> {
    let boots = earlier(state_dir, &key_of_boot(image, way));
    boots.same.map(|boot| Duration::from_secs(boot.seconds))
}

/// Notes how long a boot took.
pub fn note_boot(state_dir: &Path, image: &str, way: &str, took: Duration) -> io::Result<()> {
    let effort = BuildEffort {
        seconds: took.as_secs(),
        ..BuildEffort::default()
    };
    let key = key_of_boot(image, way);
    note(state_dir, &key, effort, BuildTimes::new())
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
mod tests {
    use super::*;

    fn key(configuration: &str) -> BuildKey {
        BuildKey {
            configuration: configuration.to_owned(),
            conditions: "here".to_owned(),
        }
    }

    #[test]
    fn times_under_other_conditions_tell_nothing() {
        let state = tempfile::tempdir().unwrap();
        let rented = BuildKey {
            conditions: "rented".to_owned(),
            ..key("a")
        };
        let note = |key: &BuildKey, seconds| {
            let effort = BuildEffort {
                seconds,
                ..BuildEffort::default()
            };
            let times = BuildTimes::from([("etc".to_owned(), seconds)]);
            note(state.path(), key, effort, times).unwrap();
        };
        note(&rented, 5);
        assert_eq!(earlier(state.path(), &key("a")), EarlierBuilds::default());
        note(&key("a"), 90);
        let seconds = |key: &BuildKey| earlier(state.path(), key).same.map(|same| same.seconds);
        assert_eq!(seconds(&rented), Some(5));
        assert_eq!(seconds(&key("a")), Some(90));
        let of_other = earlier(state.path(), &key("b")).others;
        assert_eq!(of_other.len(), 1);
        // As earlier versions wrote it.
        let old = r#"[{"configuration":"a","built":1,"downloaded":2,"seconds":3}]"#;
        std::fs::write(file(state.path()), old).unwrap();
        assert_eq!(seconds(&key("a")), None);
        assert_eq!(read(state.path()).unwrap().len(), 1);
    }

    #[test]
    fn the_last_build_of_each_configuration_is_remembered() {
        let state = tempfile::tempdir().unwrap();
        let effort = |seconds| BuildEffort {
            built: 3,
            downloaded: 5,
            seconds,
        };
        let note_effort = |configuration: &str, effort| {
            note(state.path(), &key(configuration), effort, BuildTimes::new()).unwrap();
        };
        let last = |configuration| earlier(state.path(), &key(configuration)).same;
        assert_eq!(last("a"), None);
        for (configuration, seconds) in [("a", 1), ("b", 2), ("a", 3)] {
            note_effort(configuration, effort(seconds));
        }
        assert_eq!(last("a"), Some(effort(3)));
        assert_eq!(last("b"), Some(effort(2)));
        let of_new = earlier(state.path(), &key("c"));
        assert_eq!(
            (of_new.same, of_new.others),
            (None, vec![effort(3), effort(2)])
        );
        for n in 0..2 * MAX_ENTRIES {
            note_effort(&n.to_string(), effort(1));
        }
        assert_eq!(read(state.path()).unwrap().len(), MAX_ENTRIES);
        for damaged in [b"damaged".as_slice(), b"\xff"] {
            std::fs::write(file(state.path()), damaged).unwrap();
            assert_eq!(last("a"), None);
            note_effort("a", effort(4));
            assert_eq!(last("a"), Some(effort(4)));
        }
    }

    #[test]
    fn times_of_derivations_are_kept_until_they_are_built_again() {
        let state = tempfile::tempdir().unwrap();
        let times = |of: &[(&str, u64)]| -> BuildTimes {
            let owned = |(name, time): &(&str, u64)| ((*name).to_owned(), *time);
            of.iter().map(owned).collect()
        };
        let note = |configuration: &str, of| {
            let effort = BuildEffort::default();
            note(state.path(), &key(configuration), effort, times(of)).unwrap();
        };
        note("a", &[("etc", 5), ("image", 70)]);
        note("b", &[("etc", 9)]);
        note("a", &[("image", 80)]);
        let known = |configuration| earlier(state.path(), &key(configuration)).times;
        assert_eq!(known("a"), times(&[("etc", 5), ("image", 80)]));
        // What it has not built is known from the newest other one that has.
        assert_eq!(known("b"), times(&[("etc", 9), ("image", 80)]));
        assert_eq!(known("c"), times(&[("etc", 5), ("image", 80)]));
        for n in 0..MAX_DETAILED {
            note(&n.to_string(), &[("etc", 1)]);
        }
        assert_eq!(known("a"), times(&[("etc", 1)]));
        assert!(earlier(state.path(), &key("a")).same.is_some());
        let many: BuildTimes = (0..2 * MAX_NAMES as u64)
            .map(|n| (n.to_string(), n))
            .collect();
        assert_eq!(with_times_before(many.clone(), many).len(), MAX_NAMES);
    }

    #[test]
    fn the_last_boot_of_an_image_in_each_way_is_remembered() {
        let state = tempfile::tempdir().unwrap();
        let times = BuildTimes::from([("etc".to_owned(), 5)]);
        note(
            state.path(),
            &key("a"),
            BuildEffort::default(),
            times.clone(),
        )
        .unwrap();
        let second = Duration::from_secs(1);
        for n in 1..=100 {
            note_boot(state.path(), "pi.img", "virt", second * n).unwrap();
            note_boot(state.path(), &format!("{n}.img"), "virt", second).unwrap();
        }
        let last = |image, way| last_boot(state.path(), image, way);
        assert_eq!(last("pi.img", "virt"), Some(second * 100));
        assert_eq!(last("pi.img", "rpi3"), None);
        // Boots have no derivations, and builds keep theirs.
        assert_eq!(earlier(state.path(), &key("a")).times, times);
    }

    /// A file in place of the directory: what is behind it cannot be read.
    #[test]
    fn a_history_that_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        std::fs::write(&state, "").unwrap();
        assert!(read(&state).is_err());
        assert!(note(&state, &key("a"), BuildEffort::default(), BuildTimes::new()).is_err());
        assert_eq!(earlier(&state, &key("a")).same, None);
    }

    #[test]
    fn builds_and_downloads_are_counted() {
        let counter = EffortCounter::new();
        let events = counter.listen(&Events::none());
        let built = |done| NixEvent::Built {
            done,
            expected: 9,
            running: 1,
        };
        for event in [
            built(2),
            built(7),
            NixEvent::ToDownload { bytes: 40 },
            built(7),
        ] {
            events.emit(Event::Nix(event));
        }
        let (effort, _) = counter.so_far();
        assert_eq!((effort.built, effort.downloaded), (7, 40));
    }
}
