//! Directories for the time of a run, which a later run removes if the process was killed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;
use tempfile::TempDir;

use super::private_dir;

/// The prefix of the names of those in the cache directory.
pub const CACHE: &str = ".tmp-";
/// Of those for the sockets of the connections to boards, in the directory for temporary files.
pub const DEPLOY: &str = "sdbuild-deploy-";
/// Of those for the sockets of the connections to engines, there too.
pub const TUNNEL: &str = "sdbuild-ssh-";
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
        Self::create_in(parent, CACHE)
    }

    /// The same in the directory for temporary files.
    pub fn temporary(prefix: &str) -> io::Result<Self> {
        Self::create_in(&tempfile::env::temp_dir(), prefix)
    }

    /// No other program has directories in `parent` whose names begin with `prefix`.
    fn create_in(parent: &Path, prefix: &str) -> io::Result<Self> {
        for dir in stale(parent, prefix) {
            // What cannot be removed now is tried again by the next run.
            fs::remove_dir_all(dir).ok();
        }
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

/// The directories in `parent` whose names begin with `prefix`, which killed processes of this user left: no process has them locked.
pub fn stale(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let is_ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(prefix);
    let dirs = entries.filter(|entry| is_ours(entry) && is_stale(entry).unwrap_or(false));
    dirs.map(|entry| entry.path()).collect()
}

fn is_stale(entry: &fs::DirEntry) -> io::Result<bool> {
    // Does not follow links. What another user made is not even opened.
    let meta = entry.metadata()?;
    let age = meta.modified()?.elapsed().unwrap_or_default();
    let is_old = meta.is_dir() && meta.uid() == geteuid().as_raw() && age >= MIN_STALE_AGE;
    Ok(is_old && File::open(entry.path())?.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn make_old(dir: &Path) {
        let then = SystemTime::now() - MIN_STALE_AGE;
        File::open(dir).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn only_directories_of_killed_processes_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let live = ScratchDir::create(parent.path()).unwrap();
        let [killed, other] = [".tmp-killed", "sha256"].map(|name| parent.path().join(name));
        fs::create_dir_all(killed.join("repository")).unwrap();
        fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, parent.path().join(".tmp-link")).unwrap();
        for dir in [&other, live.path()] {
            make_old(dir);
        }
        let found = stale(parent.path(), CACHE);
        assert!(found.is_empty(), "it may be about to be locked: {found:?}");
        make_old(&killed);
        assert_eq!(stale(parent.path(), CACHE), std::slice::from_ref(&killed));
        if geteuid().is_root() {
            std::os::unix::fs::chown(&killed, Some(12_345), None).unwrap();
            assert!(stale(parent.path(), CACHE).is_empty(), "another user's");
            std::os::unix::fs::chown(&killed, Some(0), None).unwrap();
        }
        let next = ScratchDir::create(parent.path()).unwrap();
        assert!(!killed.exists() && other.exists() && live.path().exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }
}
