//! Hashing a tree.

use std::io;
use std::path::Path;

use ignore::DirEntry;

use super::entry::{Entry, TreeHasher, TreeSummary, is_executable, link_target};
use super::walk::walk;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::hash::Hasher;
use sdbuild_core::plain_file;

/// Hashes the directory `root` without `.git`.
pub(super) fn hash_tree(root: &Path, cancel: &Cancel) -> io::Result<TreeSummary> {
    let mut hash = TreeHasher::new();
    for (name, entry) in walk(root, cancel, describe)? {
        hash.add(&name, entry);
    }
    Ok(hash.finish())
}

/// What an entry is; `None` for what is not part of a source tree.
fn describe(found: &DirEntry) -> io::Result<Option<Entry>> {
    let path = found.path();
    let Some(kind) = found.file_type() else {
        return Ok(None);
    };
    if kind.is_symlink() {
        Ok(Some(Entry::link(&link_target(path)?)))
    } else if kind.is_dir() {
        Ok(Some(Entry::Directory))
    } else if kind.is_file() {
        let mut file = plain_file::open_unlinked(path)?;
        let executable = is_executable(&file.metadata()?);
        let mut hash = Hasher::new();
        io::copy(&mut file, &mut hash)?;
        let content = hash.finish();
        Ok(Some(Entry::File {
            executable,
            content,
        }))
    } else {
        // Sockets, pipes and devices are not part of a source tree.
        Ok(None)
    }
}
