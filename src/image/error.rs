//! Why an image, or something on it, cannot be read.

use std::io;

use crate::common::failure::{Class, Failure};

/// What stood in the way. The object is named by whoever adds the context.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes contradict each other or end too early.
    #[error("{0}")]
    Damaged(String),
    /// What was asked for is not there, or is of another kind.
    #[error("{0}")]
    Refused(String),
    /// Sound, but made in a way that is not read here.
    #[error("{0}")]
    Unsupported(String),
    /// There is no room for the decompressed image.
    #[error("{0}")]
    Space(String),
    /// The machine failed to read or write.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The run was asked to stop.
    #[error("interrupted")]
    Interrupted,
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

    /// Whether the whole run ends here, whatever else could still be read.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Interrupted | Self::Space(_))
    }

    /// The failure of `operation`. An image is given by the user: a damaged one is a usage error.
    pub fn fail(self, operation: impl std::fmt::Display) -> Failure {
        let class = match &self {
            Self::Damaged(_) | Self::Refused(_) | Self::Unsupported(_) => Class::Usage,
            Self::Space(_) | Self::Io(_) => Class::Environment,
            Self::Interrupted => return Failure::interrupted(),
        };
        let hint = match &self {
            Self::Space(_) => Some("set XDG_CACHE_HOME to a directory with more space"),
            Self::Io(e) if e.kind() == io::ErrorKind::StorageFull => {
                Some("free some space there, or set XDG_CACHE_HOME to another directory")
            }
            Self::Damaged(_)
            | Self::Refused(_)
            | Self::Unsupported(_)
            | Self::Io(_)
            | Self::Interrupted => None,
        };
        let failure = Failure::new(class, self).context(operation);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
