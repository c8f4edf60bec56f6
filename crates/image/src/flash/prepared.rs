//! One flash: which disk it is, why it is not written to, and what it holds, before the user is asked; then the steps after.

use std::cmp::Reverse;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, io};

use nix::errno::Errno;
use nix::sys::stat::{major, minor};
use nix::unistd::{AccessFlags, access};

use super::disks;
use super::disks::{DeviceLookup, Disk, DiskInventory, DiskKind, Part, SysRoot};
use super::source::FlashSource;
use super::verify;
use super::write;
use super::write::{DiskBlock, SharedWriteState, Target, WriteState};
use crate::disk::Section;
use crate::report::{Layout, PartitionReport};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Phase};
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::shell_word::quoted;

/// How often an unmounted disk is opened. A container that an engine starts at this moment begins with a copy of all mounts, and keeps
/// the disk in use until it has given them up.
const ATTEMPTS: u32 = 20;
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(250);

/// The image, the disk and the flags of a run.
#[derive(Clone, Debug)]
pub struct FlashRequest {
    /// A path of the disk.
    pub device: PathBuf,
    /// The flags that lift refusals.
    pub allowed: Allowed,
    /// Whether the disk is read back.
    pub verify: bool,
    /// Whether an image without a partition table is written too.
    pub raw: bool,
    /// The arguments of `sdbuild`, quoted for a shell: what a user without permission is to run as root.
    pub arguments: String,
}

/// Finds out what is to be changed on a disk that has the image: blocks in order, which do not overlap.
pub type Change<'a> = &'a mut dyn FnMut(&Section) -> Result<Vec<DiskBlock>, Failure>;

/// An image and a disk that may be written to once the user agrees.
#[derive(Debug)]
pub struct PreparedFlash {
    source: FlashSource,
    request: FlashRequest,
    /// The disk as it was examined.
    pub disk: Disk,
    /// The number of the device.
    number: u64,
}

/// Checks the image and the disk; changes nothing.
pub fn prepare(
    source: FlashSource,
    request: FlashRequest,
    context: &Context,
) -> Result<PreparedFlash, Failure> {
    // What is wrong with the disk does not matter for a file that is no image.
    if !request.raw {
        source.check_table(&context.cancel)?;
    }
    let root = SysRoot::here();
    let device = &request.device;
    let inventory = DiskInventory::take(&root, &source.path)?;
    let (number, disk) = find(device, &inventory, &root)?;
    check(&disk, request.allowed, source.size)?;
    if let Some(size) = source.trailer_size() {
        let hint = "the end of the file states that length. If it is wrong, the file is damaged or incomplete";
        check_size(&disk, size).map_err(|failure| failure.hint(hint))?;
    }
    check_permission(&request, &disk)?;
    source.check(context)?;
    Ok(PreparedFlash {
        source,
        request,
        disk,
        number,
    })
}

impl PreparedFlash {
    /// What will be lost, one line each; the disk itself first.
    pub fn lost(&self, context: &Context) -> Vec<String> {
        lost_lines(&self.disk, &self.request.device, &context.cancel)
    }

    /// Unmounts, writes, reads back, makes the changes that `change` asks for, and makes the kernel read the new partition table.
    pub fn run(
        self,
        context: &Context,
        state: &SharedWriteState,
        change: Option<Change<'_>>,
    ) -> Result<(), Failure> {
        let now = self.look_again()?;
        let mut points: Vec<_> = now.mounted().collect();
        // A mount below another one is unmounted first.
        points.sort_by_key(|point| Reverse(point.components().count()));
        let attempts = if points.is_empty() { 1 } else { ATTEMPTS };
        points.into_iter().try_for_each(|point| unmount(point))?;
        let mut target = self.open(attempts, &context.cancel)?;
        if self.request.verify {
            context.events.emit(Event::ToCome(vec![Phase::Verify]));
        }
        let written = context.blocking_phase(Phase::Flash, || {
            write::write(&self.source, &mut target, context, state)
        })?;
        if self.request.verify {
            context.blocking_phase(Phase::Verify, || verify(written, &target, context, state))?;
        }
        if let Some(change) = change {
            self.change(change, &target, context, state)?;
        }
        // The kernel cannot read the partitions while the disk is open exclusively.
        drop(target);
        self.reread(context);
        Ok(())
    }

    /// Makes the changes that `change` asks for, and reads them back.
    fn change(
        &self,
        change: Change<'_>,
        target: &Target,
        context: &Context,
        state: &SharedWriteState,
    ) -> Result<(), Failure> {
        state.set(WriteState::Unchanged);
        // Through the page cache, as nobody else can write to it.
        let file = File::open(&self.request.device).or_environment("read the card")?;
        let number = file.metadata().or_environment("examine the card")?.rdev();
        let now = disks::read_disk(&SysRoot::here(), self.disk.name.clone());
        self.check_same(number, &now)?;
        let blocks = change(&Section::whole(file, target.size, &context.cancel))?;
        state.set(WriteState::HalfWritten);
        let changed = target.change(&blocks, self.request.verify);
        changed.or_environment("write the files to the card")
    }

    fn reread(&self, context: &Context) {
        let device = &self.request.device;
        let Err(failure) = reread(device) else {
            return;
        };
        // udev does the same as soon as the disk is closed, and one of the two may find it busy. A loop
        // device has partitions only when it was set up for them.
        let now = disks::read_disk(&SysRoot::here(), self.disk.name.clone());
        if self.disk.kind == DiskKind::Disk && !kernel_has_table(&now, device, &context.cancel) {
            context.events.warn(format!(
                "the kernel did not read the card's new partition table ({failure}): remove the card and \
                 insert it again"
            ));
        }
    }

    /// The disk as it is now. While the user was asked, the card may have been changed, and what was mounted from it;
    /// another disk may even be mounted at the same place, and must stay there.
    fn look_again(&self) -> Result<Disk, Failure> {
        let root = SysRoot::here();
        let inventory = DiskInventory::take(&root, &self.source.path)?;
        let gone = |_| Failure::environment(format!("{} is gone", self.disk.node()));
        let device = &self.request.device;
        let (number, now) = find(device, &inventory, &root).map_err(gone)?;
        self.check_same(number, &now)?;
        check(&now, self.request.allowed, self.source.size)?;
        Ok(now)
    }

    /// Checks that the device `number`, which is `now`, is the disk that was examined.
    fn check_same(&self, number: u64, now: &Disk) -> Result<(), Failure> {
        let identity = |disk: &Disk| (disk.sequence, disk.size, disk.model.clone());
        if number == self.number && identity(now) == identity(&self.disk) {
            return Ok(());
        }
        let node = self.disk.node();
        Err(Failure::environment(format!(
            "{node} is a different disk now"
        )))
    }

    /// Opens the disk, in several attempts if it is still in use after it was unmounted.
    fn open(&self, attempts: u32, cancel: &Cancel) -> Result<Target, Failure> {
        let request = &self.request;
        let mut target = Target::open(&request.device);
        for _ in 1..attempts {
            let is_busy = |error: &io::Error| error.raw_os_error() == Some(Errno::EBUSY as i32);
            if !target.as_ref().is_err_and(is_busy) || cancel.is_cancelled() {
                break;
            }
            std::thread::park_timeout(ATTEMPT_INTERVAL);
            target = Target::open(&request.device);
        }
        let target = target.map_err(|e| open_failure(&e, &self.disk.node(), &request.arguments))?;
        let number = target.number().or_environment("examine the disk")?;
        // The open disk stays what it is.
        let now = disks::read_disk(&SysRoot::here(), self.disk.name.clone());
        self.check_same(number, &now)?;
        let opened = Disk {
            size: target.size,
            ..self.disk.clone()
        };
        check_size(&opened, self.source.size)?;
        Ok(target)
    }
}

/// Checks that this user may write to the disk.
fn check_permission(request: &FlashRequest, disk: &Disk) -> Result<(), Failure> {
    access(&request.device, AccessFlags::R_OK | AccessFlags::W_OK)
        .map_err(|error| open_failure(&error.into(), &disk.node(), &request.arguments))
}

/// `sudo` with the absolute path of this program: sudo's own search path lacks `~/.cargo/bin`.
fn sudo_command(arguments: &str) -> String {
    let program = std::env::current_exe().ok();
    let path = program.as_deref().and_then(Path::to_str).map(quoted);
    let path = path.unwrap_or_else(|| "\"$(command -v sdbuild)\"".to_owned());
    format!("sudo {path} {arguments}")
}

/// Why a disk cannot be opened; `arguments` are those of `sdbuild`.
fn open_failure(error: &io::Error, node: &str, arguments: &str) -> Failure {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES | Errno::EPERM) => {
            Failure::environment(format!("this user may not write to {node}"))
                .hint(format!("run it as root: {}", sudo_command(arguments)))
                .hint(format!("or `sudo setfacl -m u:$USER:rw {node}` until the card is removed"))
                .hint("on Debian and Ubuntu the group disk may write to all disks, which is as powerful as root")
        }
        Some(Errno::EBUSY) => {
            let hint = "a file system, a mapping, swap or another program uses it; close that first";
            Failure::environment(format!("{node} is in use")).hint(hint)
        }
        Some(Errno::EROFS) => Failure::usage(format!("{node} is read-only")),
        Some(Errno::ENOMEDIUM | Errno::ENXIO) => {
            Failure::environment(format!("there is no card in {node}"))
        }
        _ => Failure::environment(format!("open {node}: {error}")),
    }
}

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
fn describe_with_size(disk: &Disk) -> String {
    format!("{}, {}", describe(disk), human_bytes(disk.size))
}

/// The disk's model and bus.
pub(super) fn describe(disk: &Disk) -> String {
    match disk.model.as_str() {
        "" => disk.bus.to_owned(),
        model => format!("{model}, {}", disk.bus),
    }
}

/// A `lost_line` about the disk, then one about each of its partitions.
fn lost_lines(disk: &Disk, device: &Path, cancel: &Cancel) -> Vec<String> {
    let mut lost_lines = vec![format!("{}: {}", disk.node(), describe_with_size(disk))];
    let found = read_partitions(device, cancel);
    let (whole, parts) = disk
        .parts
        .split_first()
        .map_or((None, [].as_slice()), |(whole, parts)| (Some(whole), parts));
    if parts.is_empty() && found.is_empty() {
        let kind = whole.and_then(|whole| whole.kind.as_deref());
        lost_lines.push(format!("  {}", kind.unwrap_or("no partitions")));
    } else if parts.is_empty() {
        lost_lines.extend(found.iter().map(unknown_to_kernel));
    } else {
        lost_lines.extend(parts.iter().map(|part| {
            let number = |found: &PartitionReport| u64::from(found.partition.number);
            lost_line(
                part,
                found.iter().find(|found| number(found) == part.number),
            )
        }));
    }
    lost_lines
}

/// Whether the kernel's partitions of the disk are those of the table on it.
fn kernel_has_table(disk: &Disk, device: &Path, cancel: &Cancel) -> bool {
    let found = read_partitions(device, cancel);
    let table = found.iter().map(|found| &found.partition);
    let table = table.filter(|partition| partition.number > 0);
    let table: Vec<_> = table.map(|p| (u64::from(p.number), p.size)).collect();
    let parts = disk.parts.iter().skip(1);
    let kernel: Vec<_> = parts.map(|part| (part.number, part.size)).collect();
    table == kernel
}

/// A `lost_line` about a partition. udev's facts come first, then those on the disk.
fn lost_line(part: &Part, found: Option<&PartitionReport>) -> String {
    let fs = found.and_then(|found| found.file_system.as_ref());
    let kind = part.kind.clone().or_else(|| fs.map(|fs| fs.kind.clone()));
    let label = part.label.clone();
    let label = label.or_else(|| fs.and_then(|fs| fs.label.clone()));
    let mounted = part.mounted.iter();
    let mut words = vec![human_bytes(part.size)];
    words.extend(kind);
    words.extend(label.map(|label| format!("label {label}")));
    words.extend(mounted.map(|point| format!("mounted at {}", point.display())));
    format!("  {}: {}", part.name, words.join(", "))
}

/// A `lost_line` about a partition that only the disk has.
fn unknown_to_kernel(found: &PartitionReport) -> String {
    let part = Part {
        name: match found.partition.number {
            0 => "file system".to_owned(),
            number => format!("partition {number}"),
        },
        number: found.partition.number.into(),
        size: found.partition.size,
        kind: None,
        label: None,
        mounted: Vec::new(),
    };
    lost_line(&part, Some(found))
}

/// The partitions on the disk itself; none when it cannot be read.
fn read_partitions(device: &Path, cancel: &Cancel) -> Vec<PartitionReport> {
    let read = || {
        let mut file = File::open(device).ok()?;
        let size = file.seek(SeekFrom::End(0)).ok()?;
        Layout::read(&Section::whole(file, size, cancel)).ok()
    };
    read().map(|layout| layout.partitions).unwrap_or_default()
}

/// Directories that are searched for the programs, NixOS' set-user-id wrappers first. A user's `PATH`
/// often lacks `sbin`.
const PROGRAM_DIRS: [&str; 6] = [
    "/run/wrappers/bin",
    "/run/current-system/sw/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Unmounts the file system at `point`.
fn unmount(point: &Path) -> Result<(), Failure> {
    let hint = "close the programs that use it, or unmount it yourself";
    run_tool("umount", &[Path::new("--"), point]).map_err(|failure| {
        failure
            .context(format!("unmount {}", point.display()))
            .hint(hint)
    })
}

/// Makes the kernel read the partition table of `node` again.
fn reread(node: &Path) -> Result<(), Failure> {
    run_tool("blockdev", &[Path::new("--rereadpt"), node])
}

fn run_tool(program: &str, args: &[&Path]) -> Result<(), Failure> {
    let paths = PROGRAM_DIRS.iter().map(|dir| Path::new(dir).join(program));
    let path: Option<PathBuf> = paths.into_iter().find(|path| path.is_file());
    let path =
        path.ok_or_else(|| Failure::environment(format!("{program} is not on this machine")))?;
    let mut command = Command::new(path);
    command
        .args(args)
        .stdin(Stdio::null())
        .env("LC_ALL", "C.UTF-8");
    let output = command.output().or_environment(format!("run {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Failure::environment(stderr.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_permission_hints_at_a_working_sudo_command() {
        let failure = open_failure(
            &Errno::EACCES.into(),
            "/dev/sdx",
            "flash 'a b.img' /dev/sdx",
        );
        let this = std::env::current_exe().unwrap();
        assert!(this.is_absolute());
        let this = quoted(this.to_str().unwrap());
        let command = format!(": sudo {this} flash 'a b.img' /dev/sdx");
        assert!(failure.hints[0].contains(&command), "{:?}", failure.hints);
        assert!(failure.hints[1].contains("setfacl -m u:$USER:rw /dev/sdx"));
    }
}
