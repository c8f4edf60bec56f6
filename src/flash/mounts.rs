//! What is mounted and swapped to, and which block devices are behind it.

use std::path::{Path, PathBuf};

use super::sys_root::SysRoot;

/// How deep overlays may lie on each other; the kernel allows two.
const DEEPEST: u32 = 8;

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// `8:1`; file systems that span devices have numbers of their own, `0:42`.
    number: String,
    /// Where it is mounted.
    pub(super) point: PathBuf,
    /// `ext4`, `zfs`, `overlay`, …
    kind: String,
    source: String,
    options: String,
}

/// The block devices behind a mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BackingDevices {
    /// Their names: partitions, disks, mappings.
    pub(super) names: Vec<String>,
    /// Whether there are some that we cannot name.
    pub(super) unknown: bool,
}

/// Everything that is mounted, in the order of mounting.
#[derive(Clone, Debug)]
pub(super) struct Mounts(pub(super) Vec<Mount>);

impl Mounts {
    pub(super) fn read(tree: &SysRoot) -> Self {
        let text = tree.text("proc/self/mountinfo").unwrap_or_default();
        Self(text.lines().filter_map(mount).collect())
    }

    /// The mount that a path is on. `path` is absolute and without links.
    pub(super) fn of_path(&self, path: &Path) -> Option<&Mount> {
        let holds = |mount: &&Mount| path.starts_with(&mount.point);
        // Of two at one point the later one hides the earlier.
        self.0
            .iter()
            .filter(holds)
            .max_by_key(|mount| mount.point.as_os_str().len())
    }

    /// The devices behind `path`.
    pub(super) fn backing_devices_of_path(&self, path: &Path, tree: &SysRoot) -> BackingDevices {
        match self.of_path(path) {
            Some(mount) => self.backing_devices(mount, tree),
            None => BackingDevices {
                unknown: true,
                ..BackingDevices::default()
            },
        }
    }

    /// The devices behind `mount`.
    pub(super) fn backing_devices(&self, mount: &Mount, tree: &SysRoot) -> BackingDevices {
        self.backing_devices_to_depth(mount, tree, DEEPEST)
    }

    fn backing_devices_to_depth(
        &self,
        mount: &Mount,
        tree: &SysRoot,
        depth: u32,
    ) -> BackingDevices {
        let mut found = BackingDevices::default();
        if let Some(name) = tree.numbered(&mount.number) {
            found.names.push(name);
        } else if mount.kind == "zfs" {
            found.names = zfs_members(tree);
        } else if mount.kind == "overlay" {
            return self.below_overlay(mount, tree, depth);
        } else if mount.source.starts_with("/dev/") && mount.source != "/dev/fuse" {
            // bcachefs names all of its devices in one.
            let names = mount.source.split(':').map(|node| tree.of_node(node));
            let names: Option<Vec<_>> = names.collect();
            found.names = names.unwrap_or_default();
        } else {
            // tmpfs, a program (which may call itself /dev/fuse), the network, a shared directory of a virtual machine: no disk of ours.
            return found;
        }
        found.unknown = found.names.is_empty();
        found
    }

    /// What an overlay's directories lie on. In a container they are out of sight.
    fn below_overlay(&self, mount: &Mount, tree: &SysRoot, depth: u32) -> BackingDevices {
        let mut found = BackingDevices::default();
        let dirs = mount.options.split(',').filter_map(|option| {
            ["lowerdir=", "upperdir=", "lowerdir+="]
                .iter()
                .find_map(|word| option.strip_prefix(word))
        });
        for dir in dirs.flat_map(|dirs| dirs.split(':')) {
            let under = self.of_path(Path::new(dir));
            match under.filter(|under| depth > 0 && under.point != mount.point) {
                Some(under) => {
                    let more = self.backing_devices_to_depth(under, tree, depth.saturating_sub(1));
                    found.names.extend(more.names);
                    found.unknown |= more.unknown;
                }
                None => found.unknown = true,
            }
        }
        found.unknown |= found.names.is_empty();
        found
    }
}

/// ZFS does not say which pool is on which device: every member of any pool counts.
fn zfs_members(tree: &SysRoot) -> Vec<String> {
    let member = |name: &String| tree.udev(name, "ID_FS_TYPE").as_deref() == Some("zfs_member");
    let names = tree.names("sys/class/block").into_iter();
    names.filter(member).collect()
}

/// What is swapped to: nodes and files.
pub(super) fn swaps(tree: &SysRoot) -> Vec<String> {
    let text = tree.text("proc/swaps").unwrap_or_default();
    let path = |line: &str| line.split_whitespace().next().map(unescape);
    text.lines().skip(1).filter_map(path).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let mut right = right.split(' ');
    let number = left.next()?.to_owned();
    Some(Mount {
        number,
        point: PathBuf::from(unescape(left.nth(1)?)),
        kind: right.next()?.to_owned(),
        source: unescape(right.next()?),
        options: right.next().map(unescape).unwrap_or_default(),
    })
}

/// Space, tab, line's end and backslash are written as `\040` and so on.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some((code, rest)) = code.zip(part.get(3..)) {
            out.push(char::from(code));
            out.push_str(rest);
        } else {
            out.push('\\');
            out.push_str(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo() {
        let line = "36 35 98:0 /sub /mnt\\0402\\134 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";
        let found = mount(line).unwrap();
        assert_eq!(found.number, "98:0");
        assert_eq!(found.point, Path::new("/mnt 2\\"));
        assert_eq!(
            (found.kind.as_str(), found.source.as_str()),
            ("ext3", "/dev/root")
        );
        assert_eq!(mount("nonsense"), None);
        assert_eq!(unescape("a\\9zz\\"), "a\\9zz\\");
    }
}
