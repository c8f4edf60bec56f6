//! How much a disk still takes.
//!
//! Part of the hall.

use std::path::Path;

use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;

/// Bytes that we may still write below `dir`; `None` where the file system does not say.
pub fn free_space(dir: &Path) -> Option<u64> {
    let stat = statvfs(dir).ok().filter(|stat| stat.blocks() > 0)?;
    let blocks = if geteuid().is_root() {
        stat.blocks_free()
    } else {
        stat.blocks_available()
    };
    blocks.checked_mul(stat.fragment_size())
}
