//! One flash: the checks before the user is asked, and the steps after.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::contents;
use super::devices;
use super::devices::{Disk, DiskKind};
use super::disk_inventory::DiskInventory;
use super::refusal;
use super::refusal::Allowed;
use super::source::FlashSource;
use super::state::SharedWriteState;
use super::sys_root::SysRoot;
use super::target::Target;
use super::tools;
use super::verify;
use super::write;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Phase};
use sdbuild_core::failure::{Failure, OrFail as _};
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
    let (number, disk) = refusal::find(device, &inventory, &root)?;
    refusal::check(&disk, request.allowed, source.size)?;
    if let Some(size) = source.trailer_size() {
        let hint = "the end of the file states that length. If it is wrong, the file is damaged or incomplete";
        refusal::check_size(&disk, size).map_err(|failure| failure.hint(hint))?;
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
        contents::lines(&self.disk, &self.request.device, &context.cancel)
    }

    /// Unmounts, writes, reads back, and makes the kernel read the new partition table.
    pub fn run(self, context: &Context, state: &SharedWriteState) -> Result<(), Failure> {
        let now = self.look_again()?;
        let mut points: Vec<_> = now.mounted().collect();
        // A mount below another one is unmounted first.
        points.sort_by_key(|point| Reverse(point.components().count()));
        let attempts = if points.is_empty() { 1 } else { ATTEMPTS };
        points
            .into_iter()
            .try_for_each(|point| tools::unmount(point))?;
        let mut target = self.open(attempts, &context.cancel)?;
        if self.request.verify {
            context.events.emit(Event::ToCome(vec![Phase::Verify]));
        }
        let written = context.blocking_phase(Phase::Flash, || {
            write::write(&self.source, &mut target, context, state)
        })?;
        if self.request.verify {
            context.blocking_phase(Phase::Verify, || {
                verify::verify(written, &target, context, state)
            })?;
        }
        // The kernel cannot read the partitions while the disk is open exclusively.
        drop(target);
        self.reread(context);
        Ok(())
    }

    fn reread(&self, context: &Context) {
        let device = &self.request.device;
        let Err(failure) = tools::reread(device) else {
            return;
        };
        // udev does the same as soon as the disk is closed, and one of the two may find it busy. A loop
        // device has partitions only when it was set up for them.
        let now = devices::read_disk(&SysRoot::here(), self.disk.name.clone());
        if self.disk.kind == DiskKind::Disk
            && !contents::kernel_has_table(&now, device, &context.cancel)
        {
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
        let (number, now) = refusal::find(device, &inventory, &root).map_err(gone)?;
        self.check_same(number, &now)?;
        refusal::check(&now, self.request.allowed, self.source.size)?;
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
        let now = devices::read_disk(&SysRoot::here(), self.disk.name.clone());
        self.check_same(number, &now)?;
        let opened = Disk {
            size: target.size,
            ..self.disk.clone()
        };
        refusal::check_size(&opened, self.source.size)?;
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
