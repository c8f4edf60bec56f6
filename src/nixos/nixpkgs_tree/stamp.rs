//! What the file system says of a tree without its files being read.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::walk::walk;
use crate::common::cancel::Cancel;
use crate::common::hash::{Hasher, Sha256Hash};

/// How coarse a file system's times may be: FAT's are two seconds, all others' less.
const COARSEST_TIME: Duration = Duration::from_secs(2);

/// A change of any file's content or mode changes this, because it changes the time of the last change of its inode, which no
/// program can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TreeStamp {
    /// SHA-256 of paths, inodes, modes, sizes and times.
    pub(super) digest: Sha256Hash,
    /// When the last change was, in whole seconds since 1970.
    newest: i64,
}

impl TreeStamp {
    /// The stamp of the directory `root` without `.git`.
    pub(super) fn of(root: &Path, cancel: &Cancel) -> io::Result<Self> {
        let read = |entry: &ignore::DirEntry| entry.metadata().map(Some).map_err(io::Error::other);
        let (mut hash, mut newest) = (Hasher::new(), 0);
        for (name, metadata) in walk(root, cancel, read)? {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            // A directory has nothing but its entries.
            if !metadata.is_dir() {
                add(&mut hash, &metadata);
                newest = newest.max(metadata.ctime());
            }
        }
        Ok(Self {
            digest: hash.finish().sha256,
            newest,
        })
    }

    /// Whether every change was so long before `moment` that one after it has another time.
    pub(super) fn is_older_than(&self, moment: SystemTime) -> bool {
        let since_1970 = moment.duration_since(SystemTime::UNIX_EPOCH);
        let limit = since_1970.unwrap_or_default().saturating_sub(COARSEST_TIME);
        u64::try_from(self.newest).is_ok_and(|newest| newest < limit.as_secs())
    }
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
