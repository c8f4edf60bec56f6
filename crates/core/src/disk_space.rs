//! Free space on a file system.

use std::path::Path;

use nix::unistd::geteuid;
use rustix::fs::{StatVfs, statvfs};

/// Bytes that this user can still write in `dir`; `None` when the file system does not report it.
pub fn free_space(dir: &Path) -> Option<u64> {
    if geteuid().is_root() {
        free_bytes(dir, |stat| stat.f_bfree)
    } else {
        free_space_for_users(dir)
    }
}

/// Bytes that a user who is not root can still write in `dir`, where a file system may keep some of its free space for root;
/// `None` when it does not report that.
pub fn free_space_for_users(dir: &Path) -> Option<u64> {
    free_bytes(dir, |stat| stat.f_bavail)
}

fn free_bytes(dir: &Path, blocks: impl Fn(&StatVfs) -> u64) -> Option<u64> {
    let stat = statvfs(dir).ok().filter(|stat| stat.f_blocks > 0)?;
    blocks(&stat).checked_mul(stat.f_frsize)
}
