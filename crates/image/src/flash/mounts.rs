//! Mounts and swaps, and the block devices that they are on. The crate `procfs-core` reads the same file, but only if all of it is UTF-8,
//! which a mount point need not be.

use std::path::{Path, PathBuf};

use super::sys_root::SysRoot;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file::is_gone;

/// How many overlays on each other are followed; the kernel allows two.
const MAX_OVERLAY_DEPTH: u32 = 8;

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The device number: `8:1`, or one of its own (`0:42`) for a file system without a single device.
    number: String,
    /// The mount point.
    pub(super) point: PathBuf,
    /// `ext4`, `zfs`, `overlay`, …
    kind: String,
    source: String,
    options: String,
}

/// The block devices that a mount is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BackingDevices {
    /// Names of partitions, disks and mappings.
    pub(super) names: Vec<String>,
    /// Whether there are others, which cannot be named.
    pub(super) unknown: bool,
}

/// All mounts, in the order of mounting.
#[derive(Clone, Debug)]
pub(super) struct Mounts(pub(super) Vec<Mount>);

impl Mounts {
    /// The mounts in this process's namespace. An error when they cannot be read: each disk may be mounted then.
    pub(super) fn read(root: &SysRoot) -> Result<Self, Failure> {
        let text = root.read("proc/self/mountinfo");
        let text = text.or_environment("read what is mounted from /proc/self/mountinfo")?;
        Ok(Self(text.lines().filter_map(parse_mount).collect()))
    }

    /// The mount of a path, which is absolute and without symbolic links.
    pub(super) fn of_path(&self, path: &Path) -> Option<&Mount> {
        let holds = |mount: &&Mount| path.starts_with(&mount.point);
        // Of two mounts at one point the later one hides the earlier one.
        self.0
            .iter()
            .filter(holds)
            .max_by_key(|mount| mount.point.as_os_str().len())
    }

    /// The devices that `path` is on.
    pub(super) fn backing_devices_of_path(&self, path: &Path, root: &SysRoot) -> BackingDevices {
        match self.of_path(path) {
            Some(mount) => self.backing_devices(mount, root),
            None => BackingDevices {
                unknown: true,
                ..BackingDevices::default()
            },
        }
    }

    /// The devices that `mount` is on.
    pub(super) fn backing_devices(&self, mount: &Mount, root: &SysRoot) -> BackingDevices {
        self.backing_devices_to_depth(mount, root, MAX_OVERLAY_DEPTH)
    }

    fn backing_devices_to_depth(
        &self,
        mount: &Mount,
        root: &SysRoot,
        depth: u32,
    ) -> BackingDevices {
        let mut found = BackingDevices::default();
        if let Some(name) = root.device_name(&mount.number) {
            found.names.push(name);
        } else if mount.kind == "zfs" {
            found.names = zfs_members(root);
        } else if mount.kind == "overlay" {
            return self.overlay_devices(mount, root, depth);
        } else if mount.source.starts_with("/dev/") && mount.source != "/dev/fuse" {
            // bcachefs names all of its devices, separated by colons.
            let names = mount.source.split(':').map(|node| root.name_of_node(node));
            let names: Option<Vec<_>> = names.collect();
            found.names = names.unwrap_or_default();
        } else {
            // tmpfs, FUSE, a network file system, a directory shared with a virtual machine: no local disk.
            return found;
        }
        found.unknown = found.names.is_empty();
        found
    }

    /// The devices of an overlay's directories. In a container those are not visible.
    fn overlay_devices(&self, mount: &Mount, root: &SysRoot, depth: u32) -> BackingDevices {
        let mut found = BackingDevices::default();
        let dirs = mount.options.split(',').filter_map(|option| {
            ["lowerdir=", "upperdir=", "lowerdir+="]
                .iter()
                .find_map(|word| option.strip_prefix(word))
        });
        for dir in dirs.flat_map(|dirs| dirs.split(':')) {
            let lower = self.of_path(Path::new(dir));
            match lower.filter(|lower| depth > 0 && lower.point != mount.point) {
                Some(lower) => {
                    let more = self.backing_devices_to_depth(lower, root, depth.saturating_sub(1));
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

/// All devices of all ZFS pools: which pool is on which device is not known.
fn zfs_members(root: &SysRoot) -> Vec<String> {
    let member = |name: &String| root.udev(name, "ID_FS_TYPE").as_deref() == Some("zfs_member");
    let names = root.names("sys/class/block").into_iter();
    names.filter(member).collect()
}

/// The paths of swap partitions and files. An error when they cannot be read: each disk may be swapped to then.
pub(super) fn swaps(root: &SysRoot) -> Result<Vec<String>, Failure> {
    let text = root.read("proc/swaps");
    if is_gone(&text) {
        // A kernel without swap has no such file.
        return Ok(Vec::new());
    }
    let text = text.or_environment("read what is swapped to from /proc/swaps")?;
    let path = |line: &str| line.split_whitespace().next().map(unescape);
    Ok(text.lines().skip(1).filter_map(path).collect())
}

fn parse_mount(line: &str) -> Option<Mount> {
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

/// Decodes the octal escapes of space, tab, newline and backslash (`\040`).
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
    fn mountinfo_line_is_parsed() {
        let line = "36 35 98:0 /sub /mnt\\0402\\134 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";
        let found = parse_mount(line).unwrap();
        assert_eq!(found.number, "98:0");
        assert_eq!(found.point, Path::new("/mnt 2\\"));
        assert_eq!(
            (found.kind.as_str(), found.source.as_str()),
            ("ext3", "/dev/root")
        );
        assert_eq!(parse_mount("nonsense"), None);
        assert_eq!(unescape("a\\9zz\\"), "a\\9zz\\");
    }
}
