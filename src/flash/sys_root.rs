//! The kernel's own account of this machine, as files below a root: `sys`, `proc`, `dev`, `run/udev`.
//! A test gives the recorded files of another machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::plain_file;

/// The longest file that is read: mountinfo of a machine with thousands of containers has some MB.
const LONGEST: u64 = 16 << 20;

/// Where the files are.
#[derive(Clone, Debug)]
pub struct SysRoot {
    root: PathBuf,
}

impl SysRoot {
    /// The machine that we run on.
    pub fn here() -> Self {
        Self::at(Path::new("/"))
    }

    /// The machine whose files lie below `root`.
    pub fn at(root: &Path) -> Self {
        let root = root.to_owned();
        Self { root }
    }

    /// Where `path` is; it may begin with a slash.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The content of a file without its line's end. Foreign bytes become U+FFFD.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let bytes = plain_file::read(&self.path(path), LONGEST).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Sorted names in a directory; none when there is no such directory.
    pub(super) fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).into_iter().flatten();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
        let mut names: Vec<_> = entries.flatten().filter_map(name).collect();
        names.sort();
        names
    }

    /// Whether there is a block device of that name.
    pub(super) fn is_block(&self, name: &str) -> bool {
        !name.is_empty() && !name.contains('/') && self.path(&block(name)).exists()
    }

    /// The name of the block device with that number (`8:1`).
    pub(super) fn numbered(&self, number: &str) -> Option<String> {
        let found = fs::canonicalize(self.path(&format!("sys/dev/block/{number}"))).ok()?;
        Some(found.file_name()?.to_str()?.to_owned())
    }

    /// Where sysfs keeps the device: below the controller that it hangs on.
    pub(super) fn place(&self, name: &str) -> String {
        let found = fs::canonicalize(self.path(&block(name))).unwrap_or_default();
        let root = fs::canonicalize(&self.root).unwrap_or_default();
        let below = found.strip_prefix(root).unwrap_or(&found);
        below.to_string_lossy().into_owned()
    }

    /// The name of the block device behind a node: `/dev/sda1`, `/dev/mapper/root`, `/dev/disk/by-…`.
    pub(super) fn of_node(&self, node: &str) -> Option<String> {
        let name = node.strip_prefix("/dev/")?;
        let linked = fs::canonicalize(self.path(node)).ok();
        let linked = linked.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let mapped = || {
            let wanted = name.strip_prefix("mapper/")?;
            let is = |dm: &String| {
                self.text(&format!("{}/dm/name", block(dm))).as_deref() == Some(wanted)
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

    /// What udev knows of a device; it needs no rights to read that.
    pub(super) fn udev(&self, name: &str, key: &str) -> Option<String> {
        let number = self.text(&format!("{}/dev", block(name)))?;
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
pub(super) fn block(name: &str) -> String {
    format!("sys/class/block/{name}")
}
