//! Free space on a file system.

use std::path::Path;

use nix::unistd::geteuid;
use rustix::fs::statvfs;

/// Bytes that this user can still write in `dir`; `None` when the file system does not report it.
pub fn free_space(dir: &Path) -> Option<u64> {
    let stat = statvfs(dir).ok().filter(|stat| stat.f_blocks > 0)?;
    let blocks = if geteuid().is_root() {
        stat.f_bfree
    } else {
        stat.f_bavail
    };
    blocks.checked_mul(stat.f_frsize)
}
