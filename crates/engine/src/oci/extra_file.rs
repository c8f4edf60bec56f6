//! Files that are added to those of the packages. Pure.

use sdbuild_core::hash::Sha256Hash;

/// A file, directory or link that is added to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraFile {
    /// Its path, without a leading slash.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// The number of its user and its group.
    pub owner: u32,
    /// Content of the file.
    pub content: ExtraFileContent,
}

/// Content of an [`ExtraFile`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraFileContent {
    /// A directory.
    Dir,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link with this target.
    Symlink(String),
}

impl ExtraFile {
    /// A file that belongs to root.
    pub fn file(path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        let content = ExtraFileContent::File(bytes.into());
        Self {
            path: path.to_owned(),
            mode,
            owner: 0,
            content,
        }
    }

    /// What [`Definition::digest`](super::Definition::digest) hashes of it.
    pub(super) fn identity(&self) -> serde_json::Value {
        let content = match &self.content {
            ExtraFileContent::Dir => "directory".to_owned(),
            ExtraFileContent::File(bytes) => Sha256Hash::of(bytes).to_string(),
            ExtraFileContent::Symlink(target) => format!("to {target}"),
        };
        serde_json::json!([self.path, self.mode, self.owner, content])
    }

    pub(super) fn dir(path: &str, mode: u32, owner: u32) -> Self {
        Self {
            path: path.to_owned(),
            mode,
            owner,
            content: ExtraFileContent::Dir,
        }
    }

    pub(super) fn link(path: &str, target: &str) -> Self {
        let content = ExtraFileContent::Symlink(target.to_owned());
        Self {
            path: path.to_owned(),
            mode: 0o777,
            owner: 0,
            content,
        }
    }
}
