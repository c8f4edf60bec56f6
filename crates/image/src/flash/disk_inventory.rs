//! All disks of a machine, and which of them the machine depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::devices::{Disk, DiskKind, read_disk};
use super::mounts::{BackingDevices, Mount, Mounts, swaps};
use super::sys_root::{SysRoot, block_dir};
use sdbuild_core::failure::Failure;

/// Directories of the system: mounts at or below them belong to it.
const SYSTEM_DIRS: [&str; 5] = ["/boot", "/efi", "/etc", "/nix", "/usr"];
/// Mount points of the system; mounts below them may be the user's.
const SYSTEM_POINTS: [&str; 4] = ["/", "/home", "/root", "/var"];

/// Directories for temporary mounts. Mounts elsewhere from a disk that is not removable count as the
/// system's: `/srv`, `/var/lib/docker` or `/home/me` on a disk of its own.
const TEMPORARY_DIRS: [&str; 4] = ["/mnt", "/media", "/run/media", "/tmp"];

/// All disks of a machine.
#[derive(Clone, Debug)]
pub struct DiskInventory {
    disks: BTreeMap<String, Disk>,
    /// The disk of each partition.
    partitions: BTreeMap<String, String>,
    out_of_reach: bool,
}

/// The device with some number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceLookup<'a> {
    /// A whole disk.
    Disk(&'a Disk),
    /// A partition of this disk.
    Partition(&'a Disk),
    /// A device that sysfs does not have.
    Unknown,
}

/// Whether the root directory is that of a container of Docker or Podman.
fn is_container(root: &SysRoot) -> bool {
    [".dockerenv", "run/.containerenv"]
        .iter()
        .any(|mark| root.path(mark).exists())
}

impl DiskInventory {
    /// The disks of the machine at `root`. `image` is the absolute path of the image, without symbolic
    /// links: its disk is in use.
    ///
    /// # Errors
    ///
    /// It cannot be read what is mounted or swapped to: a disk that looks unused may be in use.
    pub fn take(root: &SysRoot, image: &Path) -> Result<Self, Failure> {
        let (mut disks, mut partitions) = (BTreeMap::new(), BTreeMap::new());
        for name in root.names("sys/class/block") {
            if let Some(disk) = parent_disk(root, &name) {
                partitions.insert(name, disk);
            } else if root
                .text(&format!("{}/hidden", block_dir(&name)))
                .as_deref()
                != Some("1")
            {
                disks.insert(name.clone(), read_disk(root, name));
            }
        }
        let mut inventory = Self {
            disks,
            partitions,
            out_of_reach: false,
        };
        let mounts = Mounts::read(root)?;
        inventory.add_mounts(root, &mounts);
        for in_use in uses(root, &mounts, image)? {
            inventory.add_use(root, &mounts, &in_use);
        }
        // A container's sysfs has the disks of its machine, but its /dev only those that it was given.
        let reached = |disk: &Disk| root.path(&disk.node()).exists();
        inventory.out_of_reach = is_container(root) && !inventory.candidates().any(reached);
        Ok(inventory)
    }

    /// Whether this is a container that was given none of its machine's disks.
    pub fn is_out_of_reach(&self) -> bool {
        self.out_of_reach
    }

    /// The disks that an image may be flashed to, by name.
    pub fn candidates(&self) -> impl Iterator<Item = &Disk> {
        self.disks.values().filter(|disk| disk.is_candidate())
    }

    /// The device with that number (`8:16`).
    pub fn find(&self, root: &SysRoot, number: &str) -> DeviceLookup<'_> {
        let Some(name) = root.device_name(number) else {
            return DeviceLookup::Unknown;
        };
        if let Some(disk) = self.disks.get(&name) {
            return DeviceLookup::Disk(disk);
        }
        let disk = self
            .partitions
            .get(&name)
            .and_then(|disk| self.disks.get(disk));
        disk.map_or(DeviceLookup::Unknown, DeviceLookup::Partition)
    }

    /// Adds the mount points of disks and partitions.
    fn add_mounts(&mut self, root: &SysRoot, mounts: &Mounts) {
        for mount in &mounts.0 {
            for name in mounts.backing_devices(mount, root).names {
                let disk = self.partitions.get(&name).unwrap_or(&name).clone();
                let parts = self.disks.get_mut(&disk).map(|disk| &mut disk.parts);
                if let Some(part) = parts.into_iter().flatten().find(|part| part.name == name) {
                    part.mounted.push(mount.point.clone());
                }
            }
        }
    }

    /// Adds `in_use` to the disks that it depends on.
    fn add_use(&mut self, root: &SysRoot, mounts: &Mounts, in_use: &InUse) {
        let InUse { what, devices, .. } = in_use;
        let disks = Dependencies { root, mounts }.of(&devices.names);
        for disk in self.disks.values_mut() {
            let text = if disks.contains(&disk.name) {
                what.to_owned()
            } else if devices.unknown && !disk.removable && disk.kind == DiskKind::Disk {
                format!("perhaps {what} (on which disk is unknown)")
            } else {
                continue;
            };
            if !disk.system.contains(&text) && (in_use.is_certain || adds_information(disk, what)) {
                disk.system.push(text);
            }
        }
    }
}

/// Something that this machine uses.
struct InUse {
    what: String,
    /// The block devices that it is on.
    devices: BackingDevices,
    /// Whether the machine needs it wherever it is; otherwise only if its disk is not removable.
    is_certain: bool,
}

/// Whether an uncertain use counts and is not covered by a known one: a container engine mounts a hundred
/// directories below its own.
fn adds_information(disk: &Disk, what: &str) -> bool {
    let is_other = |known: &String| known.starts_with('/') && !Path::new(what).starts_with(known);
    !disk.removable && disk.system.iter().all(is_other)
}

/// What this machine uses, certain uses first.
fn uses(root: &SysRoot, mounts: &Mounts, image: &Path) -> Result<Vec<InUse>, Failure> {
    let is_system = |point: &Path| {
        SYSTEM_DIRS.iter().any(|dir| point.starts_with(dir))
            || SYSTEM_POINTS.iter().any(|known| point == Path::new(known))
    };
    let is_temporary = |point: &Path| TEMPORARY_DIRS.iter().any(|dir| point.starts_with(dir));
    let (system, others): (Vec<_>, Vec<_>) = mounts.0.iter().partition(|m| is_system(&m.point));
    let certain = |what: String, devices| InUse {
        what,
        devices,
        is_certain: true,
    };
    let mounted = |m: &Mount| {
        certain(
            m.point.display().to_string(),
            mounts.backing_devices(m, root),
        )
    };
    let swaps = swaps(root)?.into_iter().map(|path| {
        let devices = match root.name_of_node(&path) {
            Some(name) => BackingDevices {
                names: vec![name],
                unknown: false,
            },
            None => mounts.backing_devices_of_path(Path::new(&path), root),
        };
        certain("swap".to_owned(), devices)
    });
    let image = certain(
        "the image to write".to_owned(),
        mounts.backing_devices_of_path(image, root),
    );
    let others = others
        .into_iter()
        .filter(|mount| !is_temporary(&mount.point));
    let others = others.map(|mount| InUse {
        is_certain: false,
        ..mounted(mount)
    });
    let system = system.into_iter().map(mounted);
    Ok(system.chain(swaps).chain([image]).chain(others).collect())
}

/// The disk of a partition; `None` for a device that is not a partition.
fn parent_disk(root: &SysRoot, name: &str) -> Option<String> {
    root.number(&format!("{}/partition", block_dir(name)))?;
    let path = root.device_path(name);
    let disk = Path::new(&path).parent()?.file_name()?.to_str()?;
    Some(disk.to_owned())
}

/// Follows block devices down to the disks that they depend on.
struct Dependencies<'a> {
    root: &'a SysRoot,
    mounts: &'a Mounts,
}

impl Dependencies<'_> {
    /// The devices `names` and all devices that they depend on.
    fn of(&self, names: &[String]) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut pending = names.to_vec();
        while let Some(name) = pending.pop() {
            if seen.insert(name.clone()) {
                pending.extend(self.direct(&name));
            }
        }
        seen
    }

    fn direct(&self, name: &str) -> Vec<String> {
        let dir = block_dir(name);
        let mut devices = self.root.names(&format!("{dir}/slaves"));
        devices.extend(parent_disk(self.root, name));
        if let Some(file) = self.root.text(&format!("{dir}/loop/backing_file")) {
            let file = Path::new(&file);
            let backing = self.mounts.backing_devices_of_path(file, self.root);
            devices.extend(backing.names);
        }
        // The mount table names one of the disks of a btrfs file system.
        for pool in self.root.names("sys/fs/btrfs") {
            let members = self.root.names(&format!("sys/fs/btrfs/{pool}/devices"));
            if members.iter().any(|member| member == name) {
                devices.extend(members);
            }
        }
        devices
    }
}
