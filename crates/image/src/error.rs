//! Why an image, or something on it, cannot be read.

use std::io;
use std::path::Path;

use sdbuild_core::compression::Compression;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::untrusted::Spent;

/// Why reading an image failed. The message does not name the image: the caller adds it as context.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image's structures contradict each other or end too early.
    #[error("{0}")]
    Damaged(String),
    /// The compressed data are damaged or incomplete.
    #[error("the {0} data are damaged: {1}")]
    DamagedData(Compression, io::Error),
    /// Decompressing needs more memory than the limit.
    #[error("it takes more than 80 MiB of memory to decompress")]
    MemoryLimit(Compression),
    /// What was requested does not exist or has another type.
    #[error("{0}")]
    Refused(String),
    /// Valid, but with a feature that is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// There is not enough disk space for the decompressed image.
    #[error("{0}")]
    Space(String),
    /// The system failed to read or write.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The run was cancelled.
    #[error("interrupted")]
    Interrupted,
}

impl From<Spent> for Error {
    fn from(spent: Spent) -> Self {
        match spent {
            Spent::Interrupted => Self::Interrupted,
            Spent::Exhausted => Self::damaged(spent.to_string()),
        }
    }
}

impl Error {
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    pub(super) fn refused(what: impl Into<String>) -> Self {
        Self::Refused(what.into())
    }

    pub(super) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    /// Whether nothing more can be read after this error, other parts of the image included.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Interrupted | Self::Space(_))
    }

    /// The failure of `operation`. The user chose the image: an image that cannot be used is a usage error.
    pub fn fail(self, operation: impl std::fmt::Display) -> Failure {
        let class = match &self {
            Self::Damaged(_)
            | Self::DamagedData(..)
            | Self::MemoryLimit(_)
            | Self::Refused(_)
            | Self::Unsupported(_) => Class::Usage,
            Self::Space(_) | Self::Io(_) => Class::Environment,
            Self::Interrupted => return Failure::interrupted(),
        };
        let hint = self.hint();
        let failure = Failure::new(class, self).context(operation);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// The failure of the operation `verb` on the file `path`, with what to do about a path that is no image.
    pub fn fail_on(self, verb: &str, path: &Path) -> Failure {
        let advice = advice(&self, path);
        let failure = self.fail(format!("{verb} {}", path.display()));
        match advice {
            Some(advice) => failure.hint(advice),
            None => failure,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::DamagedData(..) => {
                Some("the file is damaged or incomplete; copy, download or build it again".into())
            }
            Self::MemoryLimit(compression) => {
                Some(format!("decompress it with {compression} first"))
            }
            Self::Space(_) => Some("set XDG_CACHE_HOME to a directory with more space".into()),
            Self::Io(e) if e.kind() == io::ErrorKind::StorageFull => {
                Some("free some space there, or set XDG_CACHE_HOME to another directory".into())
            }
            Self::Damaged(_)
            | Self::Refused(_)
            | Self::Unsupported(_)
            | Self::Io(_)
            | Self::Interrupted => None,
        }
    }
}

/// What to do about an image that does not exist.
pub const NEWEST_IS_TAKEN: &str = "without any argument, the newest image here is taken";

/// What to do about `path`, which cannot be opened as an image because of `error`.
fn advice(error: &Error, path: &Path) -> Option<String> {
    let is_configuration = path.extension().is_some_and(|extension| extension == "nix");
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => path
            .starts_with("/dev")
            .then(|| "only root may read a whole disk; run the command with sudo".to_owned()),
        Error::Refused(_) if !path.exists() || path.is_dir() => Some(NEWEST_IS_TAKEN.to_owned()),
        Error::Refused(_) if is_configuration => {
            let path = quoted(&shown_path(path));
            Some(format!(
                "that is a configuration; `sdbuild build {path}` makes an image of it"
            ))
        }
        Error::Damaged(_)
        | Error::DamagedData(..)
        | Error::MemoryLimit(_)
        | Error::Refused(_)
        | Error::Unsupported(_)
        | Error::Space(_)
        | Error::Io(_)
        | Error::Interrupted => None,
    }
}
