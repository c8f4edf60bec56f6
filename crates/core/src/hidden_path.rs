//! Hidden names of files that do not have their own yet, by which later runs find and remove what a killed one left.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::TempPath;

use super::atomic_file::HIDDEN_PREFIX;

/// Of files that were created with a name, and locked a moment later.
pub const NEW_SUFFIX: &str = ".new";
/// Random characters between the prefix and the suffix.
const RANDOM_CHARACTERS: usize = 12;

/// Calls `create` with hidden paths in `dir` until it finds one that is free.
pub fn at_hidden_path<T>(
    dir: &Path,
    suffix: &str,
    create: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(T, TempPath)> {
    let made = tempfile::Builder::new()
        .prefix(HIDDEN_PREFIX)
        .suffix(suffix)
        .rand_bytes(RANDOM_CHARACTERS)
        .make_in(dir, create)?;
    Ok(made.into_parts())
}

/// Whether `name` is a hidden one that ends in `suffix`.
pub fn is_hidden(name: &str, suffix: &str) -> bool {
    let random = name.strip_prefix(HIDDEN_PREFIX);
    let random = random.and_then(|name| name.strip_suffix(suffix));
    random.is_some_and(|random| {
        random.len() == RANDOM_CHARACTERS && random.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// Renames `from` to `to`, which must be free.
pub fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // This file system cannot promise it (NFS, FUSE). tempfile's `persist_noclobber` would need hard links, which not
        // all of these have: look first, which is right but for a race.
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_ok() => {
            Err(io::ErrorKind::AlreadyExists.into())
        }
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
        Err(error) => Err(error.into()),
    }
}
