//! A file that is being fetched.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::cache::{At, CacheError};
use super::pin::Sha256Hash;
use crate::common::plain_file;

/// A file that is being fetched, and the hash of what it holds so far.
pub(super) struct Partial {
    file: tokio::fs::File,
    pub(super) path: PathBuf,
    hasher: Sha256,
    len: u64,
    pub(super) net: Option<tempfile::TempPath>,
}

impl Partial {
    pub(super) async fn new(file: File, path: PathBuf) -> Result<Self, CacheError> {
        let at = path.clone();
        let hash = tokio::task::spawn_blocking(move || {
            let (hasher, len) = hash_all(&file)?;
            Ok((tokio::fs::File::from_std(file), hasher, len))
        });
        let (file, hasher, len) = hash
            .await
            .map_err(io::Error::other)
            .flatten()
            .at("read", &at)?;
        Ok(Self {
            file,
            path,
            hasher,
            len,
            net: None,
        })
    }

    /// How many bytes are there.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The hash of what is there.
    pub(super) fn hash(&self) -> Sha256Hash {
        Sha256Hash::finish(self.hasher.clone())
    }

    /// Appends `bytes`.
    pub(super) async fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.file.write_all(bytes).await.at("write", &self.path)?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
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
        self.hasher = Sha256::new();
        self.len = 0;
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

/// Hashes a file from its beginning.
pub(super) fn hash_all(mut file: &File) -> io::Result<(Sha256, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut len = 0;
    loop {
        let n = match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher, len)),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        hasher.update(buffer.get(..n).unwrap_or_default());
        len += n as u64;
    }
}
