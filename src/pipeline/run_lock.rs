//! A sign of life for each run: a file that its process holds locked. The kernel lets go of the lock
//! however the process ends, so an unlocked file tells of a dead run, with no doubt and no delay.
//!
//! Runs of other people and other machines have no file here; what belongs to those is judged by
//! their containers.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::linkat;

use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::engine::{Endpoint, RunId};

/// An engine's address is not longer.
const LONGEST: u64 = 64 << 10;

/// This run's own sign of life. When the value goes without [`Beacon::put_out`] the file stays, unlocked:
/// whatever the run left behind is a dead run's.
#[derive(Debug)]
#[must_use = "without it the run counts as dead"]
pub(super) struct RunLock {
    path: PathBuf,
    // Held for its lock.
    _file: File,
}

/// A run of this user, on any engine.
#[derive(Clone, Debug)]
pub(super) struct KnownRun {
    /// Its id.
    pub(super) run: RunId,
    /// Where its engine listens.
    pub(super) endpoint: String,
    /// Whether its process lives.
    pub(super) lives: bool,
    /// When it began.
    pub(super) began: Option<SystemTime>,
}

/// The signs of life in one state directory, of runs on one engine.
#[derive(Clone, Debug)]
pub(super) struct RunLocks {
    dir: PathBuf,
    endpoint: String,
}

impl RunLocks {
    /// Those below `state_dir`, for runs on the engine at `endpoint`.
    pub(super) fn new(state_dir: &Path, endpoint: &Endpoint) -> Self {
        Self {
            dir: state_dir.join("runs"),
            endpoint: endpoint.to_string(),
        }
    }

    /// All of this user's runs that left a sign, on whatever engine.
    pub(super) fn everywhere(state_dir: &Path) -> Vec<KnownRun> {
        let dir = state_dir.join("runs");
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let known = |entry: fs::DirEntry| {
            let run = entry.file_name().to_str()?.parse().ok()?;
            let endpoint = plain_file::read_text(&entry.path(), LONGEST).ok()?;
            let run_locks = Self {
                dir: entry.path().parent()?.to_owned(),
                endpoint: endpoint.clone(),
            };
            Some(KnownRun {
                lives: run_locks.is_live(&run),
                began: entry.metadata().and_then(|meta| meta.modified()).ok(),
                run,
                endpoint,
            })
        };
        entries.filter_map(known).collect()
    }

    /// Lights the run lock of `run`.
    pub(super) fn acquire(&self, run: &RunId) -> Result<RunLock, Failure> {
        let path = self.dir.join(run.as_str());
        let light = || {
            fs::create_dir_all(&self.dir)?;
            // Locked before it has its name: nobody ever sees it unlocked while we live.
            unnamed(&self.dir, &self.endpoint)
                .and_then(|file| give_name(file, &path))
                .or_else(|_| self.acquire_by_rename(&path))
        };
        let file = light().or_environment(format!("write {}", path.display()))?;
        Ok(RunLock { path, _file: file })
    }

    /// For file systems where a file always has a name; a kill in the middle leaves it there.
    fn acquire_by_rename(&self, path: &Path) -> io::Result<File> {
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&self.dir)?;
        file.as_file().try_lock().map_err(io::Error::from)?;
        file.write_all(self.endpoint.as_bytes())?;
        file.persist(path).map_err(|e| e.error)
    }

    /// Whether `run` was one of this user's and its process is gone.
    pub(super) fn is_dead(&self, run: &RunId) -> bool {
        // Shared, so that two who look at the same time do not take each other for the run.
        let file = plain_file::open(&self.dir.join(run.as_str()));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Ok(())))
    }

    /// Whether `run` is one of this user's and its process lives.
    pub(super) fn is_live(&self, run: &RunId) -> bool {
        let file = plain_file::open(&self.dir.join(run.as_str()));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The runs of this user on this engine that live.
    pub(super) fn live(&self) -> BTreeSet<RunId> {
        let mut runs = self.known();
        runs.retain(|run| self.is_live(run));
        runs
    }

    /// The runs of this user on this engine whose processes are gone.
    pub(super) fn dead(&self) -> BTreeSet<RunId> {
        let mut runs = self.known();
        runs.retain(|run| self.is_dead(run));
        runs
    }

    /// Forgets `runs`: nothing of theirs is left.
    pub(super) fn forget(&self, runs: &BTreeSet<RunId>) {
        for run in runs {
            // One that stays is forgotten next time.
            fs::remove_file(self.dir.join(run.as_str())).unwrap_or(());
        }
    }

    fn known(&self) -> BTreeSet<RunId> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let here = |entry: &fs::DirEntry| {
            let endpoint = plain_file::read_text(&entry.path(), LONGEST);
            endpoint.is_ok_and(|endpoint| endpoint == self.endpoint)
        };
        let run = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        entries.filter(here).filter_map(run).collect()
    }
}

/// A file in `dir` that has no name yet: it is gone with its process.
fn unnamed(dir: &Path, text: &str) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).mode(0o600);
    let mut file = options.custom_flags(OFlag::O_TMPFILE.bits()).open(dir)?;
    file.try_lock().map_err(io::Error::from)?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

fn give_name(file: File, path: &Path) -> io::Result<File> {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    let follow = AtFlags::AT_SYMLINK_FOLLOW;
    linkat(AT_FDCWD, open.as_str(), AT_FDCWD, path, follow)?;
    Ok(file)
}

impl RunLock {
    /// Nothing of the run is left: forget it.
    pub(super) fn release(self) {
        // One that stays is forgotten by the next sweep.
        fs::remove_file(&self.path).unwrap_or(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_live_while_its_run_lock_is_held_and_dead_when_only_the_file_is_left() {
        let state = tempfile::tempdir().unwrap();
        let endpoint = |name: &str| Endpoint::Unix(name.into());
        let run_locks = RunLocks::new(state.path(), &endpoint("/one"));
        let run: RunId = "0123456789ab".parse().unwrap();
        let only = BTreeSet::from([run.clone()]);
        assert!(
            !run_locks.is_dead(&run) && !run_locks.is_live(&run),
            "unknown"
        );
        let run_lock = run_locks.acquire(&run).unwrap();
        assert!(!run_locks.is_dead(&run) && run_locks.is_live(&run), "lit");
        assert_eq!(run_locks.live(), only);
        run_lock.release();
        assert!(!run_locks.is_dead(&run), "given back");

        drop(run_locks.acquire(&run).unwrap());
        assert!(
            run_locks.is_dead(&run) && !run_locks.is_live(&run),
            "killed"
        );
        let elsewhere = RunLocks::new(state.path(), &endpoint("/two"));
        assert!(
            elsewhere.dead().is_empty(),
            "another engine's is not ours to forget"
        );
        assert_eq!(run_locks.dead(), only);
        let everywhere = RunLocks::everywhere(state.path());
        let [known] = everywhere.as_slice() else {
            panic!("{everywhere:?}")
        };
        assert_eq!((&known.run, known.lives), (&run, false));
        assert_eq!(known.endpoint, "unix:///one");
        run_locks.forget(&only);
        assert!(!run_locks.is_dead(&run));
    }

    /// A kill in that moment left a file `.new-…` for good.
    #[test]
    fn a_run_lock_that_is_not_lit_yet_is_nowhere_to_be_seen() {
        let state = tempfile::tempdir().unwrap();
        let file = unnamed(state.path(), "/one").unwrap();
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
        let path = state.path().join("0123456789ab");
        let held = give_name(file, &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "/one");
        assert!(File::open(&path).unwrap().try_lock_shared().is_err());
        drop(held);
    }

    #[test]
    fn a_pipe_is_nobodys_run_lock_and_is_not_waited_for() {
        let state = tempfile::tempdir().unwrap();
        let run_locks = RunLocks::new(state.path(), &Endpoint::Unix("/one".into()));
        let run: RunId = "0123456789ab".parse().unwrap();
        fs::create_dir(state.path().join("runs")).unwrap();
        let path = state.path().join("runs").join(run.as_str());
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(!run_locks.is_dead(&run) && !run_locks.is_live(&run));
        assert!(run_locks.dead().is_empty() && run_locks.live().is_empty());
    }
}
