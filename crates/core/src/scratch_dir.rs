//! Directories for the time of a run, which a later run removes if the process was killed.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::private_dir;

/// The prefix of their names.
const PREFIX: &str = ".tmp-";
/// A directory that is younger than this may not be locked yet.
const MIN_STALE_AGE: Duration = Duration::from_mins(1);

/// A directory that is removed when the value is dropped. Only this user may look into it.
#[derive(Debug)]
pub struct ScratchDir {
    dir: TempDir,
    /// Holds a lock on the directory, which the kernel releases however the process ends.
    _lock: File,
}

impl ScratchDir {
    /// Creates a directory in `parent`, which is created if it does not exist, and removes those of killed processes there.
    pub fn create(parent: &Path) -> io::Result<Self> {
        private_dir::create(parent)?;
        Self::create_in(parent, PREFIX)
    }

    /// The same in a directory of the user's, which is there. No other program has directories there whose names begin with `prefix`.
    pub fn create_in(parent: &Path, prefix: &str) -> io::Result<Self> {
        remove_stale(parent, prefix, MIN_STALE_AGE);
        let dir = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
        let lock = File::open(dir.path())?;
        // A file system without locks: another process may take the directory for a stale one only after a minute.
        lock.try_lock().ok();
        Ok(Self { dir, _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes the directories in `parent` that no process has locked and that are older than `min_age`.
fn remove_stale(parent: &Path, prefix: &str, min_age: Duration) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let is_ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(prefix);
    for entry in entries.filter(is_ours) {
        if is_stale(&entry, min_age) {
            // What cannot be removed now is tried again by the next run.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

fn is_stale(entry: &fs::DirEntry, min_age: Duration) -> bool {
    let old = || -> io::Result<bool> {
        let meta = entry.metadata()?;
        let age = meta.modified()?.elapsed().unwrap_or_default();
        Ok(meta.is_dir() && age >= min_age && File::open(entry.path())?.try_lock().is_ok())
    };
    old().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_killed_processes_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let live = ScratchDir::create(parent.path()).unwrap();
        let stale = parent.path().join(".tmp-killed");
        fs::create_dir_all(stale.join("repository")).unwrap();
        let other = parent.path().join("sha256");
        fs::create_dir(&other).unwrap();
        remove_stale(parent.path(), PREFIX, MIN_STALE_AGE);
        assert!(stale.exists(), "it may be about to be locked");
        remove_stale(parent.path(), PREFIX, Duration::ZERO);
        assert!(!stale.exists() && other.exists() && live.path().exists());
        let path = live.path().to_owned();
        drop(live);
        assert!(!path.exists());
    }
}
