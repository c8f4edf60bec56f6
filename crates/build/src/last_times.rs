//! How long the phases of the last build of each configuration took, and of the last boot of each image: a small file in the state
//! directory, which may be removed at any time. A damaged one counts as empty, and the next run replaces it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use sdbuild_core::atomic_file;
use sdbuild_core::event::PhaseTimes;
use sdbuild_core::plain_file;
use sdbuild_core::plain_file::is_gone;
use sdbuild_core::private_dir;
use sdbuild_core::untrusted;

/// Configurations and images that are remembered.
const MAX_ENTRIES: usize = 100;
/// Bytes of the file that are read: an entry has some 300.
const MAX_BYTES: u64 = 4 << 20;

/// The last run with one configuration or image.
#[derive(Debug, Deserialize, Serialize)]
struct Entry {
    /// The configuration's id, or the name of the image.
    configuration: String,
    #[serde(default)]
    phases: PhaseTimes,
}

/// The file in `state_dir`.
pub(super) fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("builds.json")
}

/// How long the phases of the last run with `configuration` took: its id, or the name of an image. Empty if that is not known.
pub fn last_times(state_dir: &Path, configuration: &str) -> PhaseTimes {
    let entries = read(state_dir).unwrap_or_default().into_iter();
    let mut same = entries.filter(|entry| entry.configuration == configuration);
    same.next().map(|entry| entry.phases).unwrap_or_default()
}

/// Notes how long the `phases` of a run with `configuration` took. Of two runs that end at the same time one may be forgotten. An
/// error if the file cannot be read, which then stays as it is, or written.
pub fn note_times(state_dir: &Path, configuration: &str, phases: PhaseTimes) -> io::Result<()> {
    let mut entries = read(state_dir)?;
    let mut newest = Entry {
        configuration: configuration.to_owned(),
        phases,
    };
    entries.retain(|entry| {
        let is_same = entry.configuration == configuration;
        if is_same {
            for (phase, took) in &entry.phases {
                newest.phases.entry(*phase).or_insert(*took);
            }
        }
        !is_same
    });
    entries.insert(0, newest);
    entries.truncate(MAX_ENTRIES);
    private_dir::create(state_dir)?;
    atomic_file::replace(&file(state_dir), &serde_json::to_string(&entries)?, 0o600)
}

/// The entries, the newest first; none if the file is missing or damaged.
fn read(state_dir: &Path) -> io::Result<Vec<Entry>> {
    let text = plain_file::read_text(&file(state_dir), MAX_BYTES);
    match text {
        Err(error) if plain_file::is_wrong_kind(&error) => Ok(Vec::new()),
        text if is_gone(&text) => Ok(Vec::new()),
        text => Ok(untrusted::json(&text?).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::event::Phase;

    fn times(times: &[(Phase, u64)]) -> PhaseTimes {
        times.iter().copied().collect()
    }

    #[test]
    fn the_last_time_of_each_phase_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let note = |name: &str, phases: &[(Phase, u64)]| {
            note_times(dir.path(), name, times(phases)).unwrap();
        };
        note("a", &[(Phase::Build, 1), (Phase::Fetch, 2)]);
        note("b", &[(Phase::Build, 9)]);
        note("a", &[(Phase::Build, 3)]);
        let expected = times(&[(Phase::Build, 3), (Phase::Fetch, 2)]);
        assert_eq!(last_times(dir.path(), "a"), expected);
        assert_eq!(last_times(dir.path(), "c"), PhaseTimes::new());
    }

    #[test]
    fn the_file_is_bounded_and_a_damaged_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(file(dir.path()), "{\"damaged").unwrap();
        for n in 0..=MAX_ENTRIES {
            note_times(dir.path(), &n.to_string(), times(&[(Phase::Build, 1)])).unwrap();
        }
        assert_eq!(read(dir.path()).unwrap().len(), MAX_ENTRIES);
        assert!(last_times(dir.path(), "0").is_empty());
        // Other permissions or kinds of files are no reason to fail a build.
        std::fs::remove_file(file(dir.path())).unwrap();
        std::fs::create_dir(file(dir.path())).unwrap();
        assert!(last_times(dir.path(), "1").is_empty());
    }
}
