//! The cache: files that are called by their SHA-256, and half-fetched ones beside them.
//!
//! Promises: an object appears whole or not at all; it is hashed again before each use; of two
//! processes that want the same object one fetches and the other waits. The lock is on the
//! half-fetched file itself, so nothing is left behind that would have to be removed. Never trusts
//! what it finds: a damaged object counts as missing and is replaced.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::partial::{Partial, open_part};
use super::pin::Pin;
use crate::common::hash::{Hashed, Sha256Hash, hash_reader};
use crate::common::plain_file;

/// How often a waiting process looks whether the other one is done.
const POLL: Duration = Duration::from_millis(100);
/// Directory of objects and half-fetched ones.
const OBJECTS: &str = "sha256";
/// Directory of notes.
const NOTES: &str = "notes";
/// Files that have no name yet begin with this.
const UNNAMED: &str = "new-";

/// Which step failed on which file.
#[derive(Debug, thiserror::Error)]
#[error("{verb} {}: {cause}", path.display())]
pub struct CacheError {
    verb: &'static str,
    path: PathBuf,
    cause: io::Error,
}

/// Adds step and file to an error of the operating system.
pub(super) trait At<T> {
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

/// A directory of ours; cheap to clone. While one is open nobody empties it.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    /// Holds a shared lock on the directory.
    _in_use: Arc<File>,
}

/// What is there under a hash.
#[derive(Debug, PartialEq, Eq)]
pub enum CacheLookup {
    /// The object, verified just now.
    Valid {
        /// Where.
        path: PathBuf,
        /// Its length in bytes.
        size: u64,
    },
    /// Nothing.
    Missing,
    /// Something else than the name says.
    Damaged,
}

/// The right to fetch an object, or the object if it is there by now.
pub(super) enum ClaimResult {
    Whole { path: PathBuf, size: u64 },
    Mine(Box<Partial>),
}

impl Cache {
    /// The cache in directory `root`, which is made if need be.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, CacheError> {
        let root = root.into();
        fs::create_dir_all(&root).at("make the cache directory", &root)?;
        // Emptying takes milliseconds, so waiting for it needs no token.
        let in_use = File::open(&root).and_then(|dir| dir.lock_shared().map(|()| dir));
        let cache = Self {
            _in_use: Arc::new(in_use.at("lock", &root)?),
            root,
        };
        for dir in [cache.objects(), cache.notes()] {
            fs::create_dir_all(&dir).at("make the cache directory", &dir)?;
        }
        Ok(cache)
    }

    /// The cache in directory `root` if it is there; nothing is made.
    pub fn look(root: impl Into<PathBuf>) -> Result<Option<Self>, CacheError> {
        let root = root.into();
        match File::open(&root).and_then(|dir| dir.lock_shared().map(|()| dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            in_use => Ok(Some(Self {
                _in_use: Arc::new(in_use.at("lock", &root)?),
                root,
            })),
        }
    }

    /// How many bytes of `pin` are still to be fetched, by the lengths of files alone.
    pub fn lacks(&self, pin: &Pin) -> u64 {
        let object = self.object(pin.sha256);
        let length = |path: &Path| fs::symlink_metadata(path).map_or(0, |meta| meta.len());
        if length(&object) == pin.size {
            return 0;
        }
        let part = length(&self.part(pin.sha256)).min(pin.size);
        pin.size - part
    }

    /// How many bytes of ours lie below `root`, open or not.
    pub fn usage(root: &Path) -> Result<u64, CacheError> {
        let sizes = own_files(root)?;
        Ok(sizes.iter().map(|(_, size)| size).sum())
    }

    /// Removes what is ours below `root` and nothing else, unless somebody has it open. Tells how many
    /// bytes that gave back.
    pub fn remove_all(root: &Path) -> Result<u64, CacheError> {
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
        for (path, size) in own_files(root)? {
            fs::remove_file(&path).at("remove", &path)?;
            freed += size;
        }
        for name in [OBJECTS, NOTES] {
            // Something foreign in it keeps it there.
            drop(fs::remove_dir(root.join(name)));
        }
        Ok(freed)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file without a name: it is gone with its last handle, however the process ends.
    pub fn temporary(&self) -> Result<File, CacheError> {
        tempfile::tempfile_in(&self.root).at("make a temporary file in", &self.root)
    }

    /// What was noted under `name`, if anything. A note is a hint, never a proof.
    pub fn note(&self, name: &str) -> Option<String> {
        const ENOUGH: u64 = 64 * 1024;
        plain_file::read_text(&self.notes().join(name), ENOUGH).ok()
    }

    /// Notes `text` under `name`, in place of what was there.
    pub fn set_note(&self, name: &str, text: &str) -> Result<(), CacheError> {
        let path = self.notes().join(name);
        let write = || -> io::Result<()> {
            let file = tempfile::Builder::new()
                .prefix(UNNAMED)
                .tempfile_in(self.notes())?;
            fs::write(file.path(), text)?;
            file.persist(&path)?;
            Ok(())
        };
        write().at("write", &path)
    }

    /// Looks for an object and hashes it again.
    pub async fn find(&self, hash: Sha256Hash) -> Result<CacheLookup, CacheError> {
        let path = self.object(hash);
        let at = path.clone();
        let look = tokio::task::spawn_blocking(move || match look(&path) {
            Ok(Some(Hashed { sha256, size })) if sha256 == hash => {
                Ok(CacheLookup::Valid { path, size })
            }
            // Unreadable is not ours to judge: the fetch replaces it, or says why it cannot.
            Ok(Some(_)) | Err(_) => Ok(CacheLookup::Damaged),
            Ok(None) => Ok(CacheLookup::Missing),
        });
        look.await.map_err(io::Error::other).at("read", &at)?
    }

    /// Waits until this process alone may fetch `hash`, or until another one has done so.
    /// `waits` is called once if there is another one.
    pub(super) async fn claim(
        &self,
        hash: Sha256Hash,
        waits: impl Fn(),
    ) -> Result<ClaimResult, CacheError> {
        let mut told = false;
        let part = self.part(hash);
        loop {
            if let CacheLookup::Valid { path, size } = self.find(hash).await? {
                return Ok(ClaimResult::Whole { path, size });
            }
            let file = open_part(&part).at("open", &part)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut told, true) {
                        waits();
                    }
                    tokio::time::sleep(POLL).await;
                    continue;
                }
                Err(TryLockError::Error(e)) => return Err(e).at("lock", &part),
            }
            // Between open and lock the other one may have finished it and moved it away.
            if !is_same(&file, &part) {
                continue;
            }
            if let CacheLookup::Valid { path, size } = self.find(hash).await? {
                fs::remove_file(&part).at("remove", &part)?;
                return Ok(ClaimResult::Whole { path, size });
            }
            return Partial::new(file, part)
                .await
                .map(|part| ClaimResult::Mine(Box::new(part)));
        }
    }

    /// A half-fetched file for something whose hash is not known yet; nobody else has it.
    pub(super) async fn unnamed(&self) -> Result<Partial, CacheError> {
        let dir = self.objects();
        let file = tempfile::Builder::new()
            .prefix(UNNAMED)
            .suffix(".part")
            .tempfile_in(&dir);
        let (file, path) = file.at("make a file in", &dir)?.into_parts();
        let mut partial = Partial::new(file, path.to_path_buf()).await?;
        partial.net = Some(path);
        Ok(partial)
    }

    /// Gives a verified file its name.
    pub(super) async fn keep(
        &self,
        mut part: Partial,
        hash: Sha256Hash,
    ) -> Result<PathBuf, CacheError> {
        let object = self.object(hash);
        part.sync().await?;
        let moved = fs::rename(&part.path, &object).or_else(|error| {
            if !object.is_dir() {
                return Err(error);
            }
            fs::remove_dir_all(&object)?;
            fs::rename(&part.path, &object)
        });
        moved.at("replace", &object)?;
        if let Some(net) = part.net.take() {
            // The name that it would remove is no longer there.
            drop(net);
        }
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
        self.objects().join(format!("{hash}.part"))
    }

    fn object(&self, hash: Sha256Hash) -> PathBuf {
        self.objects().join(hash.to_string())
    }
}

/// The files below `root` that a cache makes, with their sizes.
fn own_files(root: &Path) -> Result<Vec<(PathBuf, u64)>, CacheError> {
    let is_object = |name: &str| {
        let name = name.strip_suffix(".part").unwrap_or(name);
        name.parse::<Sha256Hash>().is_ok() || name.starts_with(UNNAMED)
    };
    let is_note = |name: &str| name.starts_with("image-") || name.starts_with(UNNAMED);
    let mut own = Vec::new();
    for (dir, is_own) in [
        (OBJECTS, &is_object as &dyn Fn(&str) -> bool),
        (NOTES, &is_note),
    ] {
        let dir = root.join(dir);
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

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

fn look(path: &Path) -> io::Result<Option<Hashed>> {
    let file = match plain_file::open_unlinked(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    hash_reader(&file).map(Some)
}
