//! All disks of a machine, and what of the machine's own depends on them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::devices::{Disk, DiskKind, disk};
use super::mounts::{BackingDevices, Mount, Mounts, swaps};
use super::sys_root::{SysRoot, block};

/// The system's own: these, and what is mounted below them.
const SYSTEM_TREES: [&str; 5] = ["/boot", "/efi", "/etc", "/nix", "/usr"];
/// These alone: people mount their own things below them.
const SYSTEM_POINTS: [&str; 4] = ["/", "/home", "/root", "/var"];

/// Where people mount what they put in for a while. Whatever is mounted elsewhere from a disk that is not
/// removable is taken for the system's: `/srv`, `/var/lib/docker` or `/home/me` on a disk of its own.
const PASSING_TREES: [&str; 4] = ["/mnt", "/media", "/run/media", "/tmp"];

/// All disks of a machine.
#[derive(Clone, Debug)]
pub struct DiskInventory {
    disks: BTreeMap<String, Disk>,
    /// Partitions, and the disk that each is on.
    partitions: BTreeMap<String, String>,
}

/// What a device number stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceLookup<'a> {
    /// A whole disk.
    Disk(&'a Disk),
    /// A partition of it.
    Partition(&'a Disk),
    /// Nothing that sysfs knows.
    Unknown,
}

impl DiskInventory {
    /// Looks at the machine of `tree`. `image` is the image's path, absolute and without links.
    pub fn take(tree: &SysRoot, image: &Path) -> Self {
        let (mut disks, mut partitions) = (BTreeMap::new(), BTreeMap::new());
        for name in tree.names("sys/class/block") {
            if let Some(disk) = parent(tree, &name) {
                partitions.insert(name, disk);
            } else if tree.text(&format!("{}/hidden", block(&name))).as_deref() != Some("1") {
                disks.insert(name.clone(), disk(tree, name));
            }
        }
        let mut survey = Self { disks, partitions };
        let mounts = Mounts::read(tree);
        survey.note_mounts(tree, &mounts);
        for claim in owned(tree, &mounts, image) {
            survey.note_system(tree, &mounts, &claim);
        }
        survey
    }

    /// The disks that a user may have meant, by name.
    pub fn candidates(&self) -> impl Iterator<Item = &Disk> {
        self.disks.values().filter(|disk| disk.is_candidate())
    }

    /// The device with that number (`8:16`).
    pub fn numbered(&self, tree: &SysRoot, number: &str) -> DeviceLookup<'_> {
        let Some(name) = tree.numbered(number) else {
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

    /// Where partitions are mounted, and what is made of them.
    fn note_mounts(&mut self, tree: &SysRoot, mounts: &Mounts) {
        for mount in &mounts.0 {
            for name in mounts.backing_devices(mount, tree).names {
                let disk = self.partitions.get(&name).unwrap_or(&name).clone();
                let parts = self.disks.get_mut(&disk).map(|disk| &mut disk.parts);
                if let Some(part) = parts.into_iter().flatten().find(|part| part.name == name) {
                    part.mounted.push(mount.point.clone());
                }
            }
        }
    }

    /// Marks the disks that the claim is about.
    fn note_system(&mut self, tree: &SysRoot, mounts: &Mounts, claim: &InUse) {
        let InUse { what, behind, .. } = claim;
        let below = Below { tree, mounts }.disks(&behind.names);
        for disk in self.disks.values_mut() {
            let text = if below.contains(&disk.name) {
                what.to_owned()
            } else if behind.unknown && !disk.removable && disk.kind == DiskKind::Disk {
                format!("perhaps {what} (it cannot be told which disk that is on)")
            } else {
                continue;
            };
            if !disk.system.contains(&text) && (claim.is_certain || is_news(disk, what)) {
                disk.system.push(text);
            }
        }
    }
}

/// Something that may not be lost.
struct InUse {
    what: String,
    /// What it lies on.
    behind: BackingDevices,
    /// Whether it is the machine's whatever it lies on; else only on a disk that is not removable.
    is_certain: bool,
}

/// Whether an uncertain claim counts and says more than what is known: an engine mounts a hundred
/// directories below its own.
fn is_news(disk: &Disk, what: &str) -> bool {
    let says_more = |known: &String| known.starts_with('/') && !Path::new(what).starts_with(known);
    !disk.removable && disk.system.iter().all(says_more)
}

/// What this machine cannot lose, and what it lies on; what is certain comes first.
fn owned(tree: &SysRoot, mounts: &Mounts, image: &Path) -> Vec<InUse> {
    let is_system = |point: &Path| {
        SYSTEM_TREES.iter().any(|tree| point.starts_with(tree))
            || SYSTEM_POINTS.iter().any(|it| point == Path::new(it))
    };
    let passes = |point: &Path| PASSING_TREES.iter().any(|tree| point.starts_with(tree));
    let (system, others): (Vec<_>, Vec<_>) = mounts.0.iter().partition(|m| is_system(&m.point));
    let claim = |what: String, behind| InUse {
        what,
        behind,
        is_certain: true,
    };
    let mounted = |m: &Mount| {
        claim(
            m.point.display().to_string(),
            mounts.backing_devices(m, tree),
        )
    };
    let swaps = swaps(tree).into_iter().map(|path| {
        let behind = match tree.of_node(&path) {
            Some(name) => BackingDevices {
                names: vec![name],
                unknown: false,
            },
            None => mounts.backing_devices_of_path(Path::new(&path), tree),
        };
        claim("swap".to_owned(), behind)
    });
    let image = claim(
        "the image itself".to_owned(),
        mounts.backing_devices_of_path(image, tree),
    );
    let others = others.into_iter().filter(|mount| !passes(&mount.point));
    let others = others.map(|mount| InUse {
        is_certain: false,
        ..mounted(mount)
    });
    let system = system.into_iter().map(mounted);
    system.chain(swaps).chain([image]).chain(others).collect()
}

/// The disk that a partition is on; `None` for what is no partition.
fn parent(tree: &SysRoot, name: &str) -> Option<String> {
    tree.number(&format!("{}/partition", block(name)))?;
    let place = tree.place(name);
    Some(
        Path::new(&place)
            .parent()?
            .file_name()?
            .to_str()?
            .to_owned(),
    )
}

/// From devices down to the disks that they are made of.
struct Below<'a> {
    tree: &'a SysRoot,
    mounts: &'a Mounts,
}

impl Below<'_> {
    fn disks(&self, names: &[String]) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut left = names.to_vec();
        while let Some(name) = left.pop() {
            if seen.insert(name.clone()) {
                left.extend(self.parts_of(&name));
            }
        }
        seen
    }

    fn parts_of(&self, name: &str) -> Vec<String> {
        let mut parts = self.tree.names(&format!("{}/slaves", block(name)));
        parts.extend(parent(self.tree, name));
        if let Some(file) = self
            .tree
            .text(&format!("{}/loop/backing_file", block(name)))
        {
            parts.extend(
                self.mounts
                    .backing_devices_of_path(Path::new(&file), self.tree)
                    .names,
            );
        }
        // A file system on several disks is mounted by one of them.
        for pool in self.tree.names("sys/fs/btrfs") {
            let members = self.tree.names(&format!("sys/fs/btrfs/{pool}/devices"));
            if members.iter().any(|member| member == name) {
                parts.extend(members);
            }
        }
        parts
    }
}
