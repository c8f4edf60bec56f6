//! A sign of life for each run: a file that its process holds locked. The kernel lets go of the lock
//! however the process ends, so an unlocked file tells of a dead run, with no doubt and no delay.
//!
//! Runs of other people and other machines have no file here; what belongs to those is judged by
//! their containers.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::RunId;
use crate::failure::{Failure, OrFail as _};

/// This run's own sign of life. When the value goes without [`Beacon::put_out`] the file stays, unlocked:
/// whatever the run left behind is a dead run's.
#[derive(Debug)]
#[must_use = "without it the run counts as dead"]
pub(super) struct Beacon {
    path: PathBuf,
    // Held for its lock.
    _file: File,
}

/// The signs of life in one state folder.
#[derive(Clone, Debug)]
pub(super) struct Beacons {
    folder: PathBuf,
}

impl Beacons {
    /// Those below `state_dir`.
    pub(super) fn new(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("runs"),
        }
    }

    /// Lights the beacon of `run`.
    pub(super) fn light(&self, run: &RunId) -> Result<Beacon, Failure> {
        let path = self.folder.join(run.as_str());
        let light = || {
            fs::create_dir_all(&self.folder)?;
            // Locked before it has its name: nobody ever sees it unlocked while we live.
            let file = tempfile::Builder::new()
                .prefix(".new-")
                .tempfile_in(&self.folder)?;
            file.as_file().try_lock().map_err(io::Error::from)?;
            file.persist(&path).map_err(|e| e.error)
        };
        let file = light().or_environment(format!("write {}", path.display()))?;
        Ok(Beacon { path, _file: file })
    }

    /// Whether `run` was one of ours and its process is gone.
    pub(super) fn is_dead(&self, run: &RunId) -> bool {
        let Ok(file) = File::open(self.folder.join(run.as_str())) else {
            return false;
        };
        matches!(file.try_lock(), Ok(()))
    }

    /// Whether `run` is one of ours and its process lives.
    pub(super) fn is_live(&self, run: &RunId) -> bool {
        let Ok(file) = File::open(self.folder.join(run.as_str())) else {
            return false;
        };
        matches!(file.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// Forgets the runs in `gone`: nothing of theirs is left.
    pub(super) fn forget(&self, gone: impl Fn(&RunId) -> bool) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let run = name.to_str().and_then(|name| name.parse().ok());
            if run.is_some_and(|run| self.is_dead(&run) && gone(&run)) {
                // One that stays is forgotten next time.
                fs::remove_file(entry.path()).unwrap_or(());
            }
        }
    }
}

impl Beacon {
    /// Nothing of the run is left: forget it.
    pub(super) fn put_out(self) {
        // One that stays is forgotten by the next sweep.
        fs::remove_file(&self.path).unwrap_or(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_live_while_its_beacon_is_held_and_dead_when_only_the_file_is_left() {
        let state = tempfile::tempdir().unwrap();
        let beacons = Beacons::new(state.path());
        let run: RunId = "0123456789ab".parse().unwrap();
        assert!(!beacons.is_dead(&run) && !beacons.is_live(&run), "unknown");
        let beacon = beacons.light(&run).unwrap();
        assert!(!beacons.is_dead(&run) && beacons.is_live(&run), "lit");
        beacon.put_out();
        assert!(!beacons.is_dead(&run), "given back");
        drop(beacons.light(&run).unwrap());
        assert!(beacons.is_dead(&run), "left behind");

        fs::write(state.path().join("runs/0123456789ab"), "").unwrap();
        assert!(beacons.is_dead(&run) && !beacons.is_live(&run), "killed");
        beacons.forget(|_| false);
        assert!(beacons.is_dead(&run));
        beacons.forget(|_| true);
        assert!(!beacons.is_dead(&run));
    }
}
