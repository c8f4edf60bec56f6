//! The digests of trees that were read, in a file that may be removed at any time: to read the 53,000 files of a checkout of nixpkgs
//! takes a second or more, to look at their times a tenth. A damaged file counts as empty.
//!
//! As in the index of git, a tree counts as unchanged while inodes, sizes and times are those of then. It is remembered only on a
//! file system that keeps these times, and if no file was changed shortly before it was read, because a change within the same
//! tick of the clock could not be seen.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::entry::TreeSummary;
use super::scan::hash_tree;
use super::stamp::{TreeStamp, keeps_change_times};
use sdbuild_core::atomic_file;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::plain_file;
use sdbuild_core::private_dir;

/// Trees that are remembered.
const MAX_TREES: usize = 20;
/// Bytes of the file that are read: an entry has some 200, and a path at most 4,096.
const MAX_FILE_BYTES: u64 = 256 << 10;

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Entry {
    root: PathBuf,
    stamp: Sha256Hash,
    digest: Sha256Hash,
    archive_size: u64,
}

impl Entry {
    fn summary(&self) -> TreeSummary {
        TreeSummary {
            digest: self.digest,
            archive_size: self.archive_size,
        }
    }
}

/// The summary of the directory `root` without `.git`, out of the file `memory` if nothing in the directory has changed since it
/// was written there.
pub(in crate::nixos) fn summarize(
    root: &Path,
    memory: &Path,
    cancel: &Cancel,
) -> io::Result<TreeSummary> {
    if !keeps_change_times(root) {
        return hash_tree(root, cancel);
    }
    summarize_at(SystemTime::now(), root, memory, cancel)
}

/// The summary of the directory `root` as it was when the file `memory` was written; it may have changed since.
pub(in crate::nixos) fn remembered(root: &Path, memory: &Path) -> Option<TreeSummary> {
    let root = root.canonicalize().ok()?;
    let entry = entries(memory)
        .into_iter()
        .find(|entry| entry.root == root)?;
    Some(entry.summary())
}

/// Forgets what the file `memory` has, because a tree was not what it says.
pub(in crate::nixos) fn forget(memory: &Path) {
    // The next build reads the tree again, or fails as this one.
    fs::remove_file(memory).ok();
}

/// As [`summarize`], at the time `now`, on a file system that keeps the times of changes.
fn summarize_at(
    now: SystemTime,
    root: &Path,
    memory: &Path,
    cancel: &Cancel,
) -> io::Result<TreeSummary> {
    let root = root.canonicalize()?;
    let stamp = TreeStamp::of(&root, cancel)?;
    let entries = entries(memory);
    let is_this = |entry: &&Entry| entry.root == root && entry.stamp == stamp.digest;
    if let Some(entry) = entries.iter().find(is_this) {
        return Ok(entry.summary());
    }
    let summary = hash_tree(&root, cancel)?;
    let is_unchanged = || TreeStamp::of(&root, cancel).is_ok_and(|again| again == stamp);
    if stamp.sees_changes_after(now) && is_unchanged() {
        // Without it the tree is read again the next time.
        note(memory, entries, root, stamp, summary).ok();
    }
    Ok(summary)
}

fn entries(memory: &Path) -> Vec<Entry> {
    let text = plain_file::read_text(memory, MAX_FILE_BYTES).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn note(
    memory: &Path,
    mut entries: Vec<Entry>,
    root: PathBuf,
    stamp: TreeStamp,
    summary: TreeSummary,
) -> io::Result<()> {
    entries.retain(|entry| entry.root != root);
    entries.truncate(MAX_TREES - 1);
    let TreeSummary {
        digest,
        archive_size,
    } = summary;
    let stamp = stamp.digest;
    let entry = Entry {
        root,
        stamp,
        digest,
        archive_size,
    };
    entries.insert(0, entry);
    private_dir::create(parent_dir(memory))?;
    atomic_file::replace(memory, &serde_json::to_string(&entries)?, 0o600)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::time::Duration;

    use super::*;

    /// The size of the tree's archive: headers of two directories, a link and a file, its content, and the end.
    const READ_SIZE: u64 = 7 * 512;
    /// What no reading of a tree gives.
    const REMEMBERED_SIZE: u64 = 7_000;

    struct Tree {
        dir: tempfile::TempDir,
        state: tempfile::TempDir,
    }

    impl Tree {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("lib")).unwrap();
            fs::write(dir.path().join("lib/default.nix"), "{ }").unwrap();
            symlink("lib", dir.path().join("link")).unwrap();
            let state = tempfile::tempdir().unwrap();
            Self { dir, state }
        }

        fn memory(&self) -> PathBuf {
            self.state.path().join("nixpkgs.json")
        }

        fn file(&self) -> PathBuf {
            self.dir.path().join("lib/default.nix")
        }

        fn summarize(&self, seconds_from_now: u64) -> TreeSummary {
            let now = SystemTime::now() + Duration::from_secs(seconds_from_now);
            summarize_at(now, self.dir.path(), &self.memory(), &Cancel::new()).unwrap()
        }

        /// Remembers the tree, with another size than it has.
        fn remember(&self) -> TreeSummary {
            let summary = self.summarize(60);
            let mut entries = entries(&self.memory());
            entries.first_mut().unwrap().archive_size = REMEMBERED_SIZE;
            fs::write(self.memory(), serde_json::to_string(&entries).unwrap()).unwrap();
            summary
        }

        fn is_remembered(&self) -> bool {
            self.summarize(60).archive_size == REMEMBERED_SIZE
        }
    }

    #[test]
    fn an_unchanged_tree_is_not_read_again() {
        let tree = Tree::new();
        let read = tree.remember();
        let remembered = tree.summarize(60);
        assert_eq!(
            (read.archive_size, remembered.archive_size),
            (READ_SIZE, REMEMBERED_SIZE)
        );
        assert_eq!(read.digest, remembered.digest);
        fs::create_dir(tree.dir.path().join(".git")).unwrap();
        assert!(tree.is_remembered());
    }

    #[test]
    fn a_tree_is_remembered_as_it_was_read_last() {
        let tree = Tree::new();
        let as_read = || remembered(tree.dir.path(), &tree.memory());
        assert_eq!(as_read(), None);
        let read = tree.summarize(60);
        fs::write(tree.file(), "{ changed = true; }").unwrap();
        assert_eq!(as_read(), Some(read));
        assert_ne!(tree.summarize(60), read);
        let other = tempfile::tempdir().unwrap();
        assert_eq!(remembered(other.path(), &tree.memory()), None);
    }

    #[test]
    fn every_change_is_seen() {
        let time = |tree: &Tree| fs::metadata(tree.file()).unwrap().modified().unwrap();
        let changes: [fn(&Tree); 6] = [
            |tree| fs::write(tree.file(), "{a}").unwrap(),
            |tree| fs::set_permissions(tree.file(), fs::Permissions::from_mode(0o755)).unwrap(),
            |tree| fs::rename(tree.file(), tree.file().with_extension("old")).unwrap(),
            |tree| fs::create_dir(tree.dir.path().join("empty")).unwrap(),
            |tree| fs::write(tree.dir.path().join("new"), "").unwrap(),
            |tree| {
                fs::remove_file(tree.dir.path().join("link")).unwrap();
                symlink("bil", tree.dir.path().join("link")).unwrap();
            },
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let tree = Tree::new();
            tree.remember();
            let before = time(&tree);
            change(&tree);
            if let Ok(file) = File::options().write(true).open(tree.file()) {
                file.set_modified(before).unwrap();
            }
            assert!(!tree.is_remembered(), "change {number}");
        }
    }

    #[test]
    fn a_tree_that_was_just_changed_is_not_remembered() {
        let tree = Tree::new();
        tree.summarize(0);
        assert!(entries(&tree.memory()).is_empty());
        tree.summarize(60);
        assert_eq!(entries(&tree.memory()).len(), 1);
    }

    #[test]
    fn a_tree_is_read_where_times_of_changes_are_not_kept() {
        let tree = Tree::new();
        tree.remember();
        let read = summarize(tree.dir.path(), &tree.memory(), &Cancel::new()).unwrap();
        let is_kept = keeps_change_times(tree.dir.path());
        assert_eq!(read.archive_size == REMEMBERED_SIZE, is_kept);
        forget(&tree.memory());
        let read = summarize(tree.dir.path(), &tree.memory(), &Cancel::new()).unwrap();
        assert_eq!(read.archive_size, READ_SIZE);
    }

    #[test]
    fn a_damaged_memory_counts_as_empty() {
        let tree = Tree::new();
        fs::write(tree.memory(), "{").unwrap();
        assert_eq!(tree.summarize(60).archive_size, READ_SIZE);
        fs::remove_file(tree.memory()).unwrap();
        assert_eq!(tree.summarize(60).archive_size, READ_SIZE);
        assert_eq!(entries(&tree.memory()).len(), 1);
    }

    #[test]
    fn the_last_trees_are_remembered() {
        let tree = Tree::new();
        for _ in 0..=MAX_TREES {
            let other = Tree::new();
            let now = SystemTime::now() + Duration::from_secs(60);
            summarize_at(now, other.dir.path(), &tree.memory(), &Cancel::new()).unwrap();
        }
        assert_eq!(entries(&tree.memory()).len(), MAX_TREES);
    }
}
