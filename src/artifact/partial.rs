//! A file that is being fetched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::cache::{At, CacheError};
use crate::common::hash::{Hashed, Hasher};
use crate::common::plain_file;

/// A file that is being fetched, and the hash of what it holds so far.
pub(super) struct Partial {
    file: tokio::fs::File,
    pub(super) path: PathBuf,
    hasher: Hasher,
    pub(super) net: Option<tempfile::TempPath>,
}

impl Partial {
    pub(super) async fn new(file: File, path: PathBuf) -> Result<Self, CacheError> {
        let at = path.clone();
        let hash = tokio::task::spawn_blocking(move || {
            let mut hasher = Hasher::new();
            hasher.read_to_end(&file)?;
            Ok((tokio::fs::File::from_std(file), hasher))
        });
        let (file, hasher) = hash
            .await
            .map_err(io::Error::other)
            .flatten()
            .at("read", &at)?;
        Ok(Self {
            file,
            path,
            hasher,
            net: None,
        })
    }

    /// How many bytes are there.
    pub(super) fn len(&self) -> u64 {
        self.hasher.size()
    }

    /// The hash and the length of what is there.
    pub(super) fn hashed(&self) -> Hashed {
        self.hasher.clone().finish()
    }

    /// Appends `bytes`.
    pub(super) async fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.file.write_all(bytes).await.at("write", &self.path)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Sees to it that everything is on the disk.
    pub(super) async fn sync(&mut self) -> Result<(), CacheError> {
        self.file.flush().await.at("write", &self.path)?;
        self.file.sync_all().await.at("write", &self.path)
    }

    /// Throws away what is there.
    pub(super) async fn restart(&mut self) -> Result<(), CacheError> {
        self.file.flush().await.at("write", &self.path)?;
        self.file.set_len(0).await.at("empty", &self.path)?;
        self.file.rewind().await.at("empty", &self.path)?;
        self.hasher = Hasher::new();
        Ok(())
    }
}

/// Opens a half-fetched file, or begins one.
pub(super) fn open_part(path: &Path) -> io::Result<File> {
    plain_file::create_unlinked(path).or_else(|error| {
        // Something that is no file lies in the way; it is in our directory, under our name. A link is
        // removed itself: what it leads to is not ours.
        let kind = match fs::symlink_metadata(path) {
            Ok(meta) if !meta.is_file() => meta.file_type(),
            // Nothing is in the way: the first error tells why, for instance a full disk.
            Ok(_) | Err(_) => return Err(error),
        };
        if kind.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
        plain_file::create_unlinked(path)
    })
}
