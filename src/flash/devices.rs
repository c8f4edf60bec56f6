//! Disks: what they are, what is on them, and what of this machine's own depends on them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::mounts::{Behind, Mounts, swaps};
use super::tree::{Tree, block};

/// The system's own: these, and what is mounted below them.
const SYSTEM_TREES: [&str; 5] = ["/boot", "/efi", "/etc", "/nix", "/usr"];
/// These alone: people mount their own things below them.
const SYSTEM_POINTS: [&str; 4] = ["/", "/home", "/root", "/var"];
/// Sizes in sysfs are in these units, whatever the disk's own blocks are.
const SECTOR: u64 = 512;

/// What kind of block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One that a person can put in or plug in, or that is built in.
    Disk,
    /// A file behind a loop device.
    Loop,
    /// Nothing that an image is flashed to: a mapping, an array, memory, an optical drive.
    Other,
}

/// A whole disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name: `sdb`, `mmcblk0`.
    pub name: String,
    /// What kind it is.
    pub kind: Kind,
    /// In bytes; 0 for a reader without a card.
    pub size: u64,
    /// Who made it and what it is called; empty when it does not say.
    pub model: String,
    /// What it hangs on: `usb`, `sd`, `mmc`, `nvme`, `sata`, …
    pub bus: &'static str,
    /// Whether its medium is made to be taken out.
    pub removable: bool,
    /// Whether it cannot be written to, for instance for its lock switch.
    pub read_only: bool,
    /// What is on it; the disk itself first.
    pub parts: Vec<Part>,
    /// What of this machine depends on it: such a disk is never written to.
    pub system: Vec<String>,
    /// Mappings and arrays that are made of it.
    pub holders: Vec<String>,
}

/// A disk as a whole or one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The kernel's name: `sdb1`.
    pub name: String,
    /// Its number in the partition table; 0 for the disk itself.
    pub number: u64,
    /// In bytes.
    pub size: u64,
    /// The file system's kind, as far as udev knows it.
    pub kind: Option<String>,
    /// The file system's label, as far as udev knows it.
    pub label: Option<String>,
    /// Where it is mounted.
    pub mounted: Vec<PathBuf>,
}

impl Disk {
    /// Its device node.
    pub fn node(&self) -> String {
        format!("/dev/{}", self.name.replace('!', "/"))
    }

    /// Where it and its partitions are mounted.
    pub fn mounted(&self) -> impl Iterator<Item = &PathBuf> {
        self.parts.iter().flat_map(|part| &part.mounted)
    }

    /// Whether it is shown to somebody who looks for a card: those on USB that call themselves fixed
    /// too, for they can be plugged out; writing to them takes `--allow-fixed` all the same.
    pub fn is_candidate(&self) -> bool {
        let portable = self.removable || self.bus == "usb";
        self.kind == Kind::Disk && portable && self.size > 0 && self.system.is_empty()
    }
}

/// All disks of a machine.
#[derive(Clone, Debug)]
pub struct Survey {
    disks: BTreeMap<String, Disk>,
    /// Partitions, and the disk that each is on.
    partitions: BTreeMap<String, String>,
}

/// What a device number stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A whole disk.
    Disk(&'a Disk),
    /// A partition of it.
    Partition(&'a Disk),
    /// Nothing that sysfs knows.
    Unknown,
}

impl Survey {
    /// Looks at the machine of `tree`. `image` is the image's path, absolute and without links.
    pub fn take(tree: &Tree, image: &Path) -> Self {
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
        for (what, behind) in owned(tree, &mounts, image) {
            survey.note_system(tree, &mounts, (&what, &behind));
        }
        survey
    }

    /// The disks that a person may have meant, by name.
    pub fn candidates(&self) -> impl Iterator<Item = &Disk> {
        self.disks.values().filter(|disk| disk.is_candidate())
    }

    /// The device with that number (`8:16`).
    pub fn numbered(&self, tree: &Tree, number: &str) -> Found<'_> {
        let Some(name) = tree.numbered(number) else {
            return Found::Unknown;
        };
        if let Some(disk) = self.disks.get(&name) {
            return Found::Disk(disk);
        }
        let disk = self
            .partitions
            .get(&name)
            .and_then(|disk| self.disks.get(disk));
        disk.map_or(Found::Unknown, Found::Partition)
    }

    /// Where partitions are mounted, and what is made of them.
    fn note_mounts(&mut self, tree: &Tree, mounts: &Mounts) {
        for mount in &mounts.0 {
            for name in mounts.behind(mount, tree).names {
                let disk = self.partitions.get(&name).unwrap_or(&name).clone();
                let parts = self.disks.get_mut(&disk).map(|disk| &mut disk.parts);
                if let Some(part) = parts.into_iter().flatten().find(|part| part.name == name) {
                    part.mounted.push(mount.point.clone());
                }
            }
        }
    }

    /// Marks the disks that `what` depends on.
    fn note_system(&mut self, tree: &Tree, mounts: &Mounts, (what, behind): (&str, &Behind)) {
        let below = Below { tree, mounts }.disks(&behind.names);
        for disk in self.disks.values_mut() {
            let text = if below.contains(&disk.name) {
                what.to_owned()
            } else if behind.unknown && !disk.removable && disk.kind == Kind::Disk {
                format!("perhaps {what} (it cannot be told which disk that is on)")
            } else {
                continue;
            };
            if !disk.system.contains(&text) {
                disk.system.push(text);
            }
        }
    }
}

/// What this machine cannot lose, and what it lies on.
fn owned(tree: &Tree, mounts: &Mounts, image: &Path) -> Vec<(String, Behind)> {
    let is_system = |point: &Path| {
        SYSTEM_TREES.iter().any(|tree| point.starts_with(tree))
            || SYSTEM_POINTS.iter().any(|it| point == Path::new(it))
    };
    let system = mounts.0.iter().filter(|mount| is_system(&mount.point));
    let system = system.map(|m| (m.point.display().to_string(), mounts.behind(m, tree)));
    let swaps = swaps(tree).into_iter().map(|path| {
        let behind = match tree.of_node(&path) {
            Some(name) => Behind {
                names: vec![name],
                unknown: false,
            },
            None => mounts.behind_path(Path::new(&path), tree),
        };
        ("swap".to_owned(), behind)
    });
    let image = (
        "the image itself".to_owned(),
        mounts.behind_path(image, tree),
    );
    system.chain(swaps).chain([image]).collect()
}

/// The disk that a partition is on; `None` for what is no partition.
fn parent(tree: &Tree, name: &str) -> Option<String> {
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
    tree: &'a Tree,
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
            parts.extend(self.mounts.behind_path(Path::new(&file), self.tree).names);
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

fn disk(tree: &Tree, name: String) -> Disk {
    let at = block(&name);
    let place = tree.place(&name);
    let text = |file: &str| tree.text(&format!("{at}/{file}")).unwrap_or_default();
    let bus = bus(&place, &text("device/type"));
    let called = [
        text("device/vendor"),
        text("device/model"),
        text("device/name"),
    ];
    // A PCI number is not a name; ATA disks all say that they are made by "ATA".
    let called = called
        .into_iter()
        .filter(|word| !word.is_empty() && word != "ATA" && !word.starts_with("0x"));
    let mut parts = vec![part(tree, &name)];
    // Only partitions have that file; every other folder in there gets the number 0.
    let inside = tree.names(&at).into_iter().map(|inner| part(tree, &inner));
    parts.extend(inside.filter(|part| part.number > 0));
    parts.sort_by_key(|part| part.number);
    let made_of_it = |part: &Part| tree.names(&format!("{}/holders", block(&part.name)));
    let holders: BTreeSet<_> = parts.iter().flat_map(made_of_it).collect();
    Disk {
        kind: kind(&name, &place),
        size: part(tree, &name).size,
        model: called.collect::<Vec<_>>().join(" "),
        removable: text("removable") == "1" || bus == "sd",
        read_only: text("ro") == "1",
        holders: holders
            .into_iter()
            .map(|holder| named(tree, &holder))
            .collect(),
        system: Vec::new(),
        parts,
        bus,
        name,
    }
}

/// `dm-0 (luks-home)`: a mapping's own name says more than its number.
fn named(tree: &Tree, holder: &str) -> String {
    match tree.text(&format!("{}/dm/name", block(holder))) {
        Some(name) => format!("{holder} ({name})"),
        None => holder.to_owned(),
    }
}

fn part(tree: &Tree, name: &str) -> Part {
    let sectors = tree.number(&format!("{}/size", block(name)));
    Part {
        name: name.to_owned(),
        number: tree
            .number(&format!("{}/partition", block(name)))
            .unwrap_or(0),
        size: sectors.unwrap_or(0).saturating_mul(SECTOR),
        kind: tree.udev(name, "ID_FS_TYPE"),
        label: tree.udev(name, "ID_FS_LABEL"),
        mounted: Vec::new(),
    }
}

fn kind(name: &str, place: &str) -> Kind {
    // eMMC's boot partitions and its replay-protected memory look like disks.
    let emmc = name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    let other = ["sr", "fd", "dm-", "md", "nbd", "ram", "zram", "zd"];
    let numbered = |prefix: &str| {
        let number = name.strip_prefix(prefix);
        number.is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
    };
    if numbered("loop") {
        Kind::Loop
    } else if emmc
        || other.iter().any(|prefix| numbered(prefix))
        || place.contains("virtual/block/")
    {
        Kind::Other
    } else {
        Kind::Disk
    }
}

fn bus(place: &str, mmc: &str) -> &'static str {
    let on = |word: &str| place.split('/').any(|part| part.starts_with(word));
    match mmc {
        "SD" if on("mmc") => "sd",
        "MMC" if on("mmc") => "mmc",
        _ if on("usb") => "usb",
        _ if on("nvme") => "nvme",
        _ if on("ata") => "sata",
        _ if on("virtio") => "virtio",
        _ if on("loop") => "loop",
        _ => "other",
    }
}
