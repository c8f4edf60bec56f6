//! Files that their owner holds locked: a locked file means that its owner is alive.
//!
//! The kernel releases the lock however a process ends, so an unlocked file is stale, at once and without
//! doubt. A file is locked before it gets its name, so that it is never seen unlocked while its owner lives:
//! it is created without a name (`O_TMPFILE`) and linked. Where the file system has no such files it is
//! created under a temporary name and renamed by the caller (`super::atomic_file`).

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::linkat;

use super::plain_file;

/// The flag that creates a file without a name, which only Linux has.
#[cfg(target_os = "linux")]
const UNNAMED: Option<OFlag> = Some(OFlag::O_TMPFILE);
#[cfg(not(target_os = "linux"))]
const UNNAMED: Option<OFlag> = None;

/// What gives a file without a name one.
const OPEN_FILES: &str = "/proc/self/fd";

/// The owner of a file, by the file's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The file is locked.
    Alive,
    /// The file exists and is not locked.
    Gone,
    /// The path is not a plain file, or its file system has no locks.
    Unknown,
}

/// Creates a file without a name in `dir`, for reading and writing, and locks it where the file system has
/// locks. It vanishes with its last descriptor unless [`link`] gives it a name. `None` where the file system, or an old kernel, has no such
/// files, or nothing can give them a name.
pub fn create_unnamed(dir: &Path, mode: u32) -> io::Result<Option<File>> {
    let Some(flag) = UNNAMED.filter(|_| Path::new(OPEN_FILES).exists()) else {
        return Ok(None);
    };
    match read_write(mode).custom_flags(flag.bits()).open(dir) {
        // The last one is also that of a directory that is missing.
        Err(error) if lacks_unnamed_files(&error) && dir.is_dir() => Ok(None),
        opened => locked(opened?).map(Some),
    }
}

/// Creates `path`, which must not exist, for reading and writing, and locks it where the file system has
/// locks.
pub fn create_named(path: &Path, mode: u32) -> io::Result<File> {
    locked(read_write(mode).create_new(true).open(path)?)
}

/// Gives a file of [`create_unnamed`] the name `path`, which must not exist.
pub fn link(file: &File, path: &Path) -> io::Result<()> {
    let open = format!("{OPEN_FILES}/{}", file.as_raw_fd());
    let flags = AtFlags::AT_SYMLINK_FOLLOW;
    Ok(linkat(AT_FDCWD, open.as_str(), AT_FDCWD, path, flags)?)
}

/// Waits until no other process holds the directory `dir` locked, and locks it until the result is dropped. Where the file system does not
/// support locks, it does not wait.
pub async fn lock_directory(dir: &Path) -> io::Result<File> {
    /// Between two attempts: such a lock is never held for longer than it takes to write a file.
    const LOCK_PAUSE: Duration = Duration::from_millis(10);
    let open = File::open(dir)?;
    loop {
        match open.try_lock() {
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(TryLockError::Error(error)) if !lacks_locks(&error) => return Err(error),
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(open),
        }
    }
}

/// Looks at the lock of `path` without waiting; symbolic links are followed.
pub fn owner(path: &Path) -> Owner {
    let Ok(file) = plain_file::open(path) else {
        return Owner::Unknown;
    };
    // A shared lock, so that two processes that look at once do not take each other for the owner.
    match file.try_lock_shared() {
        Ok(()) => Owner::Gone,
        Err(TryLockError::WouldBlock) => Owner::Alive,
        Err(TryLockError::Error(_)) => Owner::Unknown,
    }
}

/// Opens `path`, which must be a plain file and no symbolic link, and locks it.
///
/// # Errors
///
/// Of kind [`io::ErrorKind::WouldBlock`] when its owner is alive.
pub fn open_stale(path: &Path) -> io::Result<File> {
    let file = plain_file::open_unlinked(path)?;
    file.try_lock()?;
    Ok(file)
}

/// Whether `error` is that of a file system, or an old kernel, without support for files without a name.
fn lacks_unnamed_files(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    // An old kernel takes the flags for an attempt to write to a directory.
    matches!(
        errno,
        Some(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL | Errno::ENOENT)
    )
}

/// Locks a file that was just created. A file system without locks is not an error: [`owner`] finds
/// [`Owner::Unknown`] there, and nothing is taken for stale.
fn locked(file: File) -> io::Result<File> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) if lacks_locks(&error) => Ok(file),
        Err(error) => Err(error.into()),
    }
}

/// Whether `error` is that of a file system without locks, for instance NFS without its lock service.
fn lacks_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(Errno::ENOLCK as i32)
}

fn read_write(mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(mode);
    options
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn unnamed_file_is_locked_before_it_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let file = create_unnamed(dir.path(), 0o600).unwrap().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let path = dir.path().join("name");
        link(&file, &path).unwrap();
        assert_eq!(owner(&path), Owner::Alive);
        let error = open_stale(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(file);
        assert_eq!(owner(&path), Owner::Gone);
        let stale = open_stale(&path).unwrap();
        assert_eq!(owner(&path), Owner::Alive, "now locked by this process");
        drop(stale);
    }

    #[test]
    fn named_file_must_be_new_and_is_locked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("name");
        let file = create_named(&path, 0o600).unwrap();
        assert_eq!(owner(&path), Owner::Alive);
        let error = create_named(&path, 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        drop(file);
        assert_eq!(owner(&path), Owner::Gone);
    }

    #[test]
    fn two_observers_do_not_see_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("name");
        fs::write(&path, "").unwrap();
        let observer = plain_file::open(&path).unwrap();
        observer.try_lock_shared().unwrap();
        assert_eq!(owner(&path), Owner::Gone);
    }

    #[test]
    fn owner_of_a_pipe_or_a_missing_file_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        assert_eq!(owner(&path), Owner::Unknown);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(owner(&path), Owner::Unknown);
        assert!(open_stale(&path).is_err());
    }

    #[test]
    fn refusals_of_a_file_system_are_recognised() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno as i32);
        assert!(lacks_unnamed_files(&error(Errno::EOPNOTSUPP)));
        assert!(lacks_unnamed_files(&error(Errno::EISDIR)));
        assert!(!lacks_unnamed_files(&error(Errno::ENOSPC)));
        assert!(lacks_locks(&error(Errno::ENOLCK)));
        assert!(!lacks_locks(&error(Errno::EACCES)));
    }
}
