//! How long the last build of each configuration took on this machine, for an estimate of the next ones: a small file in the
//! state directory, which may be removed at any time. A damaged one counts as empty, and the next build replaces it: all that it
//! has is for an estimate.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::common::event::{BuildEffort, EarlierBuilds, Event, Events};
use crate::common::nix_event::NixEvent;
use crate::common::plain_file::{self, is_gone};
use crate::common::{atomic_file, private_dir};

/// Configurations that are remembered.
const MAX_ENTRIES: usize = 50;
/// Bytes of the file that are read: an entry has some 100.
const MAX_HISTORY_BYTES: u64 = 64 << 10;

/// One configuration's last build.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Entry {
    configuration: String,
    #[serde(flatten)]
    effort: BuildEffort,
}

/// The file in `state_dir`.
pub(super) fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("builds.json")
}

/// What the last builds of `configuration`, an id, and of others did.
pub(super) fn earlier(state_dir: &Path, configuration: &str) -> EarlierBuilds {
    let mut earlier = EarlierBuilds::default();
    // Without it the build is not estimated.
    for entry in read(state_dir).unwrap_or_default() {
        if entry.configuration == configuration {
            earlier.same = Some(entry.effort);
        } else {
            earlier.others.push(entry.effort);
        }
    }
    earlier
}

/// Notes what a build of `configuration` did. Of two builds that end at the same time one may be forgotten. An error if the
/// file cannot be read, which then stays as it is, or written.
pub(super) fn note(state_dir: &Path, configuration: &str, effort: BuildEffort) -> io::Result<()> {
    let mut entries = read(state_dir)?;
    entries.retain(|entry| entry.configuration != configuration);
    entries.truncate(MAX_ENTRIES - 1);
    let configuration = configuration.to_owned();
    entries.insert(
        0,
        Entry {
            configuration,
            effort,
        },
    );
    private_dir::create(state_dir)?;
    atomic_file::replace(&file(state_dir), &serde_json::to_string(&entries)?, 0o600)
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

/// Counts what Nix does in a build.
#[derive(Clone, Debug, Default)]
pub(super) struct EffortCounter(Arc<Mutex<BuildEffort>>);

impl EffortCounter {
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
        let mut effort = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let NixEvent::Built { done, .. } = event {
            effort.built = effort.built.max(*done);
        } else if let NixEvent::WillFetch { download, .. } = event {
            effort.downloaded = effort.downloaded.max(*download);
        } else if let NixEvent::ToDownload { bytes } = event {
            effort.downloaded = effort.downloaded.max(*bytes);
        }
    }

    /// The effort counted so far.
    pub(super) fn so_far(&self) -> BuildEffort {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_build_of_each_configuration_is_remembered() {
        let state = tempfile::tempdir().unwrap();
        let effort = |seconds| BuildEffort {
            built: 3,
            downloaded: 5,
            seconds,
        };
        let last = |configuration| earlier(state.path(), configuration).same;
        assert_eq!(last("a"), None);
        for (configuration, seconds) in [("a", 1), ("b", 2), ("a", 3)] {
            note(state.path(), configuration, effort(seconds)).unwrap();
        }
        assert_eq!(last("a"), Some(effort(3)));
        assert_eq!(last("b"), Some(effort(2)));
        let of_new = earlier(state.path(), "c");
        assert_eq!(
            (of_new.same, of_new.others),
            (None, vec![effort(3), effort(2)])
        );
        for n in 0..2 * MAX_ENTRIES {
            note(state.path(), &n.to_string(), effort(1)).unwrap();
        }
        assert_eq!(read(state.path()).unwrap().len(), MAX_ENTRIES);
        for damaged in [b"damaged".as_slice(), b"\xff"] {
            std::fs::write(file(state.path()), damaged).unwrap();
            assert_eq!(last("a"), None);
            note(state.path(), "a", effort(4)).unwrap();
            assert_eq!(last("a"), Some(effort(4)));
        }
    }

    /// A file in place of the directory: what is behind it cannot be read.
    #[test]
    fn a_history_that_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        std::fs::write(&state, "").unwrap();
        assert!(read(&state).is_err());
        assert!(note(&state, "a", BuildEffort::default()).is_err());
        assert_eq!(earlier(&state, "a").same, None);
    }

    #[test]
    fn builds_and_downloads_are_counted() {
        let counter = EffortCounter::default();
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
        let effort = counter.so_far();
        assert_eq!((effort.built, effort.downloaded), (7, 40));
    }
}
