//! A walk over all entries of a tree by several threads: nixpkgs has 50,000 small files, and a disk that is asked for several of them
//! at a time answers sooner than for one after the other.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ignore::{DirEntry, WalkBuilder, WalkState};

use super::entry::{check_depth, is_part, name_of, with_path};
use sdbuild_core::cancel::Cancel;

/// How many entries are read at a time. It does not follow the processor's cores: the threads wait for the disk.
const READERS: usize = 8;

/// The entries below the directory `root`, which are refused below a depth of 256, without `.git`: the path of each, and what `read` gives for it; it leaves out those
/// for which that is `None`. They are in the order in which they are packed, that of the names in each directory.
pub(super) fn walk<T: Send>(
    root: &Path,
    cancel: &Cancel,
    read: impl Fn(&DirEntry) -> io::Result<Option<T>> + Sync,
) -> io::Result<Vec<(String, T)>> {
    let found = Mutex::new(Ok(Vec::new()));
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .threads(READERS)
        .filter_entry(|entry| is_part(entry.file_name()))
        .build_parallel();
    walk.run(|| {
        Box::new(|entry| {
            let read = read_entry(root, entry, cancel, &read);
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
    let mut entries: Vec<(String, T)> = found.unwrap_or_else(PoisonError::into_inner)?;
    entries.sort_by(|(a, _), (b, _)| Path::new(a).cmp(Path::new(b)));
    Ok(entries)
}

/// The path of an entry below `root` and what `read` gives for it; `None` for the root itself.
fn read_entry<T>(
    root: &Path,
    entry: Result<DirEntry, ignore::Error>,
    cancel: &Cancel,
    read: impl Fn(&DirEntry) -> io::Result<Option<T>>,
) -> io::Result<Option<(String, T)>> {
    if cancel.is_cancelled() {
        return Err(io::Error::other("interrupted"));
    }
    let found = entry.map_err(io::Error::other)?;
    if found.depth() == 0 {
        return Ok(None);
    }
    let relative = found.path().strip_prefix(root).unwrap_or(found.path());
    let named = || {
        if found.file_type().is_some_and(|kind| kind.is_dir()) {
            check_depth(found.depth())?;
        }
        let name = name_of(relative)?.to_owned();
        Ok(read(&found)?.map(|entry| (name, entry)))
    };
    named().map_err(|error| with_path(relative, &error))
}
