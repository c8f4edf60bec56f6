//! A file that is being downloaded.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::cache_error::{At, CacheError};
use sdbuild_core::hash::{Hashed, Hasher};
use sdbuild_core::plain_file;

/// A partly downloaded file, and the hash of its bytes so far.
pub(super) struct Partial {
    file: tokio::fs::File,
    path: PathBuf,
    hasher: Hasher,
    /// Removes the file when this value is dropped, if nothing can resume it.
    cleanup: Option<tempfile::TempPath>,
}

impl Partial {
    /// Hashes what `file`, which is at `path`, has already.
    pub(super) async fn resume(file: File, path: PathBuf) -> Result<Self, CacheError> {
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
            cleanup: None,
        })
    }

    /// A new file in `dir` for something whose hash is not known. It is removed with this value unless it is
    /// [moved](Self::move_to), since a later run could not know what it has to resume.
    pub(super) fn unnamed(dir: &Path, prefix: &str) -> Result<Self, CacheError> {
        let file = tempfile::Builder::new()
            .prefix(prefix)
            .suffix(PART_SUFFIX)
            .tempfile_in(dir);
        let (file, path) = file.at("create a file in", dir)?.into_parts();
        Ok(Self {
            file: tokio::fs::File::from_std(file),
            path: path.to_path_buf(),
            hasher: Hasher::new(),
            cleanup: Some(path),
        })
    }

    /// How many bytes the file has.
    pub(super) fn len(&self) -> u64 {
        self.hasher.size()
    }

    /// The hash and the length of the file.
    pub(super) fn hashed(&self) -> Hashed {
        self.hasher.clone().finish()
    }

    /// Appends `bytes`.
    pub(super) async fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.file.write_all(bytes).await.at("write", &self.path)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Flushes the file to disk and renames it to `object`, over whatever has that name.
    pub(super) async fn move_to(mut self, object: &Path) -> Result<(), CacheError> {
        self.sync().await?;
        let renamed = fs::rename(&self.path, object).or_else(|error| {
            if !object.is_dir() {
                return Err(error);
            }
            fs::remove_dir_all(object)?;
            fs::rename(&self.path, object)
        });
        renamed.at("replace", object)?;
        if let Some(cleanup) = self.cleanup.take() {
            // There is nothing left under the old name.
            cleanup.keep().ok();
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), CacheError> {
        self.file.flush().await.at("write", &self.path)?;
        self.file.sync_all().await.at("write", &self.path)
    }

    /// Discards all bytes.
    pub(super) async fn restart(&mut self) -> Result<(), CacheError> {
        self.file.flush().await.at("write", &self.path)?;
        self.file.set_len(0).await.at("empty", &self.path)?;
        self.file.rewind().await.at("empty", &self.path)?;
        self.hasher = Hasher::new();
        Ok(())
    }
}

/// The suffix of the names of partly downloaded files.
pub(super) const PART_SUFFIX: &str = ".part";

/// Opens the partly downloaded file at `path`, or creates it.
pub(super) fn open_part(path: &Path) -> io::Result<File> {
    plain_file::create_unlinked(path).or_else(|error| {
        // Something else than a file has the name, which is ours, in our directory. Of a link only the link is
        // removed.
        let kind = match fs::symlink_metadata(path) {
            Ok(meta) if !meta.is_file() => meta.file_type(),
            // It is a file or there is nothing: the first error says why, for instance a full disk.
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
