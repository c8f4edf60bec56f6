//! Errors of the cache's files.

use std::io;
use std::path::{Path, PathBuf};

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
