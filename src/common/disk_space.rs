//! Free space on a file system.

use std::path::Path;

use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;

/// Bytes that this user can still write in `dir`; `None` when the file system does not report it.
pub fn free_space(dir: &Path) -> Option<u64> {
    let stat = statvfs(dir).ok().filter(|stat| stat.blocks() > 0)?;
    let blocks = if geteuid().is_root() {
        stat.blocks_free()
    } else {
        stat.blocks_available()
    };
    blocks.checked_mul(stat.fragment_size())
}
