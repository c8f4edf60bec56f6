//! The files of the firmware partition, with which a board starts: U-Boot, device trees, the firmware of a Raspberry Pi. NixOS itself
//! never changes them.

use std::collections::{BTreeMap, BTreeSet};

use crate::script;
use crate::store_path::StorePath;
use sdbuild_core::failure::Failure;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::human_bytes::human_bytes;

/// Files at most: five times as many as a Raspberry Pi has.
const MAX_FILES: usize = 2_000;
/// What the names of the files end with. A kernel is not among them: a boot loader puts it there.
const SUFFIXES: [&str; 5] = ["bin", "dat", TREE, "dtbo", "elf"];
const TREE: &str = "dtb";
const OVERLAYS: &str = "overlays/";
/// Names the others, so it is the last to be replaced.
const SETTINGS: &str = "config.txt";

/// What the image of a configuration has in its firmware partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// The directory of the files.
    pub(crate) dir: StorePath,
    files: BTreeMap<String, File>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct File {
    size: u64,
    /// SHA-256 in hexadecimal.
    hash: String,
}

/// How the files of a machine are replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmwareChange {
    /// The names of the files that differ: groups that are replaced at once, in the order of the replacement.
    pub groups: Vec<Vec<String>>,
    /// Whether a replacement was interrupted.
    pub is_interrupted: bool,
    /// Bytes that are free there.
    free: u64,
    /// Bytes that a cluster takes.
    cluster: u64,
    /// The sizes of the files that are there.
    old: BTreeMap<String, u64>,
}

impl Firmware {
    /// Those in `dir`, without any file so far.
    pub(crate) fn new(dir: StorePath) -> Self {
        let files = BTreeMap::new();
        Self { dir, files }
    }

    /// Adds `size BYTES NAME` or `hash SHA256 NAME`, if the file is one of the firmware.
    pub(crate) fn note(&mut self, key: &str, text: &str) -> Result<(), String> {
        let (value, name) = text
            .split_once(' ')
            .ok_or_else(|| format!("the {key} {text:?}"))?;
        if !is_firmware(name) {
            return Ok(());
        }
        if self.files.len() > MAX_FILES {
            return Err("the firmware does not end".to_owned());
        }
        let file = self.files.entry(name.to_owned()).or_default();
        if key == "size" {
            file.size = value.parse().map_err(|_| format!("the size {value:?}"))?;
            return Ok(());
        }
        // It is a word of the script that runs on the machine.
        let hash: Sha256Hash = value.parse().map_err(|_| format!("the hash {value:?}"))?;
        file.hash = hash.to_string();
        Ok(())
    }

    /// Whether no file is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The arguments of `firmware.sh` that look at the files.
    pub(crate) fn to_look(&self) -> Vec<String> {
        let files = self.files.iter();
        let words = files.flat_map(|(name, file)| [file.size.to_string(), name.clone()]);
        [vec!["look".to_owned()], words.collect()].concat()
    }

    /// The arguments of `firmware.sh` that carry `change` out.
    pub(crate) fn to_put(&self, change: &FirmwareChange) -> Vec<String> {
        let mut words = vec!["put".to_owned(), self.dir.to_string()];
        for group in &change.groups {
            for name in group {
                let hash = self.files.get(name).map(|file| file.hash.clone());
                words.extend([hash.unwrap_or_default(), name.clone()]);
            }
            words.push(".".to_owned());
        }
        words
    }

    /// What differs from these files on a machine of which `firmware.sh` said this; `None` if it has no firmware partition.
    pub(crate) fn compare(&self, said: &str) -> Option<FirmwareChange> {
        let (free, cluster) = script::fact(said, "partition")?.split_once(' ')?;
        let cluster: u64 = cluster.parse().ok()?;
        let mut change = FirmwareChange {
            free: cluster.saturating_mul(free.parse().ok()?),
            cluster: cluster.max(1),
            ..FirmwareChange::default()
        };
        let mut same = BTreeSet::new();
        for (key, value) in script::facts(said) {
            let mut words = value.splitn(3, ' ');
            let (size, hash, name) = (words.next(), words.next(), words.next());
            let size: u64 = size.and_then(|size| size.parse().ok()).unwrap_or(0);
            if key == "left" {
                change.is_interrupted = true;
                change.free = change.free.saturating_add(change.on_disk(size));
            } else if key == "file"
                && let Some((name, file)) = self.files.get_key_value(name.unwrap_or_default())
            {
                change.old.insert(name.clone(), size);
                if size == file.size && hash == Some(&file.hash) {
                    same.insert(name);
                }
            }
        }
        let mut different: Vec<_> = self
            .files
            .keys()
            .filter(|name| !same.contains(*name))
            .cloned()
            .collect();
        different.sort_by(|one, other| change.place(one).cmp(&change.place(other)));
        let groups =
            different.chunk_by(|one, other| unit(one).is_some() && unit(one) == unit(other));
        change.groups = groups.map(<[String]>::to_vec).collect();
        Some(change)
    }

    /// Refuses a change for which the partition of `host` has no room: each group is there beside the old files for a while.
    pub fn check_room(&self, change: &FirmwareChange, host: &str) -> Result<(), Failure> {
        let mut free = change.free;
        for group in &change.groups {
            let new = group.iter().filter_map(|name| self.files.get(name));
            let needed = change.on_disk_together(new.map(|file| file.size));
            let Some(left) = free.checked_sub(needed) else {
                let text = format!(
                    "the firmware partition of {host} has {} free, and {} needs {} beside the old files",
                    human_bytes(free),
                    group.join(" with "),
                    human_bytes(needed)
                );
                let hint = "remove files there that nothing needs, or write the card again with a larger sdImage.firmwareSize";
                return Err(Failure::environment(text).hint(hint));
            };
            let old = group.iter().filter_map(|name| change.old.get(name));
            free = left.saturating_add(change.on_disk_together(old.copied()));
        }
        Ok(())
    }
}

impl FirmwareChange {
    /// Whether nothing differs, and nothing is left of another change.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && !self.is_interrupted
    }

    /// Where the file `name` is in the order: behind others, and beside what starts only with it. After each step the board has all
    /// files that those on it name: what is new comes first, and the settings, which name files, come last.
    fn place<'n>(&self, name: &'n str) -> (u8, Option<&'n str>) {
        let is_of_kernel = suffix(name) == TREE || name.starts_with(OVERLAYS);
        let unit = unit(name);
        let rank = match name {
            SETTINGS => 4,
            _ if unit.is_some() => 2,
            _ if !self.old.contains_key(name) => 0,
            _ if is_of_kernel => 1,
            _ => 3,
        };
        (rank, unit)
    }

    /// Bytes that files of these sizes take; they are what others say.
    fn on_disk_together(&self, sizes: impl Iterator<Item = u64>) -> u64 {
        let sizes = sizes.map(|size| self.on_disk(size));
        sizes.fold(0, u64::saturating_add)
    }

    fn on_disk(&self, size: u64) -> u64 {
        size.div_ceil(self.cluster).saturating_mul(self.cluster)
    }
}

/// Whether a board starts with the file `name`, a relative path.
fn is_firmware(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-/".contains(c);
    let is_inside = name
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.'));
    let is_known =
        name == SETTINGS || name.starts_with(OVERLAYS) || SUFFIXES.contains(&suffix(name));
    is_known && is_inside && !name.starts_with('-') && name.chars().all(is_plain)
}

fn suffix(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, suffix)| suffix)
}

/// What the files have in common that start only with each other: `start4.elf` and `fixup4.dat`.
fn unit(name: &str) -> Option<&str> {
    let start = name
        .strip_prefix("start")
        .and_then(|rest| rest.strip_suffix(".elf"));
    start.or_else(|| name.strip_prefix("fixup")?.strip_suffix(".dat"))
}

#[cfg(test)]
mod interruptions;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_path::fixture::path;

    /// The hash of the new files.
    const NEW: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn firmware(files: &[(&str, u64)]) -> Firmware {
        let mut firmware = Firmware::new(path('1', "firmware"));
        for (name, size) in files {
            firmware.note("size", &format!("{size} {name}")).unwrap();
            firmware.note("hash", &format!("{NEW} {name}")).unwrap();
        }
        firmware
    }

    #[test]
    fn only_files_that_a_board_starts_with_are_replaced() {
        let names = [
            "u-boot-rpi4.bin",
            "start.elf",
            "bcm2711-rpi-4-b.dtb",
            "overlays/README",
        ];
        let others = [
            "cmdline.txt",
            "kernel.img",
            "../x.bin",
            "/x.bin",
            "a b.bin",
            ".x.bin",
            "-x.bin",
            "overlays/../x",
        ];
        let all: Vec<_> = names.iter().chain(&others).map(|name| (*name, 1)).collect();
        let found: Vec<_> = firmware(&all).files.into_keys().collect();
        let mut names = names.to_vec();
        names.sort_unstable();
        assert_eq!(found, names);
        let mut firmware = firmware(&[]);
        firmware.note("size", "x config.txt").unwrap_err();
        firmware.note("size", "config.txt").unwrap_err();
        firmware.note("hash", ". config.txt").unwrap_err();
    }

    #[test]
    fn what_differs_is_replaced_in_the_order_in_which_the_board_still_starts() {
        let names = [
            "bcm.dtb",
            "config.txt",
            "fixup.dat",
            "fixup4.dat",
            "new.bin",
            "overlays/same.dtbo",
            "start.elf",
            "start4.elf",
            "u-boot.bin",
        ];
        let firmware = firmware(&names.map(|name| (name, 4)));
        let old = names.iter().filter(|name| **name != "new.bin");
        let hash = |name: &str| if name.contains("same") { NEW } else { "old" };
        let line = |name: &&str| format!("sdbuild: file 4 {} {name}\n", hash(name));
        let lines = old.map(line).collect::<Vec<_>>().concat();
        let said = format!("sdbuild: partition 8 512\n{lines}sdbuild: file 1 - other.bin\n");
        let change = firmware.compare(&said).unwrap();
        let groups: Vec<_> = change.groups.iter().map(|group| group.join(" ")).collect();
        let expected = [
            "new.bin",
            "bcm.dtb",
            "fixup.dat start.elf",
            "fixup4.dat start4.elf",
            "u-boot.bin",
            "config.txt",
        ];
        assert_eq!(groups, expected);
        assert_eq!(firmware.to_put(&change)[2..5], [NEW, "new.bin", "."]);
        let all_same = said.replace("4 old", &format!("4 {NEW}"))
            + &format!("sdbuild: file 4 {NEW} new.bin\n");
        assert!(firmware.compare(&all_same).unwrap().is_empty());
        let left = all_same + "sdbuild: left 3\n";
        assert!(!firmware.compare(&left).unwrap().is_empty());
        assert_eq!(firmware.compare("sdbuild: none\n"), None);
    }

    #[test]
    fn there_must_be_room_for_each_step() {
        let firmware = firmware(&[("a.bin", 1000), ("b.bin", 2000), ("config.txt", 1)]);
        let room = |clusters: u64, more: &str| {
            let said = format!("sdbuild: partition {clusters} 512\n{more}");
            firmware
                .check_room(&firmware.compare(&said).unwrap(), "pi")
                .is_ok()
        };
        // Two, four and one clusters; each replacement gives the old ones back.
        let old = "sdbuild: file 1000 - a.bin\nsdbuild: file 2000 - b.bin\nsdbuild: file 1 old config.txt\n";
        assert!(room(4, old) && !room(3, old));
        assert!(room(7, "") && !room(6, ""));
        assert!(room(3, &format!("{old}sdbuild: left 3\n")));
        // What is said may be wrong.
        let sizes = [("start.elf", u64::MAX), ("fixup.dat", u64::MAX)];
        let firmware = self::firmware(&sizes);
        let lines = sizes.map(|(name, size)| format!("sdbuild: file {size} - {name}\n"));
        let said = format!("sdbuild: partition {} 512\n{}", u64::MAX, lines.concat());
        let change = firmware.compare(&said).unwrap();
        firmware.check_room(&change, "pi").unwrap();
    }
}
