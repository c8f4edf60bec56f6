//! What `clean` removes of this user's directories: downloads and build logs. It needs no engine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::nixos::nixpkgs;
use crate::pipeline::inventory::LocalFiles;
use crate::pipeline::last_times;
use crate::pipeline::logs;
use crate::pipeline::logs::RemoveError;
use crate::pipeline::request::Common;
use crate::pipeline::run_lock::{RunLocks, RunState};
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_core::shell_word::quoted;
use sdbuild_engine::RunId;
use sdbuild_engine::artifact::Cache;

/// Something that can be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `machine`, `upload`, `handler`, `container`, `volume`, `image`, `results`, `downloads` or `logs`.
    pub kind: &'static str,
    /// Its name or directory.
    pub name: String,
    /// Bytes, where they are known.
    pub size: Option<u64>,
}

/// Downloads and logs that can be removed. Planning removes nothing.
#[derive(Debug)]
pub struct FileRemoval {
    cache: PathBuf,
    cache_size: u64,
    /// The directory of logs and their size; `None` where downloads alone are removed.
    logs: Option<(PathBuf, u64)>,
    /// A live run may be about to use any download.
    live_runs: BTreeSet<RunId>,
}

impl FileRemoval {
    /// Measures the directories. The runs of this user that are live on any engine keep what they use.
    pub fn plan(settings: &Common) -> Result<Self, Failure> {
        Self::beside(settings, BTreeSet::new())
    }

    /// The same; what the runs in `live_runs`, also of other users of an engine, use is kept too.
    pub(super) fn beside(
        settings: &Common,
        mut live_runs: BTreeSet<RunId>,
    ) -> Result<Self, Failure> {
        // One cache and one directory of logs serve the runs on all engines.
        let runs = RunLocks::all_engines(&settings.state_dir).into_iter();
        let live = runs.filter(|run| run.state == RunState::Live);
        live_runs.extend(live.map(|run| run.run));
        let files = LocalFiles::measure(settings, &live_runs);
        Ok(Self {
            cache: files.cache,
            cache_size: files.cache_size?,
            logs: Some((files.logs, files.logs_size)),
            live_runs,
        })
    }

    /// What was downloaded, and nothing else.
    pub fn downloads(settings: &Common) -> Result<Self, Failure> {
        let plan = Self::plan(settings)?;
        Ok(Self { logs: None, ..plan })
    }

    /// Live runs: what they use, or may be about to use, is not removed.
    pub fn live(&self) -> &BTreeSet<RunId> {
        &self.live_runs
    }

    /// Everything that [`FileRemoval::carry_out`] removes, in its order.
    pub fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        if self.cache_is_free() {
            items.push(Item {
                kind: "downloads",
                name: self.cache.display().to_string(),
                size: Some(self.cache_size),
            });
        }
        if let Some((logs, size)) = &self.logs
            && *size > 0
        {
            items.push(Item {
                kind: "logs",
                name: logs.display().to_string(),
                size: Some(*size),
            });
        }
        items
    }

    /// Removes every item and returns what could not be removed.
    pub fn carry_out(&self) -> Vec<Leftover> {
        let mut failed = Vec::new();
        let remove = if self.logs.is_some() {
            Cache::remove_all
        } else {
            Cache::remove_objects
        };
        // Also when there is nothing but notes.
        if self.live_runs.is_empty()
            && let Err(error) = remove(&self.cache)
        {
            failed.push((self.cache.display().to_string(), error.to_string()));
        }
        if let Some((logs, _)) = &self.logs
            && let Err(RemoveError { path, error }) = self.remove_logs(logs)
        {
            failed.push((path.display().to_string(), error.to_string()));
        }
        let leftover = |(what, why): (String, String)| Leftover {
            remedy: format!("rm -r -- {}", quoted(&what)),
            what,
            why,
        };
        failed.into_iter().map(leftover).collect()
    }

    /// Removes the logs, and with them the times of earlier builds and the hashes of checkouts.
    fn remove_logs(&self, logs: &Path) -> Result<(), RemoveError> {
        if let Some(state_dir) = logs.parent() {
            // Nothing but a number on the screen and a second of the next build depends on them.
            for file in [last_times::file(state_dir), nixpkgs::hashes_file(state_dir)] {
                fs::remove_file(file).ok();
            }
        }
        logs::remove_all(logs, &self.live_runs)
    }

    fn cache_is_free(&self) -> bool {
        self.cache_size > 0 && self.live_runs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::request::fixture::common;
    use sdbuild_engine::Endpoint;

    /// `clean` with one engine removed the log of a build on another one while it was written.
    #[test]
    fn runs_on_other_engines_keep_downloads_and_logs() {
        let home = tempfile::tempdir().unwrap();
        let settings = common(home.path());
        let run: RunId = "0123456789ab".parse().unwrap();
        let elsewhere = RunLocks::new(&settings.state_dir, &Endpoint::Unix("/other".into()));
        let run_lock = elsewhere.acquire(&run).unwrap();
        let log = logs::file(&settings.state_dir, &run).unwrap();
        std::fs::write(&log, "building").unwrap();
        let object = settings.cache_dir.join("sha256").join("0".repeat(64));
        std::fs::create_dir_all(object.parent().unwrap()).unwrap();
        std::fs::write(&object, "an object").unwrap();
        let removal = || FileRemoval::beside(&settings, BTreeSet::new()).unwrap();
        assert_eq!(removal().items(), []);
        assert_eq!(removal().live(), &BTreeSet::from([run]));
        assert_eq!(removal().carry_out(), []);
        assert!(log.exists() && object.exists());

        run_lock.release();
        assert_eq!(removal().items().len(), 2);
        assert_eq!(removal().carry_out(), []);
        assert!(!log.exists() && !object.exists());
    }
}
