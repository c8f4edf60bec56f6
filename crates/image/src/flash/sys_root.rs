//! The files by which the kernel and udev describe a machine: `sys`, `proc`, `dev` and `run/udev` below a
//! root directory. Tests use recorded files of other machines.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sdbuild_core::plain_file;

/// Bytes of the largest file that is read: mountinfo of a machine with thousands of containers has a few MB.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The root directory of the files.
#[derive(Clone, Debug)]
pub struct SysRoot {
    root: PathBuf,
}

impl SysRoot {
    /// The machine that sdbuild runs on.
    pub fn here() -> Self {
        Self::at(Path::new("/"))
    }

    /// The machine whose files are below `root`.
    pub fn at(root: &Path) -> Self {
        let root = root.to_owned();
        Self { root }
    }

    /// `path` below the root; it may begin with a slash.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The content of a file without surrounding white space; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn read(&self, path: &str) -> io::Result<String> {
        let bytes = plain_file::read(&self.path(path), MAX_FILE_BYTES)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// What [`Self::read`] returns, if that is no error: most attributes exist for some devices only.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.read(path).ok()
    }

    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// The sorted names in a directory; none when it does not exist.
    pub(super) fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).into_iter().flatten();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
        let mut names: Vec<_> = entries.flatten().filter_map(name).collect();
        names.sort();
        names
    }

    /// Whether there is a block device with that name.
    pub(super) fn is_block(&self, name: &str) -> bool {
        !name.is_empty() && !name.contains('/') && self.path(&block_dir(name)).exists()
    }

    /// The name of the block device with that number (`8:1`).
    pub(super) fn device_name(&self, number: &str) -> Option<String> {
        let found = fs::canonicalize(self.path(&format!("sys/dev/block/{number}"))).ok()?;
        Some(found.file_name()?.to_str()?.to_owned())
    }

    /// The device's path in sysfs, which begins with its bus and controller; empty for an unknown one.
    pub(super) fn device_path(&self, name: &str) -> String {
        let found = fs::canonicalize(self.path(&block_dir(name))).unwrap_or_default();
        let root = fs::canonicalize(&self.root).unwrap_or_default();
        let below = found.strip_prefix(root).unwrap_or(&found);
        below.to_string_lossy().into_owned()
    }

    /// The name of the block device behind a node: `/dev/sda1`, `/dev/mapper/root`, `/dev/disk/by-…`.
    pub(super) fn name_of_node(&self, node: &str) -> Option<String> {
        let name = node.strip_prefix("/dev/")?;
        let linked = fs::canonicalize(self.path(node)).ok();
        let linked = linked.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let mapped = || {
            let wanted = name.strip_prefix("mapper/")?;
            let is = |dm: &String| {
                self.text(&format!("{}/dm/name", block_dir(dm))).as_deref() == Some(wanted)
            };
            self.names("sys/class/block").into_iter().find(is)
        };
        // The kernel writes a slash in a name as an exclamation mark.
        [linked, Some(name.replace('/', "!"))]
            .into_iter()
            .flatten()
            .find(|name| self.is_block(name))
            .or_else(mapped)
    }

    /// A property of a device in udev's database, which every user may read.
    pub(super) fn udev(&self, name: &str, key: &str) -> Option<String> {
        let number = self.text(&format!("{}/dev", block_dir(name)))?;
        let text = self.text(&format!("run/udev/data/b{number}"))?;
        let value = |line: &str| {
            Some(
                line.strip_prefix("E:")?
                    .strip_prefix(key)?
                    .strip_prefix('=')?
                    .to_owned(),
            )
        };
        text.lines()
            .find_map(value)
            .filter(|value| !value.is_empty())
    }
}

/// The directory of a block device in sysfs.
pub(super) fn block_dir(name: &str) -> String {
    format!("sys/class/block/{name}")
}
