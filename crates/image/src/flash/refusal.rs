//! Which disk the user named, and why it is not written to.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use nix::sys::stat::{major, minor};

use super::devices::{Disk, DiskKind};
use super::disk_inventory::{DeviceLookup, DiskInventory};
use super::sys_root::SysRoot;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::human_bytes::human_bytes;

/// What to do in a container without disks.
const OUTSIDE: &str =
    "this is a container; run `sdbuild flash` outside it, on the machine with the card";

/// The flags that lift refusals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// Disks whose medium is not removable.
    pub fixed: bool,
    /// Unmounting the disk's file systems.
    pub unmount: bool,
}

/// The number of the block device at `path`, through symbolic links, and the disk.
///
/// # Errors
///
/// There is none, or it is not a whole disk.
pub fn find(
    path: &Path,
    inventory: &DiskInventory,
    root: &SysRoot,
) -> Result<(u64, Disk), Failure> {
    let shown = path.display();
    let failure = match fs::metadata(path) {
        Ok(found) if found.file_type().is_block_device() => {
            let number = found.rdev();
            let disk = whole_disk(inventory, root, &number_text(number))?;
            return Ok((number, disk));
        }
        Ok(_) => Failure::usage(format!("{shown} is not a disk")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Failure::usage(format!("there is no {shown}"))
        }
        Err(error) => Failure::new(Class::Usage, error).context(format!("examine {shown}")),
    };
    Err(failure.hint(present_disks(inventory)))
}

/// The removable disks that can be named instead.
fn present_disks(inventory: &DiskInventory) -> String {
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

/// An error when this is a container without disks to write to.
pub fn check_reach(inventory: &DiskInventory) -> Result<(), Failure> {
    if inventory.is_out_of_reach() {
        return Err(Failure::environment("no disk of this machine can be reached").hint(OUTSIDE));
    }
    Ok(())
}

/// The number as sysfs writes it: `8:16`.
fn number_text(number: u64) -> String {
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
