//! The build logs of the last runs.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::private_dir;
use sdbuild_engine::RunId;

/// How many build logs are kept: enough to compare with last week's, few enough to take no space worth a setting.
const KEPT_LOGS: usize = 20;

fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("logs")
}

/// The path of the build log for `run`, in a directory that exists and that only this user may look into. The oldest logs are removed, so that there are
/// at most [`KEPT_LOGS`] with the new one.
pub(super) fn file(state_dir: &Path, run: &RunId) -> Result<PathBuf, Failure> {
    let dir = directory(state_dir);
    private_dir::create(&dir).or_environment(format!("create {}", dir.display()))?;
    let logs = oldest_first(&dir);
    let excess = (logs.len() + 1).saturating_sub(KEPT_LOGS);
    for old in logs.iter().take(excess) {
        // A log that stays is counted again next time.
        fs::remove_file(old).ok();
    }
    Ok(dir.join(format!("build-{run}.log")))
}

/// All build logs, the newest first.
pub(super) fn newest_first(state_dir: &Path) -> Vec<PathBuf> {
    let mut logs = oldest_first(&directory(state_dir));
    logs.reverse();
    logs
}

/// The directory of the build logs and their bytes, without those of the runs in `excluded`.
pub(super) fn usage(state_dir: &Path, excluded: &BTreeSet<RunId>) -> (PathBuf, u64) {
    let dir = directory(state_dir);
    let sizes = logs_without(&dir, excluded).filter_map(|log| fs::metadata(log).ok());
    let bytes = sizes.map(|meta| meta.len()).sum();
    (dir, bytes)
}

/// Removes the build logs in `dir` without those of the runs in `excluded`, up to the first that cannot be
/// removed.
pub(super) fn remove_all(
    dir: &Path,
    excluded: &BTreeSet<RunId>,
) -> Result<(), (PathBuf, io::Error)> {
    for path in logs_without(dir, excluded) {
        fs::remove_file(&path).map_err(|error| (path, error))?;
    }
    Ok(())
}

fn logs_without(dir: &Path, excluded: &BTreeSet<RunId>) -> impl Iterator<Item = PathBuf> {
    let is_excluded = |log: &PathBuf| run_of(log).is_some_and(|run| excluded.contains(&run));
    let logs = build_logs(dir).into_iter();
    logs.filter(move |log| !is_excluded(log))
}

fn oldest_first(dir: &Path) -> Vec<PathBuf> {
    let mut logs = build_logs(dir);
    logs.sort_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
    logs
}

/// The build logs in `dir`, in any order; other files there are ignored.
fn build_logs(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| run_of(path).is_some()).collect()
}

/// The run of a build log; `None` for another file.
fn run_of(path: &Path) -> Option<RunId> {
    let name = path.file_name()?.to_str()?;
    let run = name.strip_prefix("build-")?.strip_suffix(".log")?;
    run.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_logs_and_other_files_are_kept() {
        let state = tempfile::tempdir().unwrap();
        let dir = directory(state.path());
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
        assert_eq!(build_logs(&dir).len(), KEPT_LOGS - 1);
        assert!(!dir.join("build-000000000000.log").exists());
        assert!(dir.join("build-00000000001d.log").exists());
        assert!(dir.join("mine.log").exists());
        assert!(!log.exists());
    }

    #[test]
    fn logs_of_excluded_runs_are_neither_counted_nor_removed() {
        let state = tempfile::tempdir().unwrap();
        let [live, ended]: [RunId; 2] =
            ["000000000001", "000000000002"].map(|run| run.parse().unwrap());
        for (run, bytes) in [(&live, 7), (&ended, 5)] {
            let log = file(state.path(), run).unwrap();
            fs::write(log, "x".repeat(bytes)).unwrap();
        }
        let excluded = BTreeSet::from([live.clone()]);
        let (dir, bytes) = usage(state.path(), &excluded);
        assert_eq!(bytes, 5);
        remove_all(&dir, &excluded).unwrap();
        assert_eq!(usage(state.path(), &BTreeSet::new()).1, 7);
    }
}
