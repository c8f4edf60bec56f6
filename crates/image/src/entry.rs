//! What all kinds of file systems report: a summary, and the entries of directories.

use serde::Serialize;

use super::error::Error;

/// Entries of one directory that are listed; a large Nix store has a third of this.
pub(super) const MAX_DIR_ENTRIES: usize = 200_000;

/// Facts about a file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `fat16`, `ext4`, …
    pub kind: String,
    /// The label.
    pub label: Option<String>,
    /// The UUID, or the serial number of a FAT.
    pub uuid: Option<String>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The free space in bytes.
    pub free: Option<u64>,
}

/// The type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory; `folder` in the JSON of `inspect ls`, as since 0.1.
    #[serde(rename = "folder")]
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a pipe or a socket.
    Special,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The name as it is on the disk, with any characters.
    pub name: String,
    /// The type.
    pub kind: EntryKind,
    /// The length in bytes.
    pub size: u64,
    /// The target of a symbolic link.
    pub target: Option<String>,
}

/// Receives the content of a file, piece by piece; returns `false` to stop.
pub type ContentSink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<bool, Error>;

pub(super) fn not_found(path: &str) -> Error {
    Error::refused(format!("there is no {path}"))
}

pub(super) fn not_a_file(path: &str) -> Error {
    Error::refused(format!("{path} is not a regular file"))
}
