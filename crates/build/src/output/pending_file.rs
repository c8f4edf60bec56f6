//! Files in the output directory that do not have their final name yet.
//!
//! A file is created without a name where the file system allows it (`O_TMPFILE`), so that the kernel frees it
//! however the process ends. It gets a hidden name, `.sdbuild-….part`, right before it is published, so
//! that publishing is nothing but renames; where there are no unnamed files it is called `.sdbuild-….new` from
//! the start. It stays locked as long as its process lives ([`locked_file`]). What a publication moves aside is
//! called `.sdbuild-….old`. [`sweep`] removes unlocked ones.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::unistd::{Gid, Uid, fchown};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::TempPath;

use sdbuild_core::hidden_path::{NEW_SUFFIX, at_hidden_path};
pub(super) use sdbuild_core::hidden_path::{is_hidden, rename_to_free};
use sdbuild_core::locked_file;

/// Of files that were locked before they got this name: unlocked ones are stale at once.
const PART_SUFFIX: &str = ".part";
/// Of files that a publication moved aside. They are not locked.
const OLD_SUFFIX: &str = ".old";
/// Each suffix, and for how many seconds after its last change an unlocked file is kept.
const SWEPT: [(&str, u64); 3] = [(PART_SUFFIX, 0), (NEW_SUFFIX, 60), (OLD_SUFFIX, 60)];
/// The mode of a file that everybody may read.
pub(super) const PUBLIC: u32 = 0o644;
/// The mode of a file that only its owner may read.
pub(super) const PRIVATE: u32 = 0o600;

/// A user and a group by number.
pub(super) type Owner = (u32, u32);

/// A file that is being written; it is removed when this value is dropped.
#[derive(Debug)]
pub(super) struct PendingFile {
    /// The hidden name, if it has one already. Removed before the file is closed and thereby unlocked.
    hidden: Option<TempPath>,
    file: File,
}

impl PendingFile {
    /// Creates a file in `dir` with `mode`, from which the user's umask is taken.
    pub(super) fn create(dir: &Path, mode: u32) -> io::Result<Self> {
        match locked_file::create_unnamed(dir, mode)? {
            Some(file) => Ok(Self { hidden: None, file }),
            None => Self::create_named(dir, mode),
        }
    }

    /// Creates a file in `dir` that has a hidden name from the start.
    fn create_named(dir: &Path, mode: u32) -> io::Result<Self> {
        let create = |path: &Path| locked_file::create_named(path, mode);
        let (file, path) = at_hidden_path(dir, NEW_SUFFIX, create)?;
        Ok(Self {
            hidden: Some(path),
            file,
        })
    }

    /// The file, open for reading and writing.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Changes the owner of the file.
    pub(super) fn set_owner(&self, (user, group): Owner) -> io::Result<()> {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        Ok(fchown(&self.file, Some(user), Some(group))?)
    }

    /// Flushes the file to disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives the file a hidden name in `dir`, the directory that it was created in.
    pub(super) fn into_hidden(self, dir: &Path) -> io::Result<HiddenFile> {
        self.into_hidden_as(dir, PART_SUFFIX)
    }

    /// As [`PendingFile::into_hidden`], for [`HiddenFile::replace`]: afterwards the replaced file has the hidden name,
    /// unlocked.
    pub(super) fn into_exchanged(self, dir: &Path) -> io::Result<HiddenFile> {
        self.into_hidden_as(dir, OLD_SUFFIX)
    }

    /// Gives the file a hidden name in `dir` that ends in `suffix`.
    pub(super) fn into_hidden_as(self, dir: &Path, suffix: &str) -> io::Result<HiddenFile> {
        let Self { hidden, file } = self;
        let ((), path) = at_hidden_path(dir, suffix, |path| match &hidden {
            None => locked_file::link(&file, path),
            Some(hidden) => rename_to_free(hidden, path),
        })?;
        Ok(HiddenFile { path, _file: file })
    }
}

/// A file under a hidden name; it is removed when this value is dropped.
#[derive(Debug)]
pub(super) struct HiddenFile {
    path: TempPath,
    /// Held for its lock.
    _file: File,
}

impl HiddenFile {
    /// Renames the file to `path`.
    ///
    /// # Errors
    ///
    /// Of kind [`io::ErrorKind::AlreadyExists`] if something has that name.
    pub(super) fn rename_to_free(self, path: &Path) -> io::Result<()> {
        rename_to_free(&self.path, path)
    }

    /// Renames the file to `path`, in place of what has that name.
    pub(super) fn rename_over(self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)
    }

    /// Gives the file the name of what is at `path`, in one step. Returns the hidden name that the replaced
    /// file has now, or `None` where the file system cannot exchange two names: then it is gone.
    pub(super) fn replace(self, path: &Path) -> io::Result<Option<TempPath>> {
        match renameat_with(CWD, &*self.path, CWD, path, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(Some(self.path)),
            Err(Errno::INVAL | Errno::NOSYS) => fs::rename(&self.path, path).map(|()| None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Renames what is at `path` to a hidden name, unlocked. Returns that name, whose file is removed when the
/// value is dropped.
///
/// # Errors
///
/// Of kind [`io::ErrorKind::NotFound`] if nothing is there.
pub(super) fn hide(dir: &Path, path: &Path) -> io::Result<TempPath> {
    let rename = |hidden: &Path| rename_to_free(path, hidden);
    at_hidden_path(dir, OLD_SUFFIX, rename).map(|((), hidden)| hidden)
}

/// Flushes the names in `dir` to disk. Some file systems cannot sync a directory, which is not an error.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir)?.sync_all() {
        Err(e) if e.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        result => result,
    }
}

/// Removes the hidden files that killed runs left in `dir`.
pub(super) fn sweep(dir: &Path) {
    for path in stale(dir, &SWEPT) {
        // The next run tries again.
        fs::remove_file(path).ok();
    }
}

/// The unfinished files that killed runs left in `dir`. What a publication moved aside is not among them: the next one may move it back.
pub(crate) fn unfinished(dir: &Path) -> Vec<PathBuf> {
    stale(dir, &SWEPT[..2])
}

/// The hidden files in `dir` with one of these suffixes that no process has locked, and that are as old as it says.
fn stale(dir: &Path, suffixes: &[(&str, u64)]) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let is_stale_entry = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let mut suffixes = suffixes.iter();
        let found =
            suffixes.find(|(suffix, _)| name.to_str().is_some_and(|name| is_hidden(name, suffix)));
        found.is_some_and(|(_, min_age)| is_stale(&entry.path(), *min_age).unwrap_or(false))
    };
    entries
        .filter(is_stale_entry)
        .map(|entry| entry.path())
        .collect()
}

/// Whether it is an unlocked file that was not changed for `min_age` seconds.
fn is_stale(path: &Path, min_age: u64) -> io::Result<bool> {
    let file = locked_file::open_stale(path)?;
    let changed = file.metadata()?.ctime();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_err(io::Error::other)?.as_secs();
    Ok(changed.unsigned_abs() + min_age <= now)
}

#[cfg(test)]
mod tests;
