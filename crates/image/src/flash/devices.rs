//! Disks and their partitions, as sysfs and udev describe them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::sys_root::{SysRoot, block_dir};

/// The unit of sizes in sysfs in bytes, whatever the logical blocks of the disk are.
const SYSFS_SECTOR_BYTES: u64 = 512;

/// The kind of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskKind {
    /// A disk or card, removable or built in.
    Disk,
    /// A file behind a loop device.
    Loop,
    /// Not a target for an image: a mapping, an array, memory, an optical drive.
    Other,
}

/// A whole disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name: `sdb`, `mmcblk0`.
    pub name: String,
    /// The kind of device.
    pub kind: DiskKind,
    /// The length in bytes; 0 for a reader without a card.
    pub size: u64,
    /// The kernel's sequence number, which is new for every disk and medium. Since Linux 5.15.
    pub sequence: Option<u64>,
    /// Vendor and model; empty when the disk reports none.
    pub model: String,
    /// How it is connected: `usb`, `sd`, `mmc`, `nvme`, `sata`, …
    pub bus: &'static str,
    /// Whether the medium is removable.
    pub removable: bool,
    /// Whether it is write-protected, for instance by a card's lock switch.
    pub read_only: bool,
    /// The disk itself, then its partitions by number.
    pub parts: Vec<Part>,
    /// What this machine uses it for; a disk with an entry is never written to.
    pub system: Vec<String>,
    /// Mappings and arrays that use it.
    pub holders: Vec<String>,
}

/// A disk as a whole or one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The kernel's name: `sdb1`.
    pub name: String,
    /// The number in the partition table; 0 for the disk itself.
    pub number: u64,
    /// The length in bytes.
    pub size: u64,
    /// The type of the file system, if udev knows it.
    pub kind: Option<String>,
    /// The label of the file system, if udev knows it.
    pub label: Option<String>,
    /// Mount points.
    pub mounted: Vec<PathBuf>,
}

impl Disk {
    /// The device node.
    pub fn node(&self) -> String {
        format!("/dev/{}", self.name.replace('!', "/"))
    }

    /// Mount points of the disk and its partitions.
    pub fn mounted(&self) -> impl Iterator<Item = &PathBuf> {
        self.parts.iter().flat_map(|part| &part.mounted)
    }

    /// Whether the list of disks shows it. Disks on USB that report a fixed medium are shown too, because
    /// they can be unplugged; writing to them still needs `--allow-fixed`.
    pub fn is_candidate(&self) -> bool {
        let portable = self.removable || self.bus == "usb";
        self.kind == DiskKind::Disk && portable && self.size > 0 && self.system.is_empty()
    }
}

/// Reads the disk with the kernel's name `name`.
pub(super) fn read_disk(root: &SysRoot, name: String) -> Disk {
    let dir = block_dir(&name);
    let device_path = root.device_path(&name);
    // A missing file means that the disk does not have the attribute.
    let text = |file: &str| root.text(&format!("{dir}/{file}")).unwrap_or_default();
    let bus = bus(&device_path, &text("device/type"));
    let names = [
        text("device/vendor"),
        text("device/model"),
        text("device/name"),
    ];
    // A PCI number is not a name; the vendor of all ATA disks is "ATA".
    let names = names
        .into_iter()
        .filter(|word| !word.is_empty() && word != "ATA" && !word.starts_with("0x"));
    let mut parts = vec![read_part(root, &name)];
    // Subdirectories that are not partitions have the number 0.
    let inside = root.names(&dir).into_iter();
    let inside = inside.map(|inner| read_part(root, &inner));
    parts.extend(inside.filter(|part| part.number > 0));
    parts.sort_by_key(|part| part.number);
    let holders = |part: &Part| root.names(&format!("{}/holders", block_dir(&part.name)));
    let holders: BTreeSet<_> = parts.iter().flat_map(holders).collect();
    Disk {
        kind: kind(&name, &device_path),
        size: parts.first().map_or(0, |whole| whole.size),
        model: names.collect::<Vec<_>>().join(" "),
        removable: text("removable") == "1" || bus == "sd",
        read_only: text("ro") == "1",
        sequence: root.number(&format!("{dir}/diskseq")),
        holders: holders
            .into_iter()
            .map(|holder| holder_name(root, &holder))
            .collect(),
        system: Vec::new(),
        parts,
        bus,
        name,
    }
}

/// The name of a mapping or array, with the device mapper's name: `dm-0 (luks-home)`.
fn holder_name(root: &SysRoot, holder: &str) -> String {
    match root.text(&format!("{}/dm/name", block_dir(holder))) {
        Some(name) => format!("{holder} ({name})"),
        None => holder.to_owned(),
    }
}

fn read_part(root: &SysRoot, name: &str) -> Part {
    let dir = block_dir(name);
    let sectors = root.number(&format!("{dir}/size"));
    Part {
        name: name.to_owned(),
        number: root.number(&format!("{dir}/partition")).unwrap_or(0),
        size: sectors.unwrap_or(0).saturating_mul(SYSFS_SECTOR_BYTES),
        kind: root.udev(name, "ID_FS_TYPE"),
        label: root.udev(name, "ID_FS_LABEL"),
        mounted: Vec::new(),
    }
}

fn kind(name: &str, device_path: &str) -> DiskKind {
    // The boot partitions of eMMC and its replay-protected memory look like disks.
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
        || device_path.contains("virtual/block/")
    {
        DiskKind::Other
    } else {
        DiskKind::Disk
    }
}

/// The bus in the device's path in sysfs; `mmc_type` distinguishes SD cards from eMMC.
fn bus(device_path: &str, mmc_type: &str) -> &'static str {
    let on = |word: &str| device_path.split('/').any(|part| part.starts_with(word));
    match mmc_type {
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
