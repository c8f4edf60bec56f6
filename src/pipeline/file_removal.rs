//! What `clean` removes of this user's directories: downloads and build logs. It needs no engine.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::artifact::Cache;
use crate::common::failure::{Failure, Leftover};
use crate::common::shell_word::quoted;
use crate::engine::RunId;
use crate::pipeline::inventory::LocalFiles;
use crate::pipeline::logs::{self, RemoveError};
use crate::pipeline::run_lock::RunState;
use crate::settings::Common;

/// Something that can be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `handler`, `container`, `volume`, `image`, `downloads` or `logs`.
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
    logs: PathBuf,
    logs_size: u64,
    /// A live run may be about to use any download.
    live_runs: BTreeSet<RunId>,
}

impl FileRemoval {
    /// Measures the directories. The runs of this user that are live on any engine keep what they use.
    pub fn plan(settings: &Common) -> Result<Self, Failure> {
        let none = BTreeSet::new();
        let runs = LocalFiles::measure(settings, &none).runs;
        let live = runs.into_iter().filter(|run| run.state == RunState::Live);
        Self::beside(settings, live.map(|run| run.run).collect())
    }

    /// Measures the directories; what the runs in `live_runs` use is kept.
    pub(super) fn beside(settings: &Common, live_runs: BTreeSet<RunId>) -> Result<Self, Failure> {
        let files = LocalFiles::measure(settings, &live_runs);
        Ok(Self {
            cache: files.cache,
            cache_size: files.cache_size?,
            logs: files.logs,
            logs_size: files.logs_size,
            live_runs,
        })
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
        if self.logs_size > 0 {
            items.push(Item {
                kind: "logs",
                name: self.logs.display().to_string(),
                size: Some(self.logs_size),
            });
        }
        items
    }

    /// Removes every item and returns what could not be removed.
    pub fn carry_out(&self) -> Vec<Leftover> {
        let mut failed = Vec::new();
        if self.cache_is_free()
            && let Err(error) = Cache::remove_all(&self.cache)
        {
            failed.push((self.cache.display().to_string(), error.to_string()));
        }
        if let Err(RemoveError { path, error }) = logs::remove_all(&self.logs, &self.live_runs) {
            failed.push((path.display().to_string(), error.to_string()));
        }
        let leftover = |(what, why): (String, String)| Leftover {
            remedy: format!("rm -r -- {}", quoted(&what)),
            what,
            why,
        };
        failed.into_iter().map(leftover).collect()
    }

    fn cache_is_free(&self) -> bool {
        self.cache_size > 0 && self.live_runs.is_empty()
    }
}
