//! The cache: objects, which are files named by their SHA-256, and partly downloaded files beside them.
//!
//! An object appears whole or not at all, and is hashed again before each use; a damaged one is replaced. Of
//! two processes that need the same object one downloads it and the other waits. The lock is on the partly
//! downloaded file itself, so no lock files are left behind.
//!
//! cacache 13 was considered: it cannot resume a download, and has no claim between processes.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sdbuild_core::hash::{Hashed, Sha256Hash, hash_reader};
use sdbuild_core::plain_file;

use super::fetch::{PART_SUFFIX, Partial, open_part};
use super::pin::Pin;

const POLL_INTERVAL: Duration = Duration::from_millis(100);
const OBJECTS: &str = "sha256";
/// The longest note in bytes; the longest that is written has some hundred.
const MAX_NOTE_BYTES: u64 = 64 * 1024;
const NOTES: &str = "notes";
const UNNAMED_PREFIX: &str = "new-";

/// An open cache directory; cheap to clone. No process empties it while it is open.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    /// Holds a shared lock on the directory.
    _in_use: Arc<File>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum CacheLookup {
    Valid {
        path: PathBuf,
        size: u64,
    },
    Missing,
    /// A file with another hash than its name, or something that is not a file.
    Damaged,
}

/// The exclusive right to download an object, or the object if the cache has it by now.
pub(super) enum ClaimResult {
    Complete { path: PathBuf, size: u64 },
    Claimed(Box<Partial>),
}

impl Cache {
    /// Opens the cache in the directory `root`, which is created if it does not exist.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, CacheError> {
        let root = root.into();
        fs::create_dir_all(&root).at("create the cache directory", &root)?;
        // Emptying takes milliseconds, so waiting for that need not be cancellable.
        let cache = Self::of(root.clone(), open_shared(&root).at("lock", &root)?);
        for dir in [cache.objects(), cache.notes()] {
            fs::create_dir_all(&dir).at("create the cache directory", &dir)?;
        }
        Ok(cache)
    }

    /// Opens the cache in the directory `root` if it exists; creates nothing.
    pub fn open_existing(root: impl Into<PathBuf>) -> Result<Option<Self>, CacheError> {
        let root = root.into();
        match open_shared(&root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            in_use => Ok(Some(Self::of(root.clone(), in_use.at("lock", &root)?))),
        }
    }

    fn of(root: PathBuf, in_use: File) -> Self {
        Self {
            root,
            _in_use: Arc::new(in_use),
        }
    }

    /// How many bytes of `pin` are still to be downloaded. Looks at lengths only, not at content.
    pub fn missing_bytes(&self, pin: &Pin) -> u64 {
        let object = self.object(pin.sha256);
        let length = |path: &Path| fs::symlink_metadata(path).map_or(0, |meta| meta.len());
        if length(&object) == pin.size {
            return 0;
        }
        let part = length(&self.part(pin.sha256)).min(pin.size);
        pin.size - part
    }

    /// How many bytes of downloads a cache below `root` has, whether it is open or not.
    pub fn usage(root: &Path) -> Result<u64, CacheError> {
        let sizes = own_files(root, &[OBJECTS])?;
        Ok(sizes.iter().map(|(_, size)| size).sum())
    }

    /// Removes the files of a cache below `root`, and nothing else. Returns how many bytes they had.
    ///
    /// # Errors
    ///
    /// If another process has the cache open.
    pub fn remove_all(root: &Path) -> Result<u64, CacheError> {
        Self::remove(root, &[OBJECTS, NOTES])
    }

    /// The same for what was downloaded. The notes stay: by them the container images that an engine has are known to have the
    /// right content, and need no download.
    pub fn remove_objects(root: &Path) -> Result<u64, CacheError> {
        Self::remove(root, &[OBJECTS])
    }

    fn remove(root: &Path, directories: &[&str]) -> Result<u64, CacheError> {
        let dir = match File::open(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            dir => dir.at("open", root)?,
        };
        dir.try_lock()
            .map_err(|error| match error {
                TryLockError::Error(error) => error,
                TryLockError::WouldBlock => io::Error::other("another sdbuild uses it"),
            })
            .at("empty the cache directory", root)?;
        let mut freed = 0;
        for (path, size) in own_files(root, directories)? {
            fs::remove_file(&path).at("remove", &path)?;
            freed += size;
        }
        for name in directories {
            // It stays if it has files of others.
            fs::remove_dir(root.join(name)).ok();
        }
        Ok(freed)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file without a name, which the kernel frees however the process ends.
    pub fn temporary(&self) -> Result<File, CacheError> {
        tempfile::tempfile_in(&self.root).at("create a temporary file in", &self.root)
    }

    /// The note `name`, if there is one. Notes are hints and must not be trusted.
    pub fn note(&self, name: &str) -> Option<String> {
        plain_file::read_text(&self.notes().join(name), MAX_NOTE_BYTES).ok()
    }

    pub fn set_note(&self, name: &str, text: &str) -> Result<(), CacheError> {
        let path = self.notes().join(name);
        let write = || -> io::Result<()> {
            let file = tempfile::Builder::new()
                .prefix(UNNAMED_PREFIX)
                .tempfile_in(self.notes())?;
            fs::write(file.path(), text)?;
            file.persist(&path)?;
            Ok(())
        };
        write().at("write", &path)
    }

    pub async fn find(&self, hash: Sha256Hash) -> Result<CacheLookup, CacheError> {
        let path = self.object(hash);
        let at = path.clone();
        let lookup = tokio::task::spawn_blocking(move || match hash_file(&path) {
            Ok(Some(Hashed { sha256, size })) if sha256 == hash => {
                Ok(CacheLookup::Valid { path, size })
            }
            // An unreadable one is replaced by the download, which fails with a reason if that is impossible.
            Ok(Some(_)) | Err(_) => Ok(CacheLookup::Damaged),
            Ok(None) => Ok(CacheLookup::Missing),
        });
        lookup.await.map_err(io::Error::other).at("read", &at)?
    }

    /// Waits until no other process downloads `hash`, and claims it unless the other one has completed it.
    /// `on_wait` is called once if it has to wait.
    pub(super) async fn claim(
        &self,
        hash: Sha256Hash,
        on_wait: impl Fn(),
    ) -> Result<ClaimResult, CacheError> {
        let mut waited = false;
        let part = self.part(hash);
        loop {
            if let CacheLookup::Valid { path, size } = self.find(hash).await? {
                return Ok(ClaimResult::Complete { path, size });
            }
            let file = open_part(&part).at("open", &part)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut waited, true) {
                        on_wait();
                    }
                    tokio::time::sleep(POLL_INTERVAL).await;
                    continue;
                }
                Err(TryLockError::Error(e)) => return Err(e).at("lock", &part),
            }
            // Another process may have completed and renamed it between the opening and the locking.
            if !plain_file::is_at(&file, &part) {
                continue;
            }
            if let CacheLookup::Valid { path, size } = self.find(hash).await? {
                fs::remove_file(&part).at("remove", &part)?;
                return Ok(ClaimResult::Complete { path, size });
            }
            return Partial::resume(file, part)
                .await
                .map(|partial| ClaimResult::Claimed(Box::new(partial)));
        }
    }

    /// A new partly downloaded file for something whose hash is not known; no other process uses it.
    pub(super) fn unnamed(&self) -> Result<Partial, CacheError> {
        Partial::unnamed(&self.objects(), UNNAMED_PREFIX)
    }

    pub(super) async fn store(
        &self,
        part: Partial,
        hash: Sha256Hash,
    ) -> Result<PathBuf, CacheError> {
        let object = self.object(hash);
        part.move_to(&object).await?;
        let dir = self.objects();
        File::open(&dir)
            .and_then(|dir| dir.sync_all())
            .at("sync", &dir)?;
        Ok(object)
    }

    fn objects(&self) -> PathBuf {
        self.root.join(OBJECTS)
    }

    fn notes(&self) -> PathBuf {
        self.root.join(NOTES)
    }

    fn part(&self, hash: Sha256Hash) -> PathBuf {
        self.objects().join(format!("{hash}{PART_SUFFIX}"))
    }

    fn object(&self, hash: Sha256Hash) -> PathBuf {
        self.objects().join(hash.to_string())
    }
}

fn open_shared(root: &Path) -> io::Result<File> {
    let dir = File::open(root)?;
    dir.lock_shared()?;
    Ok(dir)
}

/// The files of a cache in those `directories` below `root`, with their sizes in bytes.
fn own_files(root: &Path, directories: &[&str]) -> Result<Vec<(PathBuf, u64)>, CacheError> {
    let is_object = |name: &str| {
        let name = name.strip_suffix(PART_SUFFIX).unwrap_or(name);
        name.parse::<Sha256Hash>().is_ok() || name.starts_with(UNNAMED_PREFIX)
    };
    let is_note = |name: &str| name.starts_with("image-") || name.starts_with(UNNAMED_PREFIX);
    let mut own = Vec::new();
    for name in directories {
        let is_own: &dyn Fn(&str) -> bool = if *name == NOTES { &is_note } else { &is_object };
        let dir = root.join(name);
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.at("read", &dir)?,
        };
        for entry in entries {
            let entry = entry.at("read", &dir)?;
            let meta = entry.metadata().at("read", &entry.path())?;
            if !meta.is_dir() && entry.file_name().to_str().is_some_and(is_own) {
                own.push((entry.path(), meta.len()));
            }
        }
    }
    Ok(own)
}

/// The hash and the length of the file at `path`, if it exists.
fn hash_file(path: &Path) -> io::Result<Option<Hashed>> {
    let file = match plain_file::open_unlinked(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    hash_reader(&file).map(Some)
}

/// A step that failed on a file of the cache.
#[derive(Debug, thiserror::Error)]
#[error("{verb} {}: {cause}", path.display())]
pub struct CacheError {
    verb: &'static str,
    path: PathBuf,
    cause: io::Error,
}

/// Adds the step and the file to an error of the operating system.
pub(super) trait At<T> {
    /// `verb` and `path` read as a sentence: "read" "/file".
    fn at(self, verb: &'static str, path: &Path) -> Result<T, CacheError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, verb: &'static str, path: &Path) -> Result<T, CacheError> {
        self.map_err(|cause| CacheError {
            verb,
            path: path.to_owned(),
            cause,
        })
    }
}
