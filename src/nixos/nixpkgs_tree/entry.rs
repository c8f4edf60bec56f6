//! What a tree consists of, and the digest of it.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::nixos::tar_writer::{END_SIZE, entry_size};
use sdbuild_core::hash::{Hashed, Hasher, Sha256Hash};

/// Depth of nested directories; nixpkgs has about ten levels. Packing is recursive, so the stack limits it.
pub(super) const MAX_DEPTH: usize = 256;

/// The directory that holds the tree in its archive.
pub(super) const ARCHIVE_ROOT: &str = "nixpkgs";

/// Digest of a directory, and the size of its archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::nixos) struct TreeSummary {
    /// SHA-256 of paths, modes and contents.
    pub(in crate::nixos) digest: Sha256Hash,
    /// Bytes of the archive that [`super::pack_tree`] writes, at most.
    pub(in crate::nixos) archive_size: u64,
}

/// One entry of a tree with its content.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    Directory,
    /// A symbolic link: the hash of its target.
    Link(Hashed),
    File {
        executable: bool,
        content: Hashed,
    },
}

impl Entry {
    /// A symbolic link to `target`.
    pub(super) fn link(target: &str) -> Self {
        let mut hash = Hasher::new();
        hash.update(target);
        Self::Link(hash.finish())
    }
}

/// Puts the digest of a tree together, in the order of the names in each directory.
#[derive(Debug)]
pub(super) struct TreeHasher {
    hash: Hasher,
    archive_size: u64,
}

impl TreeHasher {
    /// The digest of an empty tree.
    pub(super) fn new() -> Self {
        Self {
            hash: Hasher::new(),
            // A directory's path ends with a slash in an archive.
            archive_size: entry_size(ARCHIVE_ROOT.len() as u64 + 1, 0, 0) + END_SIZE,
        }
    }

    /// Appends the entry with the path `name`. The lengths make the hashed bytes unambiguous.
    pub(super) fn add(&mut self, name: &str, entry: Entry) {
        // Below the root, after a slash.
        let path = (ARCHIVE_ROOT.len() + 1 + name.len()) as u64;
        self.archive_size += match entry {
            Entry::Directory => entry_size(path + 1, 0, 0),
            Entry::Link(target) => entry_size(path, target.size, 0),
            Entry::File { content, .. } => entry_size(path, 0, content.size),
        };
        let (kind, content) = match entry {
            Entry::Directory => (b'd', None),
            Entry::Link(target) => (b'l', Some(target)),
            Entry::File {
                executable,
                content,
            } => (if executable { b'x' } else { b'f' }, Some(content)),
        };
        self.hash.update([kind]);
        self.hash.update((name.len() as u64).to_le_bytes());
        self.hash.update(name);
        if let Some(Hashed { sha256, size }) = content {
            self.hash.update(size.to_le_bytes());
            self.hash.update(<[u8; 32]>::from(sha256));
        }
    }

    pub(super) fn finish(self) -> TreeSummary {
        TreeSummary {
            digest: self.hash.finish().sha256,
            archive_size: self.archive_size,
        }
    }
}

/// Whether an entry of this name belongs to the tree.
pub(super) fn is_part(name: &OsStr) -> bool {
    name != ".git"
}

pub(super) fn is_executable(file: &Metadata) -> bool {
    file.mode() & 0o100 != 0
}

/// The path below the root as text.
pub(super) fn name_of(relative: &Path) -> io::Result<&str> {
    let name = relative.to_str();
    name.ok_or_else(|| io::Error::other("the name is not UTF-8"))
}

/// Where the symbolic link `path` leads to.
pub(super) fn link_target(path: &Path) -> io::Result<String> {
    let target = fs::read_link(path)?.into_os_string().into_string();
    target.map_err(|_| io::Error::other("the target is not UTF-8"))
}

/// An error when a directory with this many components is too deep.
pub(super) fn check_depth(components: usize) -> io::Result<()> {
    if components > MAX_DEPTH {
        let text = format!("directories are nested more than {MAX_DEPTH} levels deep");
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// `error` with the path of the entry, unless an inner directory has added it.
pub(super) fn with_path(relative: &Path, error: &io::Error) -> io::Error {
    let text = error.to_string();
    let name = relative.display().to_string();
    let text = if text.starts_with(&name) {
        text
    } else {
        format!("{name}: {text}")
    };
    io::Error::new(error.kind(), text)
}
