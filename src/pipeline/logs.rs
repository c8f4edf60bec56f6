//! Where the builders' logs are kept, and for how long.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::failure::{Failure, OrFail as _};
use crate::engine::RunId;

/// How many logs are kept: enough to compare with last week's, little enough to forget about.
const KEPT: usize = 20;

/// The directory of the logs.
fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join("logs")
}

/// The log file for `run`, in a directory that exists; the oldest ones beyond [`KEPT`] are removed.
pub(super) fn file(state_dir: &Path, run: &RunId) -> Result<PathBuf, Failure> {
    let dir = dir(state_dir);
    fs::create_dir_all(&dir).or_environment(format!("create {}", dir.display()))?;
    let mut logs = ours(&dir);
    logs.sort_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
    let excess = (logs.len() + 1).saturating_sub(KEPT);
    for old in logs.iter().take(excess) {
        // One that cannot be removed is counted again next time.
        fs::remove_file(old).unwrap_or(());
    }
    Ok(dir.join(format!("build-{run}.log")))
}

/// Our logs in `dir`; other files there are none of our business.
fn ours(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| run_of(path).is_some())
        .collect()
}

/// Our logs, the newest first.
pub(super) fn newest_first(state_dir: &Path) -> Vec<PathBuf> {
    let mut logs = ours(&dir(state_dir));
    logs.sort_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
    logs.reverse();
    logs
}

/// The directory of the logs and the bytes that ours take, those of `live` runs apart.
pub(super) fn usage(state_dir: &Path, live: &BTreeSet<RunId>) -> (PathBuf, u64) {
    let dir = dir(state_dir);
    let sizes = ended(&dir, live).filter_map(|log| fs::metadata(log).ok());
    let bytes = sizes.map(|meta| meta.len()).sum();
    (dir, bytes)
}

/// Removes our logs in `dir` but those of `live` runs; the first one that cannot be removed, and why.
pub(super) fn remove_all(
    dir: &Path,
    live: &BTreeSet<RunId>,
) -> Result<(), (PathBuf, std::io::Error)> {
    for log in ended(dir, live) {
        fs::remove_file(&log).map_err(|error| (log, error))?;
    }
    Ok(())
}

fn ended(dir: &Path, live: &BTreeSet<RunId>) -> impl Iterator<Item = PathBuf> {
    let lives = |log: &PathBuf| run_of(log).is_some_and(|run| live.contains(&run));
    ours(dir).into_iter().filter(move |log| !lives(log))
}

/// The run whose log it is; `None` for a file that is not ours.
fn run_of(path: &Path) -> Option<RunId> {
    let name = path.file_name()?.to_str()?;
    let run = name.strip_prefix("build-")?.strip_suffix(".log")?;
    run.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_logs_stay_and_foreign_files_are_left_alone() {
        let state = tempfile::tempdir().unwrap();
        let dir = dir(state.path());
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("mine.log"), "x").unwrap();
        for n in 0..30u32 {
            let path = dir.join(format!("build-{n:012x}.log"));
            let file = fs::File::create(path).unwrap();
            let age = std::time::Duration::from_secs(u64::from(1000 - n));
            file.set_modified(std::time::SystemTime::now() - age)
                .unwrap();
        }
        let run: RunId = "ffffffffffff".parse().unwrap();
        let log = file(state.path(), &run).unwrap();
        assert_eq!(ours(&dir).len(), KEPT - 1);
        assert!(!dir.join("build-000000000000.log").exists());
        assert!(dir.join("build-00000000001d.log").exists());
        assert!(dir.join("mine.log").exists());
        assert!(!log.exists());
    }
}
