//! Pipes in the place of files that git reads of itself. git opens these without checking what they are, and waits for ever.

use std::fs::{self, DirEntry};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::nixos::ignore_rules::repository_of_work_tree;
use sdbuild_core::failure::Failure;

const REPOSITORY: &str = ".git";
/// Files that git reads in every directory of a work tree.
const READ_BY_GIT: [&str; 4] = [".gitattributes", ".gitignore", ".gitmodules", REPOSITORY];

/// A usage error that names a pipe which git reads in the repository around `dir`. Ends without one when `stop` is cancelled.
pub(super) fn check(dir: &Path, stop: &CancellationToken) -> Result<(), Failure> {
    let top = dir.ancestors().find(|dir| dir.join(REPOSITORY).exists());
    let top = top.unwrap_or(dir);
    let linked = repository_of_work_tree(&top.join(REPOSITORY))?;
    let linked = linked.and_then(|dir| dir.canonicalize().ok());
    let in_repository = linked.and_then(|dir| find(&dir, stop, |_| true));
    let in_work_tree = || find(top, stop, is_read_by_git);
    match in_repository.or_else(in_work_tree) {
        None => Ok(()),
        Some(pipe) => Err(Failure::usage("it is a pipe")
            .context(format!("read {}", pipe.display()))
            .hint("git reads it, and would wait for ever: remove it")),
    }
}

/// Whether git reads `path`: a file of the repository itself, or one with a special name.
fn is_read_by_git(path: &Path) -> bool {
    let in_repository = path.components().any(|part| part.as_os_str() == REPOSITORY);
    let name = path.file_name();
    in_repository || name.is_some_and(|name| READ_BY_GIT.iter().any(|&special| name == special))
}

/// A pipe below `dir`, or a link to one, that `is_read` accepts. What cannot be read git leaves out too.
fn find(dir: &Path, stop: &CancellationToken, is_read: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if stop.is_cancelled() {
                return None;
            }
            let path = entry.path();
            if is_dir(&entry) {
                dirs.push(path);
            } else if is_read(&path) && is_pipe(&path) {
                return Some(path);
            }
        }
    }
    None
}

fn is_dir(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo())
}
