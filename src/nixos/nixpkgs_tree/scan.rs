//! Hashing a tree by several threads: nixpkgs has 50,000 small files, and a disk that is asked for several of them at a time
//! answers sooner than for one after the other.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ignore::{DirEntry, WalkBuilder, WalkState};

use super::entry::{
    Entry, TreeHasher, TreeSummary, check_depth, is_executable, is_part, link_target, name_of,
    with_path,
};
use crate::common::cancel::Cancel;
use crate::common::hash::Hasher;
use crate::common::plain_file;

/// How many files are read at a time. It does not follow the processor's cores: the threads wait for the disk.
const READERS: usize = 8;

/// Hashes the directory `root` without `.git`.
pub(in crate::nixos) fn hash_tree(root: &Path, cancel: &Cancel) -> io::Result<TreeSummary> {
    let found = Mutex::new(Ok(Vec::new()));
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .threads(READERS)
        .filter_entry(|entry| is_part(entry.file_name()))
        .build_parallel();
    walk.run(|| {
        Box::new(|entry| {
            let read = read(root, entry, cancel);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            match (found.as_mut(), read) {
                (Ok(all), Ok(entry)) => {
                    all.extend(entry);
                    WalkState::Continue
                }
                (Ok(_), Err(error)) => {
                    *found = Err(error);
                    WalkState::Quit
                }
                (Err(_), _) => WalkState::Quit,
            }
        })
    });
    let found = found.into_inner();
    let mut entries: Vec<(String, Entry)> = found.unwrap_or_else(PoisonError::into_inner)?;
    // They come in any order; they are packed in that of the names in each directory.
    entries.sort_by(|(a, _), (b, _)| Path::new(a).cmp(Path::new(b)));
    let mut hash = TreeHasher::default();
    for (name, entry) in &entries {
        hash.add(name, *entry);
    }
    Ok(hash.finish())
}

/// The path of an entry below `root` and what it is; `None` for the root itself, and for what is not part of a source tree.
fn read(
    root: &Path,
    entry: Result<DirEntry, ignore::Error>,
    cancel: &Cancel,
) -> io::Result<Option<(String, Entry)>> {
    if cancel.is_cancelled() {
        return Err(io::Error::other("interrupted"));
    }
    let found = entry.map_err(io::Error::other)?;
    if found.depth() == 0 {
        return Ok(None);
    }
    let relative = found.path().strip_prefix(root).unwrap_or(found.path());
    let named = || {
        let name = name_of(relative)?.to_owned();
        Ok(describe(&found)?.map(|entry| (name, entry)))
    };
    named().map_err(|error| with_path(relative, &error))
}

fn describe(found: &DirEntry) -> io::Result<Option<Entry>> {
    let path = found.path();
    let Some(kind) = found.file_type() else {
        return Ok(None);
    };
    if kind.is_symlink() {
        Ok(Some(Entry::link(&link_target(path)?)))
    } else if kind.is_dir() {
        check_depth(found.depth())?;
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
