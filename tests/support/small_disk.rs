//! Disks with little room.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory with little room; it goes with the value.
pub struct SmallDisk(pub PathBuf);

impl SmallDisk {
    /// Of `size`, or by what else the file system's options say.
    pub fn mount(dir: &Path, size: &str) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "small"])
            .arg(dir)
            .status();
        assert!(mounted.unwrap().success());
        Self(dir.to_owned())
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}
