//! Disks: what they are and what is on them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::sys_root::{SysRoot, block};

/// Sizes in sysfs are in these units, whatever the disk's own blocks are.
const SECTOR: u64 = 512;

/// What kind of block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskKind {
    /// One that a user can put in or plug in, or that is built in.
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
    pub kind: DiskKind,
    /// In bytes; 0 for a reader without a card.
    pub size: u64,
    /// The kernel's count of disks and media that came and went: another one, another number. Since
    /// Linux 5.15.
    pub sequence: Option<u64>,
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
        self.kind == DiskKind::Disk && portable && self.size > 0 && self.system.is_empty()
    }
}

/// Reads one disk.
pub(super) fn disk(tree: &SysRoot, name: String) -> Disk {
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
    // Only partitions have that file; every other directory in there gets the number 0.
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
        sequence: tree.number(&format!("{at}/diskseq")),
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
fn named(tree: &SysRoot, holder: &str) -> String {
    match tree.text(&format!("{}/dm/name", block(holder))) {
        Some(name) => format!("{holder} ({name})"),
        None => holder.to_owned(),
    }
}

fn part(tree: &SysRoot, name: &str) -> Part {
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

fn kind(name: &str, place: &str) -> DiskKind {
    // eMMC's boot partitions and its replay-protected memory look like disks.
    let emmc = name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    let other = ["sr", "fd", "dm-", "md", "nbd", "ram", "zram", "zd"];
    let numbered = |prefix: &str| {
        let number = name.strip_prefix(prefix);
        number.is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
    };
    if numbered("loop") {
        DiskKind::Loop
    } else if emmc
        || other.iter().any(|prefix| numbered(prefix))
        || place.contains("virtual/block/")
    {
        DiskKind::Other
    } else {
        DiskKind::Disk
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
