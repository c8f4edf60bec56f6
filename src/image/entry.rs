//! What file systems of every kind report: their summary and the entries of their directories.

use serde::Serialize;

use super::error::Error;

/// Entries of one directory that are listed; a large store has a third of this.
pub(super) const MOST_ENTRIES: usize = 200_000;

/// What a file system says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `fat16`, `ext4`, …
    pub kind: String,
    /// Its label.
    pub label: Option<String>,
    /// Its UUID, or a FAT's serial number.
    pub uuid: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// What is free of it, in bytes.
    pub free: Option<u64>,
}

/// What an entry is.
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
    /// Its name, as wild as it is on the disk.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its length in bytes.
    pub size: u64,
    /// Where a link leads.
    pub target: Option<String>,
}

/// What receives a file's content, piece by piece; `false` when it wants no more.
pub type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<bool, Error>;

pub(super) fn not_found(path: &str) -> Error {
    Error::refused(format!("there is no {path}"))
}

pub(super) fn not_a_file(path: &str) -> Error {
    Error::refused(format!("{path} is not a regular file"))
}
