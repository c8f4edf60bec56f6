//! What the file system says of a tree without its files being read.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::walk::walk;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::hash::{Hasher, Sha256Hash};

/// Changes with what [`super::hash_tree`] gives for the same files.
const FORMAT: u8 = 1;
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
pub(super) struct TreeStamp {
    /// SHA-256 of paths, devices, inodes, modes, sizes and times.
    pub(super) digest: Sha256Hash,
    /// When the last change was, in whole seconds since 1970.
    newest: i64,
    /// Whether all files are on the device of the root.
    is_on_one_device: bool,
}

impl TreeStamp {
    /// The stamp of the directory `root` without `.git`.
    pub(super) fn of(root: &Path, cancel: &Cancel) -> io::Result<Self> {
        let device = fs::metadata(root)?.dev();
        let mut hash = Hasher::new();
        hash.update([FORMAT]);
        let (mut newest, mut is_on_one_device) = (0, true);
        let read = |entry: &ignore::DirEntry| fs::symlink_metadata(entry.path()).map(Some);
        for (name, metadata) in walk(root, cancel, read)? {
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
    pub(super) fn sees_changes_after(&self, moment: SystemTime) -> bool {
        let since_1970 = moment.duration_since(SystemTime::UNIX_EPOCH);
        let limit = since_1970.unwrap_or_default().saturating_sub(COARSEST_TIME);
        let is_older = u64::try_from(self.newest).is_ok_and(|newest| newest < limit.as_secs());
        self.is_on_one_device && is_older
    }
}

/// Whether the file system of `root` keeps the times that a stamp depends on.
pub(super) fn keeps_change_times(root: &Path) -> bool {
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
    use super::*;

    #[test]
    fn file_systems_of_the_kernel_have_no_change_times() {
        assert!(!keeps_change_times(Path::new("/proc")));
        assert!(!keeps_change_times(Path::new("/nowhere")));
    }
}
