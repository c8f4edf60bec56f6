//! Which disk the user named, and why it is not written to.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use super::devices::{Disk, DiskKind};
use super::disk_inventory::{DeviceLookup, DiskInventory};
use super::sys_root::SysRoot;
use crate::common::failure::{Class, Failure};
use crate::common::human_bytes::human_bytes;
use crate::common::image_name::is_image_or_sidecar;

/// What to do in a container without disks.
const OUTSIDE: &str =
    "this is a container; run `sdbuild flash` outside it, on the machine with the card";

/// How a disk is named.
const BY_ITS_PATH: &str = "a disk is named by its path, such as /dev/sdX";

/// The flags that lift refusals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// Disks whose medium is not removable.
    pub fixed: bool,
    /// Unmounting the disk's file systems.
    pub unmount: bool,
}

/// The number of the block device at `path`, through symbolic links.
///
/// # Errors
///
/// When there is none; the hint names the removable disks of `inventory`.
pub fn device_number(path: &Path, inventory: &DiskInventory) -> Result<u64, Failure> {
    let shown = path.display();
    let failure = match fs::metadata(path) {
        Ok(found) if found.file_type().is_block_device() => return Ok(found.rdev()),
        Ok(found) if found.is_dir() && inventory.is_out_of_reach() => {
            let failure = Failure::usage(format!("{shown} is a directory, not a disk"));
            let is_device = path.starts_with("/dev");
            return Err(failure.hint(if is_device { OUTSIDE } else { BY_ITS_PATH }));
        }
        Ok(found) if found.is_dir() => {
            let failure = Failure::usage(format!("{shown} is a directory, not a disk"));
            failure
                .hint("give a disk, such as /dev/sdX; `lsblk` lists disks with their mount points")
        }
        Ok(found) if found.is_file() => {
            let failure = Failure::usage(format!("{shown} is a file, not a disk"));
            // That the machine's disks are out of reach says nothing about a file.
            let disks = (!inventory.is_out_of_reach()).then(|| present_disks(inventory));
            return Err(disks.into_iter().fold(failure, Failure::hint).hint(COPY));
        }
        Ok(_) if inventory.is_out_of_reach() => {
            return Err(Failure::usage(format!("{shown} is not a disk")));
        }
        Ok(_) => Failure::usage(format!("{shown} is not a disk")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let failure = Failure::usage(match unknown_disk(path) {
                Some(node) => format!("there is no disk {}", node.display()),
                None => format!("there is no {shown}"),
            });
            if is_image_or_sidecar(&path.to_string_lossy()) {
                return Err(failure.hint(present_disks(inventory)).hint(COPY));
            }
            if is_drive_letter(path) {
                failure
                    .hint("Linux names disks by their path, such as /dev/sdX; `lsblk` lists them")
            } else {
                failure
            }
        }
        Err(error) => Failure::new(Class::Usage, error).context(format!("examine {shown}")),
    };
    if let Some(meant) = device_of_name(path) {
        return Err(failure.hint(format!("a disk is named by its path: {}", meant.display())));
    }
    // Outside of a container there is no other file at such a path either.
    if inventory.is_out_of_reach() && node_of(path).or(unknown_disk(path)).is_none() {
        return Err(failure.hint(BY_ITS_PATH));
    }
    Err(failure.hint(present_disks(inventory)))
}

/// How an image is written to a file.
const COPY: &str =
    "flash writes only to disks. `cp` copies an image to a file, and `zstd -d` decompresses it";

/// Which removable disks there are, for a user who named one that there is not.
pub fn present_disks(inventory: &DiskInventory) -> String {
    if inventory.is_out_of_reach() {
        return OUTSIDE.to_owned();
    }
    let disk = |disk: &Disk| format!("{} ({})", disk.node(), describe_with_size(disk));
    let disks: Vec<_> = inventory.candidates().map(disk).collect();
    if disks.is_empty() {
        "there is no removable disk in this machine; insert the card".to_owned()
    } else {
        format!("removable disks in this machine: {}", disks.join(", "))
    }
}

/// `/dev/sdb` for a user who wrote `sdb`, if there is neither such a device nor such a file.
pub fn unknown_disk(path: &Path) -> Option<PathBuf> {
    let name = path.to_str().filter(|name| is_disk_name(name))?;
    let node = Path::new("/dev").join(name);
    (!path.exists() && !node.exists()).then_some(node)
}

/// Whether Linux gives disks and their partitions names like this one: `sdb`, `sdb1`, `mmcblk0`, `nvme0n1`.
fn is_disk_name(name: &str) -> bool {
    let is_lettered = |rest: &str| {
        let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        (1..=3).contains(&letters.len()) && letters.bytes().all(|b| b.is_ascii_lowercase())
    };
    let is_numbered = |rest: &str| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let behind = |starts: [&'static str; 2]| starts.map(|start| name.strip_prefix(start));
    behind(["sd", "vd"]).into_iter().flatten().any(is_lettered)
        || behind(["mmcblk", "nvme"])
            .into_iter()
            .flatten()
            .any(is_numbered)
}

/// Whether it is the name of a disk on Windows: `D:` or `D:\`.
fn is_drive_letter(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let letter = text.trim_end_matches(['\\', '/']).strip_suffix(':');
    letter.is_some_and(|letter| {
        letter.len() == 1 && letter.starts_with(|c: char| c.is_ascii_alphabetic())
    })
}

/// An error when this is a container without disks to write to.
pub fn check_reach(inventory: &DiskInventory) -> Result<(), Failure> {
    if inventory.is_out_of_reach() {
        return Err(Failure::environment("no disk of this machine can be reached").hint(OUTSIDE));
    }
    Ok(())
}

/// The disk that a user names by `path`: any path in `/dev`, or the name alone of a block device there, unless a file here has it.
pub fn node_of(path: &Path) -> Option<PathBuf> {
    if path.starts_with("/dev") {
        return Some(path.to_owned());
    }
    device_of_name(path).filter(|_| !path.exists())
}

/// `/dev/sdb` for a user who wrote `sdb`, as lsblk lists it, if there is such a block device.
fn device_of_name(path: &Path) -> Option<PathBuf> {
    let name = path.file_name().filter(|name| *name == path)?;
    let node = Path::new("/dev").join(name);
    let is_device = fs::metadata(&node).is_ok_and(|found| found.file_type().is_block_device());
    is_device.then_some(node)
}

/// The number as sysfs writes it: `8:16`.
pub(super) fn number_text(number: u64) -> String {
    format!("{}:{}", major(number), minor(number))
}

/// The disk with that number (`8:16`). Partitions, and what is not a disk to flash, are refused.
pub fn whole_disk(
    inventory: &DiskInventory,
    root: &SysRoot,
    number: &str,
) -> Result<Disk, Failure> {
    match inventory.find(root, number) {
        DeviceLookup::Disk(disk) if disk.kind == DiskKind::Other => Err(Failure::usage(format!(
            "{} is not a disk that an image can be flashed to",
            disk.node()
        ))),
        DeviceLookup::Disk(disk) => Ok(disk.clone()),
        DeviceLookup::Partition(disk) => {
            let node = disk.node();
            let text = format!("it is a partition of {node}, and an image needs a whole disk");
            Err(Failure::usage(text).hint(format!("give {node}, if all of it may be lost")))
        }
        DeviceLookup::Unknown => Err(Failure::environment(format!(
            "the kernel's list of disks has no device {number}"
        ))),
    }
}

/// Checks that an image of `image_size` bytes (0 while unknown) may be written to `disk`.
pub fn check(disk: &Disk, allowed: Allowed, image_size: u64) -> Result<(), Failure> {
    let node = disk.node();
    if !disk.system.is_empty() {
        let own = if disk.system.iter().any(|part| part == "/") {
            "is this machine's own disk: it holds"
        } else {
            "holds"
        };
        let text = format!("{node} {own} {}", disk.system.join(", "));
        return Err(
            Failure::usage(text).hint("flash never writes to such a disk; give another one")
        );
    }
    if !disk.removable && !allowed.fixed {
        let text = format!("{node} is not removable ({})", describe(disk));
        return Err(Failure::usage(text).hint("to write to it anyway, give --allow-fixed"));
    }
    if disk.size == 0 {
        return Err(Failure::usage(format!("there is no card in {node}")));
    }
    if disk.read_only {
        let text = format!("{node} is read-only");
        return Err(Failure::usage(text).hint("an SD card has a lock switch on its side"));
    }
    check_size(disk, image_size)?;
    if !disk.holders.is_empty() {
        let text = format!("{node} is in use by {}", disk.holders.join(", "));
        return Err(Failure::usage(text).hint("close or stop that first"));
    }
    let mounted: Vec<_> = disk
        .mounted()
        .map(|path| path.display().to_string())
        .collect();
    if !mounted.is_empty() && !allowed.unmount {
        let text = format!("{node} is mounted at {}", mounted.join(", "));
        return Err(Failure::usage(text).hint("unmount it, or give --unmount"));
    }
    Ok(())
}

/// Checks that an image of `size` bytes fits.
pub(super) fn check_size(disk: &Disk, size: u64) -> Result<(), Failure> {
    if size <= disk.size {
        return Ok(());
    }
    let (node, has, needs) = (disk.node(), human_bytes(disk.size), human_bytes(size));
    let text = format!("{node} is too small: it has {has} ({} bytes)", disk.size);
    Err(Failure::usage(format!(
        "{text}, but the image has {needs} ({size})"
    )))
}

/// The disk's model, bus and size.
pub(super) fn describe_with_size(disk: &Disk) -> String {
    format!("{}, {}", describe(disk), human_bytes(disk.size))
}

/// The disk's model and bus.
pub(super) fn describe(disk: &Disk) -> String {
    match disk.model.as_str() {
        "" => disk.bus.to_owned(),
        model => format!("{model}, {}", disk.bus),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_disks_are_told_from_names_of_images() {
        for name in ["sdb", "sdb1", "vda", "mmcblk0", "mmcblk0p1", "nvme0n1"] {
            assert!(is_disk_name(name), "{name}");
        }
        for name in [
            "sd", "sd1", "sdcard", "sdb.img", "sd-a", "pi", "mmcblk", "SDB",
        ] {
            assert!(!is_disk_name(name), "{name}");
        }
    }

    #[test]
    fn a_disk_that_is_not_there_is_named_by_its_path() {
        let named = |name: &str| unknown_disk(Path::new(name));
        assert_eq!(named("sdzzz"), Some(PathBuf::from("/dev/sdzzz")));
        assert_eq!(named("/dev/sdzzz"), None);
        assert_eq!(named("pi.img"), None);
    }
}
