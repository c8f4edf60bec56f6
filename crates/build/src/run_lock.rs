//! One file per run, which the run's process holds locked (`common::locked_file`): a run with a locked file is
//! live, one with an unlocked file is stale.
//!
//! Runs of other users and other machines have no file here; they are judged by their containers.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use sdbuild_core::atomic_file;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::locked_file;
use sdbuild_core::locked_file::Owner;
use sdbuild_core::plain_file;
use sdbuild_engine::ssh_machine::SshMachine;
use sdbuild_engine::{Endpoint, RunId};

/// The text of a file is an engine's address; longer files are not ours.
const MAX_ADDRESS_BYTES: u64 = 64 << 10;
/// Only this user may read the engine's address.
const LOCK_MODE: u32 = 0o600;

/// Whether a run is still going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its process, or one of its containers, runs.
    Live,
    /// Its process ended without removing everything.
    #[serde(rename = "dead")]
    Stale,
    /// It belongs to another user or machine, and its containers do not show it either.
    Unknown,
}

/// The lock of this process's own run. Dropping it without [`RunLock::release`] leaves the file there,
/// unlocked: the run counts as stale, and the next run removes what it left behind.
#[derive(Debug)]
#[must_use = "without it, the run counts as stale"]
pub(super) struct RunLock {
    path: PathBuf,
    // Open for its lock.
    _file: File,
}

/// A run of this user, on any engine.
#[derive(Clone, Debug)]
pub(super) struct KnownRun {
    /// The run's id.
    pub(super) run: RunId,
    /// The address of its engine.
    pub(super) endpoint: String,
    /// Live, or stale where that is not certain.
    pub(super) state: RunState,
    /// When it began; `None` where the file system does not say.
    pub(super) began: Option<SystemTime>,
}

/// The run locks in one state directory, for runs on one engine.
#[derive(Clone, Debug)]
pub(super) struct RunLocks {
    dir: PathBuf,
    endpoint: String,
}

impl RunLocks {
    /// The run locks below `state_dir` for the engine at `endpoint`. Nothing is created.
    pub(super) fn new(state_dir: &Path, endpoint: &Endpoint) -> Self {
        Self {
            dir: state_dir.join("runs"),
            endpoint: endpoint.to_string(),
        }
    }

    /// All runs with a file below `state_dir`, on all engines.
    pub(super) fn all_engines(state_dir: &Path) -> Vec<KnownRun> {
        let known = |(run, path): (RunId, PathBuf)| {
            let endpoint = plain_file::read_text(&path, MAX_ADDRESS_BYTES).ok()?;
            let state = match locked_file::owner(&path) {
                Owner::Alive => RunState::Live,
                Owner::Gone | Owner::Unknown => RunState::Stale,
            };
            let began = fs::metadata(&path).and_then(|meta| meta.modified()).ok();
            Some(KnownRun {
                run,
                endpoint,
                state,
                began,
            })
        };
        let dir = state_dir.join("runs");
        files(&dir).filter_map(known).collect()
    }

    /// Creates and locks the file of `run`.
    pub(super) fn acquire(&self, run: &RunId) -> Result<RunLock, Failure> {
        let path = self.path(run);
        let text = self.endpoint.as_bytes();
        let file = atomic_file::create_locked(&path, LOCK_MODE, text)
            .or_environment(format!("lock {}", path.display()))?;
        Ok(RunLock { path, _file: file })
    }

    /// The state of `run` by the lock of its file; [`RunState::Unknown`] without a file.
    pub(super) fn state(&self, run: &RunId) -> RunState {
        match locked_file::owner(&self.path(run)) {
            Owner::Alive => RunState::Live,
            Owner::Gone => RunState::Stale,
            Owner::Unknown => RunState::Unknown,
        }
    }

    /// The runs of this user on this engine that are in `state`.
    pub(super) fn runs(&self, state: RunState) -> BTreeSet<RunId> {
        let on_this_engine = |(run, path): (RunId, PathBuf)| {
            let endpoint = plain_file::read_text(&path, MAX_ADDRESS_BYTES).ok()?;
            (endpoint == self.endpoint).then_some(run)
        };
        let mut runs: BTreeSet<RunId> = files(&self.dir).filter_map(on_this_engine).collect();
        runs.retain(|run| self.state(run) == state);
        runs
    }

    /// Removes the files of `runs`, which left nothing behind, or nothing any more.
    pub(super) fn forget(&self, runs: &BTreeSet<RunId>) {
        for run in runs {
            remove(&self.path(run));
        }
    }

    fn path(&self, run: &RunId) -> PathBuf {
        self.dir.join(run.as_str())
    }
}

/// Removes the locks of runs that began after `since` on a machine that is gone: no later run can look for what they left there. Others
/// were on another machine at the same place.
pub fn forget_runs(state_dir: &Path, place: &str, since: SystemTime) {
    let machine = SshMachine {
        place: place.to_owned(),
        host_key: String::new(),
        identity: None,
    };
    let Some(endpoint) = Endpoint::by_ssh(&machine) else {
        return;
    };
    let address = endpoint.to_string();
    let known = RunLocks::all_engines(state_dir).into_iter();
    let ended = known.filter(|known| {
        known.state == RunState::Stale
            && known.endpoint == address
            && known.began.is_some_and(|began| began >= since)
    });
    let runs = ended.map(|known| known.run).collect();
    RunLocks::new(state_dir, &endpoint).forget(&runs);
}

/// The files in `dir` that are named like a run.
fn files(dir: &Path) -> impl Iterator<Item = (RunId, PathBuf)> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}

/// Removes the file of a run; one that stays is removed by a later sweep.
fn remove(path: &Path) {
    fs::remove_file(path).ok();
}

impl RunLock {
    /// Ends a run with `failure`, if it failed: a run that left something behind counts as stale.
    pub(super) fn end<T>(self, outcome: &Result<T, Failure>) {
        match outcome {
            Err(failure) if !failure.teardown.is_empty() => drop(self),
            Ok(_) | Err(_) => self.release(),
        }
    }

    /// Removes the file: nothing of the run is left.
    pub(super) fn release(self) {
        remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(name: &str) -> Endpoint {
        Endpoint::Unix(name.into())
    }

    #[test]
    fn run_is_live_while_locked_and_stale_once_killed() {
        let state = tempfile::tempdir().unwrap();
        let run_locks = RunLocks::new(state.path(), &unix("/one"));
        let run: RunId = "0123456789ab".parse().unwrap();
        let only = BTreeSet::from([run.clone()]);
        assert_eq!(run_locks.state(&run), RunState::Unknown, "not acquired yet");
        let run_lock = run_locks.acquire(&run).unwrap();
        assert_eq!(run_locks.state(&run), RunState::Live);
        assert_eq!(run_locks.runs(RunState::Live), only);
        run_lock.release();
        assert_eq!(run_locks.state(&run), RunState::Unknown, "released");

        drop(run_locks.acquire(&run).unwrap());
        assert_eq!(run_locks.state(&run), RunState::Stale, "killed");
        let elsewhere = RunLocks::new(state.path(), &unix("/two"));
        assert!(
            elsewhere.runs(RunState::Stale).is_empty(),
            "runs on another engine are not forgotten here"
        );
        assert_eq!(run_locks.runs(RunState::Stale), only);
        let known = RunLocks::all_engines(state.path());
        let [known] = known.as_slice() else {
            panic!("{known:?}")
        };
        assert_eq!((&known.run, known.state), (&run, RunState::Stale));
        assert_eq!(known.endpoint, "unix:///one");
        run_locks.forget(&only);
        assert_eq!(run_locks.state(&run), RunState::Unknown, "forgotten");
    }

    #[test]
    fn pipe_is_no_run_lock_and_is_not_waited_for() {
        let state = tempfile::tempdir().unwrap();
        let run_locks = RunLocks::new(state.path(), &unix("/one"));
        let run: RunId = "0123456789ab".parse().unwrap();
        fs::create_dir(state.path().join("runs")).unwrap();
        let path = state.path().join("runs").join(run.as_str());
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(run_locks.state(&run), RunState::Unknown);
        for state in [RunState::Live, RunState::Stale, RunState::Unknown] {
            assert!(run_locks.runs(state).is_empty());
        }
    }
}
