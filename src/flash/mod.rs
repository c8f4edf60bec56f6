//! Flash: writes an image to a removable disk and reads it back.
//!
//! Promises: never writes to a disk that this machine, swap or the image itself depends on, whatever was
//! allowed; opens a disk so that the kernel itself refuses one that is in use; in the end what
//! was written reads as the image does, compared by hashes of what was read back; zeros that the disk had already
//! are looked at once, before. What went wrong is told together with
//! what the card holds then. Refuses: partitions, mappings, arrays; to change anything before the user
//! agreed. Uses image (decompression, what is on a disk) and blockmap.

mod buffer;
mod check;
mod contents;
pub mod devices;
pub mod disk_inventory;
mod mounts;
mod pieces;
pub mod refusal;
mod runs;
mod sidecars;
pub mod source;
pub mod state;
mod sys_root;
pub mod target;
mod tools;
pub mod verify;
pub mod write;

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;

pub use devices::Disk;
pub use disk_inventory::DiskInventory;
pub use refusal::Allowed;
pub use source::Source;
pub use state::SharedWriteState;
pub use sys_root::SysRoot;

use crate::common::cancel::Cancel;
use crate::common::event::{Event, Events, Phase};
use crate::common::failure::{Failure, OrFail as _};
use crate::common::shell_word::quoted;
use target::Target;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct FlashRequest {
    /// The disk, by whatever name.
    pub device: PathBuf,
    /// What the user allowed.
    pub allowed: Allowed,
    /// Whether the disk is read back.
    pub verify: bool,
}

/// An image and a disk that may be written to once the user agreed.
#[derive(Debug)]
pub struct PreparedFlash {
    source: Source,
    request: FlashRequest,
    /// The disk as it was looked at.
    pub disk: Disk,
    number: u64,
}

/// Looks at image and disk; nothing is changed.
pub fn prepare(
    source: Source,
    request: FlashRequest,
    watch: (&Cancel, &Events),
) -> Result<PreparedFlash, Failure> {
    let tree = SysRoot::here();
    let device = &request.device;
    let number = refusal::number(device)?;
    let survey = DiskInventory::take(&tree, &source.path);
    let disk = refusal::whole_disk(&survey, &tree, &refusal::as_text(number))?;
    refusal::check(&disk, request.allowed, source.size)?;
    permitted(device, &disk)?;
    if source.lacks_table() {
        watch
            .1
            .warn("the image has no partition table: boards do not boot from such a card");
    }
    source.check(watch)?;
    Ok(PreparedFlash {
        source,
        request,
        disk,
        number,
    })
}

impl PreparedFlash {
    /// What the user loses, one line each; the disk itself first.
    pub fn lost(&self, cancel: &Cancel) -> Vec<String> {
        contents::lines(&self.disk, &self.request.device, cancel)
    }

    /// Unmounts, writes, reads back, has the kernel read the partition table anew.
    pub fn run(
        self,
        (cancel, events, state): (&Cancel, &Events, &SharedWriteState),
    ) -> Result<(), Failure> {
        let mut points: Vec<_> = self.disk.mounted().collect();
        // What is mounted below another goes first.
        points.sort_by_key(|point| Reverse(point.components().count()));
        points
            .into_iter()
            .try_for_each(|point| tools::unmount(point))?;
        let mut target = self.open()?;
        let watch = (cancel, events, state);
        let written = phase(events, Phase::Flash, || {
            write::write(&self.source, &mut target, watch)
        })?;
        if self.request.verify {
            phase(events, Phase::Verify, || {
                verify::verify(written, &target, watch)
            })?;
        }
        // Nobody can claim the disk to read its partitions while we hold it.
        drop(target);
        self.reread(cancel, events);
        Ok(())
    }

    fn reread(&self, cancel: &Cancel, events: &Events) {
        let device = &self.request.device;
        let Err(failure) = tools::reread(device) else {
            return;
        };
        // udev does the same as soon as we close the disk, and one of the two may find it busy. A loop
        // device shows partitions only when it was made to.
        let now = devices::disk(&SysRoot::here(), self.disk.name.clone());
        if self.disk.kind == devices::DiskKind::Disk
            && !contents::table_is_seen(&now, device, cancel)
        {
            let text = "the kernel did not read the card's new partition table";
            events.warn(format!(
                "{text} ({failure}): take it out and put it in again"
            ));
        }
    }

    fn open(&self) -> Result<Target, Failure> {
        let node = self.disk.node();
        let target = Target::open(&self.request.device).map_err(|e| refused(&e, &node))?;
        // While the user thought about it, cards and disks may have been changed.
        let now = devices::disk(&SysRoot::here(), self.disk.name.clone());
        let same = |disk: &Disk| (disk.sequence, disk.size, disk.model.clone());
        let number = target.number().or_environment("look at the disk")?;
        if number != self.number || same(&now) != same(&self.disk) {
            return Err(Failure::environment(format!("{node} is another disk now")));
        }
        refusal::too_small(
            &Disk {
                size: target.size,
                ..self.disk.clone()
            },
            self.source.size,
        )?;
        Ok(target)
    }
}

/// Does `work` as a phase that people see.
fn phase<T>(
    events: &Events,
    phase: Phase,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let started = Instant::now();
    events.emit(Event::Started(phase));
    let done = work()?;
    events.emit(Event::Finished(phase, started.elapsed()));
    Ok(done)
}

/// Whether we may write to the disk, asked before the user is.
fn permitted(device: &Path, disk: &Disk) -> Result<(), Failure> {
    use nix::unistd::{AccessFlags, access};
    match access(device, AccessFlags::R_OK | AccessFlags::W_OK) {
        Ok(()) => Ok(()),
        Err(error) => Err(refused(&error.into(), &disk.node())),
    }
}

/// This program by `sudo`, which looks for programs in directories of its own, where `~/.cargo/bin` is none.
fn as_root() -> String {
    let this = std::env::current_exe().ok();
    let path = this.as_deref().and_then(Path::to_str).map(quoted);
    let path = path.unwrap_or_else(|| "\"$(command -v sdbuild)\"".to_owned());
    format!("`sudo {path}`")
}

/// Why a disk cannot be opened.
fn refused(error: &io::Error, node: &str) -> Failure {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES | Errno::EPERM) => {
            Failure::environment(format!("{node} is not open to this user"))
                .hint(format!(
                    "run the same command as root, with {} in the place of sdbuild",
                    as_root()
                ))
                .hint(format!("or `sudo setfacl -m u:$USER:rw {node}` until the card is taken out"))
                .hint("on Debian and Ubuntu the group disk may write to all disks, which is as good as being root")
        }
        Some(Errno::EBUSY) => {
            let hint = "a file system, a mapping, swap or another program has it: close that first";
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
    fn who_may_not_write_is_told_a_command_that_sudo_finds() {
        let failure = refused(&Errno::EACCES.into(), "/dev/sdx");
        let this = std::env::current_exe().unwrap();
        assert!(this.is_absolute());
        let command = format!("`sudo {}`", quoted(this.to_str().unwrap()));
        assert!(failure.hints[0].contains(&command), "{:?}", failure.hints);
        assert!(failure.hints[1].contains("setfacl -m u:$USER:rw /dev/sdx"));
    }
}
