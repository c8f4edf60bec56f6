//! Why an image, or something on it, cannot be read.

use std::io;
use std::path::Path;

use crate::common::board::{BoardName, BoardQuery};
use crate::common::compression::Compression;
use crate::common::configuration_file::configuration_in;
use crate::common::failure::{Class, Failure};
use crate::common::image_name::{image_beside, is_image, newest_of};
use crate::common::shell_word::quoted;
use crate::common::shown_path::shown_path;

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

    /// The failure of the operation `verb` on the file `path`, with what to do where `path` is not an image at all.
    pub fn fail_on(self, verb: &str, path: &Path) -> Failure {
        self.fail_with_advice(format!("{verb} {}", path.display()), path)
    }

    /// The failure of `operation` on the file `path`, with what to do where `path` is not an image at all.
    pub fn fail_with_advice(self, operation: impl std::fmt::Display, path: &Path) -> Failure {
        let advice = if let Self::Io(error) = &self {
            of_unreadable_disk(error, path)
        } else {
            matches!(self, Self::Refused(_))
                .then(|| advice(path))
                .flatten()
        };
        let failure = self.fail(operation);
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

/// Whether `path` is a file that Nix reads, by its name.
pub fn is_configuration(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "nix")
}

/// What is said of a configuration of a flake in the place of an image, `.#pi`.
fn of_configuration(text: &str) -> Option<String> {
    let is_meant = text.contains('#') && !is_image(text);
    is_meant.then(|| {
        let text = quoted(text);
        format!("that is a configuration of a flake; `sdbuild build {text}` makes an image of it")
    })
}

/// What is said of a machine in the place of an image: `root@pi`, `pi.local`.
fn of_machine(text: &str) -> Option<String> {
    let is_host = text.contains('@')
        || Path::new(text)
            .extension()
            .is_some_and(|end| end == "local");
    let is_meant = is_host && !text.contains('/') && !is_image(text);
    is_meant.then(|| {
        "that is the name of a machine, but an image is a file. To log in to a running machine, use `ssh root@NAME`"
            .to_owned()
    })
}

/// What is said of a disk in the place of an image, where there is no such disk.
fn of_missing_disk(path: &Path) -> Option<String> {
    path.starts_with("/dev")
        .then(|| "there is no such disk; `lsblk` lists those of this machine".to_owned())
}

/// What is said of a disk that the user may not read.
fn of_unreadable_disk(error: &io::Error, path: &Path) -> Option<String> {
    let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
    let is_meant = is_denied && path.starts_with("/dev") && !nix::unistd::geteuid().is_root();
    is_meant.then(|| "only root may read a whole disk; run the command with sudo".to_owned())
}

/// What is said of an address in the place of an image.
pub fn advice_for_address(text: &str) -> Option<String> {
    let is_meant = ["http://", "https://"]
        .iter()
        .any(|start| text.starts_with(start));
    is_meant.then(|| format!("download the image first, with curl -LO {}", quoted(text)))
}

/// What is said of a board in the place of an image.
fn of_board(text: &str) -> Option<String> {
    let BoardName(board) = BoardQuery::certain(text)?;
    let name = board.name;
    Some(format!(
        "{name} is a board, but an image is a file; `sdbuild build --board {name}` makes one for it"
    ))
}

/// What is said of a directory in the place of an image, if it has images.
fn of_directory(path: &Path) -> Option<String> {
    let entries = path.read_dir().ok()?.flatten();
    let paths = entries.filter_map(|entry| entry.path().to_str().map(str::to_owned));
    let images: Vec<String> = paths.filter(|path| is_image(path)).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let newest = shown_path(Path::new(newest_of(&images)?));
    Some(format!(
        "give the image itself, such as {}",
        quoted(&newest)
    ))
}

/// What to do about a refused `path` that is missing, a directory, a configuration or a file beside an image.
fn advice(path: &Path) -> Option<String> {
    if !path.exists() {
        let text = path.to_string_lossy();
        let told = of_missing_disk(path)
            .or_else(|| of_configuration(&text))
            .or_else(|| of_machine(&text))
            .or_else(|| advice_for_address(&text))
            .or_else(|| of_board(&text));
        return Some(told.unwrap_or_else(|| NEWEST_IS_TAKEN.to_owned()));
    }
    if let Some(image) = image_beside(path) {
        let image = quoted(&shown_path(&image));
        return Some(format!("that is a file beside an image; name {image}"));
    }
    if let Some(told) = of_directory(path) {
        return Some(told);
    }
    let what = if configuration_in(path).is_some() {
        "the directory of a configuration"
    } else if is_configuration(path) {
        "a configuration"
    } else {
        return path.is_dir().then(|| NEWEST_IS_TAKEN.to_owned());
    };
    let path = quoted(&shown_path(path));
    Some(format!(
        "that is {what}; `sdbuild build {path}` makes an image of it"
    ))
}
