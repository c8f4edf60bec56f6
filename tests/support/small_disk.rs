//! Small file systems, to be filled up.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted small file system, which is unmounted when the value is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts a tmpfs with `size=` and further options of the file system.
    pub fn mount(dir: &Path, size: &str) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "small"])
            .arg(dir)
            .status();
        assert!(mounted.unwrap().success());
        Self(dir.to_owned())
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}
