//! The digests of trees that were read, in a file that may be removed at any time: to read the 53,000 files of a checkout of nixpkgs
//! takes a second or more, to look at their times a tenth. A damaged file counts as empty.
//!
//! As in the index of git, a tree counts as unchanged while inodes, sizes and times are those of then. It is remembered only on a
//! file system that keeps these times, and if no file was changed shortly before it was read, because a change within the same
//! tick of the clock could not be seen.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::{TreeFiles, TreeSummary};
use sdbuild_core::atomic_file;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::plain_file;
use sdbuild_core::private_dir;
use sdbuild_core::untrusted;

/// Trees that are remembered.
const MAX_TREES: usize = 20;
/// Bytes of the file that are read: an entry has some 200, and a path at most 4,096.
const MAX_FILE_BYTES: u64 = 256 << 10;

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Entry {
    root: PathBuf,
    /// Whether it is all that the directory has.
    is_whole: bool,
    stamp: Sha256Hash,
    digest: Sha256Hash,
    size: u64,
}

impl Entry {
    fn summary(&self) -> TreeSummary {
        TreeSummary {
            digest: self.digest,
            size: self.size,
        }
    }
}

/// The summary of `files`, out of the file `memory` if none of them has changed since it was written there.
pub(crate) fn summarize(
    files: &TreeFiles,
    memory: &Path,
    cancel: &Cancel,
) -> io::Result<TreeSummary> {
    if !keeps_change_times(&files.root) {
        return files.write_nar(io::sink(), cancel);
    }
    summarize_at(SystemTime::now(), files, memory, cancel)
}

/// The summary of all of the directory `root` as it was when the file `memory` was written; it may have changed since.
pub(crate) fn remembered(root: &Path, memory: &Path) -> Option<TreeSummary> {
    let root = root.canonicalize().ok()?;
    let entry = entries(memory)
        .into_iter()
        .find(|entry| entry.is_whole && entry.root == root)?;
    Some(entry.summary())
}

/// Forgets what the file `memory` has, because a tree was not what it says.
pub(crate) fn forget(memory: &Path) {
    // The next build reads the tree again, or fails as this one.
    fs::remove_file(memory).ok();
}

/// As [`summarize`], at the time `now`, on a file system that keeps the times of changes.
fn summarize_at(
    now: SystemTime,
    files: &TreeFiles,
    memory: &Path,
    cancel: &Cancel,
) -> io::Result<TreeSummary> {
    let root = files.root.canonicalize()?;
    let stamp = TreeStamp::of(files)?;
    let entries = entries(memory);
    let is_this = |entry: &&Entry| {
        entry.root == root && entry.is_whole == files.is_whole && entry.stamp == stamp.digest
    };
    if let Some(entry) = entries.iter().find(is_this) {
        return Ok(entry.summary());
    }
    let summary = files.write_nar(io::sink(), cancel)?;
    let is_unchanged = || TreeStamp::of(files).is_ok_and(|again| again == stamp);
    if stamp.sees_changes_after(now) && is_unchanged() {
        let new = Entry {
            root,
            is_whole: files.is_whole,
            stamp: stamp.digest,
            digest: summary.digest,
            size: summary.size,
        };
        // Without it the tree is read again the next time.
        note(memory, entries, new).ok();
    }
    Ok(summary)
}

fn entries(memory: &Path) -> Vec<Entry> {
    let text = plain_file::read_text(memory, MAX_FILE_BYTES).unwrap_or_default();
    untrusted::json(&text).unwrap_or_default()
}

fn note(memory: &Path, mut entries: Vec<Entry>, new: Entry) -> io::Result<()> {
    entries.retain(|entry| (&entry.root, entry.is_whole) != (&new.root, new.is_whole));
    entries.truncate(MAX_TREES - 1);
    entries.insert(0, new);
    private_dir::create(parent_dir(memory))?;
    atomic_file::replace(memory, &serde_json::to_string(&entries)?, 0o600)
}

/// Changes with the hash of the same files.
const FORMAT: u8 = 2;
/// How close to each other two changes may be to have the same time here: one tick of the clock, at most a hundredth of a second
/// on the file systems below, in times that are compared in whole seconds; the rest is margin.
const COARSEST_TIME: Duration = Duration::from_secs(2);
/// File systems of this machine that keep the time of the last change of each inode, which no program can set: their numbers in
/// statfs(2). Those of the network answer from caches, by another machine's clock; FUSE and FAT give a time that programs
/// set; tmpfs does not see what is written through a mapping.
const WITH_CHANGE_TIMES: [i64; 7] = [
    // ext2, ext3 and ext4.
    0xef53,
    // XFS.
    0x5846_5342,
    // Btrfs.
    0x9123_683e,
    // ZFS.
    0x2fc1_2fc1,
    // F2FS.
    0xf2f5_2010,
    // bcachefs.
    0xca45_1a4e,
    // overlayfs, as in containers.
    0x794c_7630,
];

/// A change of any file's content or mode changes this. The kernel delays the time of what a program writes through a mapping
/// until the page is written to the disk, for half a minute at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TreeStamp {
    /// SHA-256 of paths, devices, inodes, modes, sizes and times.
    digest: Sha256Hash,
    /// When the last change was, in whole seconds since 1970.
    newest: i64,
    /// Whether all files are on the device of the root.
    is_on_one_device: bool,
}

impl TreeStamp {
    /// The stamp of `files`.
    fn of(files: &TreeFiles) -> io::Result<Self> {
        let device = fs::metadata(&files.root)?.dev();
        let mut hash = Hasher::new();
        hash.update([FORMAT]);
        let (mut newest, mut is_on_one_device) = (0, true);
        for (name, metadata) in files.names.iter().zip(files.metadata()?) {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            is_on_one_device &= metadata.dev() == device;
            // A directory has nothing but its entries.
            if !metadata.is_dir() {
                add(&mut hash, &metadata);
                newest = newest.max(metadata.ctime());
            }
        }
        Ok(Self {
            digest: hash.finish().sha256,
            newest,
            is_on_one_device,
        })
    }

    /// Whether every change after `moment`, of files that this stamp sees, gives another stamp.
    fn sees_changes_after(&self, moment: SystemTime) -> bool {
        let since_1970 = moment.duration_since(SystemTime::UNIX_EPOCH);
        let limit = since_1970.unwrap_or_default().saturating_sub(COARSEST_TIME);
        let is_older = u64::try_from(self.newest).is_ok_and(|newest| newest < limit.as_secs());
        self.is_on_one_device && is_older
    }
}

/// Whether the file system of `root` keeps the times that a stamp depends on.
fn keeps_change_times(root: &Path) -> bool {
    let stat = rustix::fs::statfs(root);
    stat.is_ok_and(|stat| WITH_CHANGE_TIMES.contains(&stat.f_type))
}

fn add(hash: &mut Hasher, metadata: &Metadata) {
    hash.update(metadata.mode().to_le_bytes());
    for number in [metadata.dev(), metadata.ino(), metadata.size()] {
        hash.update(number.to_le_bytes());
    }
    for time in [
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ] {
        hash.update(time.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::time::Duration;

    use super::*;

    /// The size of the tree's NAR.
    const READ_SIZE: u64 = 656;
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

        fn files(&self) -> TreeFiles {
            TreeFiles::whole(self.dir.path(), &Cancel::new()).unwrap()
        }

        fn file(&self) -> PathBuf {
            self.dir.path().join("lib/default.nix")
        }

        fn summarize(&self, seconds_from_now: u64) -> TreeSummary {
            let now = SystemTime::now() + Duration::from_secs(seconds_from_now);
            summarize_at(now, &self.files(), &self.memory(), &Cancel::new()).unwrap()
        }

        /// Remembers the tree, with another size than it has.
        fn remember(&self) -> TreeSummary {
            let summary = self.summarize(60);
            let mut entries = entries(&self.memory());
            entries.first_mut().unwrap().size = REMEMBERED_SIZE;
            fs::write(self.memory(), serde_json::to_string(&entries).unwrap()).unwrap();
            summary
        }

        fn is_remembered(&self) -> bool {
            self.summarize(60).size == REMEMBERED_SIZE
        }
    }

    #[test]
    fn an_unchanged_tree_is_not_read_again() {
        let tree = Tree::new();
        let read = tree.remember();
        let remembered = tree.summarize(60);
        assert_eq!((read.size, remembered.size), (READ_SIZE, REMEMBERED_SIZE));
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
        let read = summarize(&tree.files(), &tree.memory(), &Cancel::new()).unwrap();
        let is_kept = keeps_change_times(tree.dir.path());
        assert_eq!(read.size == REMEMBERED_SIZE, is_kept);
        forget(&tree.memory());
        let read = summarize(&tree.files(), &tree.memory(), &Cancel::new()).unwrap();
        assert_eq!(read.size, READ_SIZE);
    }

    #[test]
    fn a_damaged_memory_counts_as_empty() {
        let tree = Tree::new();
        fs::write(tree.memory(), "{").unwrap();
        assert_eq!(tree.summarize(60).size, READ_SIZE);
        fs::remove_file(tree.memory()).unwrap();
        assert_eq!(tree.summarize(60).size, READ_SIZE);
        assert_eq!(entries(&tree.memory()).len(), 1);
    }

    #[test]
    fn the_last_trees_are_remembered() {
        let tree = Tree::new();
        for _ in 0..=MAX_TREES {
            let other = Tree::new();
            let now = SystemTime::now() + Duration::from_mins(1);
            summarize_at(now, &other.files(), &tree.memory(), &Cancel::new()).unwrap();
        }
        assert_eq!(entries(&tree.memory()).len(), MAX_TREES);
    }

    #[test]
    fn file_systems_of_the_kernel_have_no_change_times() {
        assert!(!keeps_change_times(Path::new("/proc")));
        assert!(!keeps_change_times(Path::new("/nowhere")));
    }
}
