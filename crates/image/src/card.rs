//! Whether a root file system is on the card, by its name in `fstab(5)`: one rule for a configuration, whose image is not built yet, and for
//! an image.

use std::borrow::Cow;

use serde::Deserialize;

/// The directory of the names that udev takes from file systems and partitions.
pub const BY_NAME: &str = "/dev/disk/by-";
/// Types of file systems that are on no disk, or on another machine's.
const WITHOUT_DISK: [&str; 9] = [
    "9p",
    "cifs",
    "nfs",
    "nfs4",
    "none",
    "overlay",
    "squashfs",
    "unionfs-fuse",
    "virtiofs",
];
/// What the names of disks begin with whose partitions have only a number behind the name.
const LETTERED_DISKS: [&str; 4] = ["hd", "sd", "vd", "xvd"];
/// The same of those that have a `p` before the number.
const NUMBERED_DISKS: [&str; 3] = ["mmcblk", "nbd", "nvme"];
/// What names in `by-id` begin with that are put together of other disks.
const ASSEMBLED: [&str; 3] = ["dm-", "lvm-", "md-"];

/// The names of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CardPartition {
    /// Its number.
    pub number: u32,
    /// The label of its file system.
    pub label: Option<String>,
    /// The UUID of its file system.
    pub uuid: Option<String>,
    /// The type of its file system.
    pub fs_type: Option<String>,
    /// Its label in a GPT.
    pub part_label: Option<String>,
}

impl CardPartition {
    /// Whether a system can be there. FAT has no links, of which a store is full.
    fn may_have_root(&self) -> bool {
        !self
            .fs_type
            .as_ref()
            .is_some_and(|kind| kind.contains("fat"))
    }
}

/// A card with an image: the names of its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// The number of its partition table, eight digits of an MBR; other tables have UUIDs for each partition.
    pub id: Option<String>,
    /// The partitions.
    pub partitions: Vec<CardPartition>,
    /// Whether there are partitions whose names are not known.
    pub has_unknown: bool,
}

/// Where a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// On the card's partition of that number.
    Card(u32),
    /// On the card, if the card is the disk of that name, or on something that is no disk.
    Unknown,
    /// On one disk of many: the card only if it is that one.
    NamedDisk,
    /// In memory.
    Memory,
    /// On something that the card does not have.
    Elsewhere,
}

/// A file system that is mounted, as in `fstab(5)`.
#[derive(Clone, Copy, Debug)]
pub struct Mount<'a> {
    /// Where.
    pub path: &'a str,
    /// Its name.
    pub device: &'a str,
    /// Its type.
    pub fs_type: &'a str,
}

/// Why a card does not find its root file system, or may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootFault {
    /// It is on nothing that the card has.
    Elsewhere,
    /// It is on one disk of many, which the image must be written onto.
    NamedDisk,
    /// It is in memory, and the card, which has the store, is mounted nowhere.
    NoStore,
}

impl Card {
    /// What is wrong with the root file system among `mounts`.
    pub fn root_fault(&self, mounts: &[Mount<'_>]) -> Option<RootFault> {
        let root = mounts.iter().find(|mount| mount.path == "/")?;
        match self.location(root.device, root.fs_type) {
            Location::Elsewhere => Some(RootFault::Elsewhere),
            Location::NamedDisk => Some(RootFault::NamedDisk),
            Location::Memory => (!mounts.iter().any(|mount| self.may_have_store(mount)))
                .then_some(RootFault::NoStore),
            Location::Card(_) | Location::Unknown => None,
        }
    }

    fn may_have_store(&self, mount: &Mount<'_>) -> bool {
        let is_root = |number| {
            let mut all = self.partitions.iter();
            all.any(|one| one.number == number && one.may_have_root())
        };
        match self.location(mount.device, mount.fs_type) {
            Location::Card(number) => is_root(number),
            Location::Unknown => mount.device.starts_with("/dev/"),
            Location::NamedDisk => true,
            // What a store is put together of.
            Location::Memory | Location::Elsewhere => mount.path.starts_with("/nix/."),
        }
    }

    /// Where the file system of `fs_type` with the name `device` is.
    pub fn location(&self, device: &str, fs_type: &str) -> Location {
        match fs_type {
            "tmpfs" | "ramfs" => Location::Memory,
            // A pool, by its own name.
            "zfs" => Location::Elsewhere,
            other if WITHOUT_DISK.contains(&other) => Location::Unknown,
            _ => self.location_of(&path_of(device)),
        }
    }

    fn location_of(&self, path: &str) -> Location {
        let Some(name) = path.strip_prefix("/dev/") else {
            return Location::Unknown;
        };
        match name.strip_prefix("disk/by-") {
            Some(by) => match by.split_once('/') {
                Some((kind, name)) => self.location_by(kind, name),
                None => Location::Unknown,
            },
            None => self.location_in_dev(name),
        }
    }

    fn location_by(&self, kind: &str, name: &str) -> Location {
        let named = |of: fn(&CardPartition) -> Option<&String>| {
            let mut all = self.partitions.iter();
            let found = all.find(|one| of(one).is_some_and(|own| own == name));
            match found {
                Some(partition) => Location::Card(partition.number),
                // udev writes some characters in another way.
                None if self.has_unknown || name.contains('\\') => Location::Unknown,
                None => Location::Elsewhere,
            }
        };
        match kind {
            "label" => named(|one| one.label.as_ref()),
            "uuid" => named(|one| one.uuid.as_ref()),
            "partlabel" => named(|one| one.part_label.as_ref()),
            "partuuid" => self.location_by_part_uuid(name),
            "id" if ASSEMBLED.iter().any(|start| name.starts_with(start)) => Location::Elsewhere,
            "path" if name.contains("mmc") => self.of_number(part_number(name)),
            "id" | "path" if self.of_number(part_number(name)) == Location::Unknown => {
                Location::NamedDisk
            }
            "id" | "path" => Location::Elsewhere,
            _ => Location::Unknown,
        }
    }

    fn location_by_part_uuid(&self, name: &str) -> Location {
        let Some(id) = &self.id else {
            return Location::Unknown;
        };
        let Some(number) = name.strip_prefix(id.as_str()) else {
            return Location::Elsewhere;
        };
        let number = number.strip_prefix('-');
        let number = number.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let mut numbers = self.partitions.iter().map(|one| one.number);
        match numbers.find(|own| Some(*own) == number) {
            Some(number) => Location::Card(number),
            // Something may add that partition at the first start.
            None => Location::Unknown,
        }
    }

    /// The location of `/dev/NAME`.
    fn location_in_dev(&self, name: &str) -> Location {
        let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        if begins(&["block/", "nfs", "ram", "root", "shm"]) {
            return Location::Unknown;
        }
        let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        if begins(&["dm-", "md"]) || name.contains('/') {
            Location::Elsewhere
        } else if begins(&NUMBERED_DISKS) {
            let number = name
                .rsplit_once('p')
                .and_then(|(_, number)| number.parse().ok());
            self.of_number(number)
        } else if begins(&LETTERED_DISKS) {
            self.of_number(digits.parse().ok())
        } else {
            Location::Unknown
        }
    }

    /// The location of the partition with that number on some disk; none is the whole disk, and an image begins with a table.
    fn of_number(&self, number: Option<u32>) -> Location {
        let mut all = self.partitions.iter().filter(|one| one.may_have_root());
        if all.any(|one| Some(one.number) == number) || self.has_unknown {
            Location::Unknown
        } else {
            Location::Elsewhere
        }
    }
}

/// The number at the end of a name in `by-id` or `by-path`.
fn part_number(name: &str) -> Option<u32> {
    name.rsplit_once("-part")?.1.parse().ok()
}

/// The path of a device that is given as in `fstab(5)`, such as `LABEL=NIXOS_SD`.
pub fn path_of(device: &str) -> Cow<'_, str> {
    let path = |kind: &str, name: &str| Cow::Owned(format!("{BY_NAME}{kind}/{name}"));
    match device.split_once('=') {
        Some(("LABEL", name)) => path("label", name),
        Some(("UUID", name)) => path("uuid", name),
        Some(("PARTUUID", name)) => path("partuuid", name),
        Some(("PARTLABEL", name)) => path("partlabel", name),
        Some(_) | None => Cow::Borrowed(device),
    }
}

#[cfg(test)]
mod tests {
    use super::Location::{Elsewhere, Memory, NamedDisk, Unknown};
    use super::*;

    fn card() -> Card {
        let partition = |number, fs_type: &str, label: &str, uuid: &str| CardPartition {
            number,
            label: Some(label.to_owned()),
            uuid: Some(uuid.to_owned()),
            fs_type: Some(fs_type.to_owned()),
            part_label: None,
        };
        Card {
            id: Some("2178694e".to_owned()),
            partitions: vec![
                partition(1, "vfat", "FIRMWARE", "2178-694E"),
                partition(
                    2,
                    "ext4",
                    "NIXOS_SD",
                    "44444444-4444-4444-8888-888888888888",
                ),
            ],
            has_unknown: false,
        }
    }

    #[test]
    fn a_root_is_on_the_card_or_elsewhere() {
        let root = Location::Card(2);
        for (device, expected) in [
            ("/dev/disk/by-label/NIXOS_SD", root),
            ("LABEL=NIXOS_SD", root),
            ("UUID=44444444-4444-4444-8888-888888888888", root),
            ("/dev/disk/by-partuuid/2178694e-02", root),
            ("/dev/disk/by-partuuid/2178694e-03", Unknown),
            ("/dev/disk/by-partuuid/1111694e-02", Elsewhere),
            ("PARTUUID=0af0e371-4b1e-4b5c-8c1e-0d6a32e2b2b1", Elsewhere),
            ("/dev/disk/by-label/nixos", Elsewhere),
            ("/dev/disk/by-label/a\\x20b", Unknown),
            (
                "/dev/disk/by-uuid/0af0e371-4b1e-4b5c-8c1e-0d6a32e2b2b1",
                Elsewhere,
            ),
            ("/dev/disk/by-partlabel/disk-main-root", Elsewhere),
            ("/dev/disk/by-id/usb-Samsung_T7-0:0-part2", NamedDisk),
            ("/dev/disk/by-id/usb-Samsung_T7-0:0-part1", Elsewhere),
            ("/dev/disk/by-id/usb-Samsung_T7-0:0-part3", Elsewhere),
            ("/dev/disk/by-id/usb-Samsung_T7-0:0", Elsewhere),
            ("/dev/disk/by-id/dm-name-root-part2", Elsewhere),
            ("/dev/disk/by-path/platform-fe340000.mmc-part2", Unknown),
            ("/dev/disk/by-path/platform-fe340000.mmc-part4", Elsewhere),
            (
                "/dev/disk/by-path/platform-x-usb-0:1.2:1.0-scsi-0:0:0:0-part2",
                NamedDisk,
            ),
            ("/dev/mapper/cryptroot", Elsewhere),
            ("/dev/vg/root", Elsewhere),
            ("/dev/md0", Elsewhere),
            ("/dev/mmcblk1p2", Unknown),
            ("/dev/mmcblk0", Elsewhere),
            ("/dev/nvme0n1p3", Elsewhere),
            ("/dev/sda2", Unknown),
            ("/dev/sda", Elsewhere),
            ("/dev/sda1", Elsewhere),
            ("/dev/root", Unknown),
            ("none", Unknown),
        ] {
            assert_eq!(card().location(device, "ext4"), expected, "{device}");
        }
    }

    #[test]
    fn a_root_in_memory_needs_the_store_of_the_card() {
        let fault = |path: &str, device: &str| {
            let mount = |path, device, fs_type| Mount {
                path,
                device,
                fs_type,
            };
            card().root_fault(&[mount("/", "none", "tmpfs"), mount(path, device, "ext4")])
        };
        for (path, device) in [
            ("/nix", "/dev/disk/by-label/nixos"),
            ("/boot", "/dev/disk/by-label/FIRMWARE"),
            ("/data", "nas:/data"),
        ] {
            assert_eq!(fault(path, device), Some(RootFault::NoStore), "{path}");
        }
        for (path, device) in [
            ("/card", "LABEL=NIXOS_SD"),
            ("/persist", "/dev/mmcblk0p2"),
            ("/nix/.ro-store", "/dev/vg/store"),
        ] {
            assert_eq!(fault(path, device), None, "{path}");
        }
    }

    #[test]
    fn some_types_say_where_a_root_is() {
        for (device, fs_type, expected) in [
            ("rpool/root", "zfs", Elsewhere),
            ("none", "tmpfs", Memory),
            ("nas:/pi", "nfs", Unknown),
            ("/dev/mapper/root", "overlay", Unknown),
        ] {
            assert_eq!(card().location(device, fs_type), expected, "{fs_type}");
        }
        let unread = Card {
            has_unknown: true,
            ..card()
        };
        assert_eq!(unread.location("LABEL=data", "btrfs"), Unknown);
        assert_eq!(unread.location("/dev/sda7", "btrfs"), Unknown);
    }
}
