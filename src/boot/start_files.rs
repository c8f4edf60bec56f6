//! What QEMU loads before the machine starts, as files: what a Raspberry Pi's firmware would load from the image, or a system that
//! starts from memory.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::boot::archive_start::{ArchivePart, archive_start};
use crate::boot::copy_in;
use crate::boot::device_tree;
use crate::boot::disk::{Disk, open_path};
use crate::boot::qcow2;
use crate::boot::qemu::DirectStart;
use crate::boot::request::BootRequest;
use crate::common::board::Wiring;
use crate::common::context::Context;
use crate::common::failure::{Class, Failure, OrFail as _};
use crate::common::human_bytes::human_bytes;
use crate::image::{PiStart, pi_start};

/// U-Boot replaces the device tree that was made to fit the model.
const TREE_IN_MENU: &str = "the boot menu names a device tree with devices that QEMU's model lacks, so Linux will \
                            probably panic. Set boot.loader.generic-extlinux-compatible.useGenerationDeviceTree = false \
                            to use the one on the firmware partition";

/// Files without names, which live as long as this value.
#[derive(Debug)]
pub(super) struct StartFiles {
    kernel: File,
    device_tree: Option<File>,
    initrd: Option<File>,
    command_line: Option<String>,
    /// The card of a board: a qcow2 file over the image. An SD card of QEMU's has a power of two bytes.
    card: Option<File>,
}

impl StartFiles {
    /// Takes the files out of the image; `None` for a disk on a machine that has firmware of its own. `backing` is the path by which
    /// QEMU opens the image.
    pub(super) async fn take(
        disk: &Disk,
        backing: PathBuf,
        request: &BootRequest,
        context: &Context,
    ) -> Result<Option<Self>, Failure> {
        let (file, scratch) = (disk.file()?, request.scratch.clone());
        let memory = u64::from(request.memory_mib) << 20;
        let read = tokio::task::spawn_blocking(move || from_archive(&file, &scratch, memory));
        let from_archive = context.cancel.race(read).await?;
        let from_archive = from_archive.or_internal("read the archive")??;
        if request.model.wiring == Wiring::Virtio {
            return Ok(from_archive);
        }
        if from_archive.is_some() {
            let text = "the image starts from memory, by network or kexec, and cannot boot from a board's card";
            return Err(Failure::usage(text).hint("leave out --board"));
        }
        let (file, board, cancel) = (disk.file()?, request.board, context.cancel.clone());
        let read = tokio::task::spawn_blocking(move || pi_start(file, board, &cancel));
        let read = context.cancel.race(read).await?;
        let what = format!("read what a {} starts", board.title);
        let start = read
            .or_internal(&what)?
            .map_err(|error| error.fail(&what))?;
        let mut start = start.unwrap_or_default();
        if let (Some(tree), Wiring::RaspberryPi { absent, .. }) =
            (&mut start.device_tree, request.model.wiring)
        {
            device_tree::remove(tree, absent);
            if start.has_tree_in_menu && !absent.is_empty() {
                context.events.warn(TREE_IN_MENU);
            }
        }
        let title = board.title;
        let missing = start.missing.iter().map(|what| format!("missing: {what}"));
        for text in missing.chain(start.notes.iter().cloned()) {
            context
                .events
                .warn(format!("the image for a {title}: {text}"));
        }
        Self::write(start, &backing, disk.len()?, &request.scratch, title).map(Some)
    }

    fn write(
        start: PiStart,
        backing: &Path,
        size: u64,
        scratch: &Path,
        title: &str,
    ) -> Result<Self, Failure> {
        let (Some(kernel), Some(tree)) = (start.kernel, start.device_tree) else {
            let text = format!(
                "a {title} cannot start this image, which lacks: {}",
                start.missing.join("; ")
            );
            return Err(Failure::message(Class::Build, text).hint(
                "`sdbuild inspect -v` shows which boards the image can boot on, and what the others lack",
            ));
        };
        // QEMU would end with an error about a file that the user does not know.
        if !device_tree::is_device_tree(&tree) {
            let text =
                format!("a {title} cannot start this image, because its device tree is damaged");
            return Err(Failure::message(Class::Build, text)
                .hint("build the image again; `sdbuild inspect IMAGE ls 1:/` lists the device trees (.dtb)"));
        }
        let file = |bytes: &[u8]| unnamed(scratch, bytes);
        let write = || {
            let size = size.checked_next_power_of_two().unwrap_or(size);
            Ok::<_, io::Error>(Self {
                kernel: file(&kernel)?,
                device_tree: Some(file(&tree)?),
                initrd: start.initrd.as_deref().map(file).transpose()?,
                command_line: start.command_line.clone(),
                card: Some(file(&qcow2::overlay(backing, size)?)?),
            })
        };
        write().or_environment(format!("write temporary files in {}", scratch.display()))
    }

    /// The files by paths of this machine.
    pub(super) fn on_host(&self) -> DirectStart {
        DirectStart {
            card: self.card.as_ref().map(open_path),
            kernel: open_path(&self.kernel),
            device_tree: self.device_tree.as_ref().map(open_path),
            initrd: self.initrd.as_ref().map(open_path),
            command_line: self.command_line.clone(),
        }
    }

    /// The files by their paths in the emulator's container.
    pub(super) fn in_container(&self) -> DirectStart {
        let path = |name: &str| PathBuf::from(format!("{}/{name}", copy_in::MACHINE_DIR));
        let [card, kernel, device_tree, initrd] = copy_in::START_NAMES.map(path);
        DirectStart {
            card: self.card.as_ref().map(|_| card),
            kernel,
            device_tree: self.device_tree.as_ref().map(|_| device_tree),
            initrd: self.initrd.as_ref().map(|_| initrd),
            command_line: self.command_line.clone(),
        }
    }

    /// The files with their names in the emulator's container.
    pub(super) fn named_files(&self) -> io::Result<Vec<(&'static str, File)>> {
        let files = [
            self.card.as_ref(),
            Some(&self.kernel),
            self.device_tree.as_ref(),
            self.initrd.as_ref(),
        ];
        let named = copy_in::START_NAMES.into_iter().zip(files);
        named
            .filter_map(|(name, file)| Some((name, file?)))
            .map(|(name, file)| Ok((name, file.try_clone()?)))
            .collect()
    }
}

/// The files of a system that starts from memory, if `archive` is one.
fn from_archive(
    archive: &File,
    scratch: &Path,
    memory: u64,
) -> Result<Option<StartFiles>, Failure> {
    let start = archive_start(archive).map_err(|error| error.fail("read the archive"))?;
    let Some(start) = start else { return Ok(None) };
    let needed = start.kernel.size.saturating_add(start.initrd.size);
    if needed > memory {
        let (needed, memory) = (human_bytes(needed), human_bytes(memory));
        let text = format!(
            "the kernel and the initial RAM disk need {needed}, but the machine has only {memory} of memory"
        );
        return Err(Failure::usage(text).hint("give it more with --memory, such as --memory 2G"));
    }
    let file = |part: ArchivePart| {
        let mut file = tempfile::tempfile_in(scratch)?;
        io::copy(&mut part.reader(archive)?, &mut file)?;
        Ok::<_, io::Error>(file)
    };
    let write = || {
        Ok::<_, io::Error>(StartFiles {
            kernel: file(start.kernel)?,
            device_tree: None,
            initrd: Some(file(start.initrd)?),
            command_line: Some(start.command_line.clone()),
            card: None,
        })
    };
    let written = write().or_environment(format!("write temporary files in {}", scratch.display()));
    written.map(Some)
}

/// A file without a name in `dir`.
pub(super) fn unnamed(dir: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(dir)?;
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_device_tree_is_reported() {
        let scratch = tempfile::tempdir().unwrap();
        let write = |tree: &[u8]| {
            let start = PiStart {
                kernel: Some(b"kernel".to_vec()),
                device_tree: Some(tree.to_vec()),
                ..PiStart::default()
            };
            StartFiles::write(
                start,
                Path::new("/x"),
                1 << 20,
                scratch.path(),
                "Raspberry Pi 3",
            )
        };
        assert!(write(b"\xd0\x0d\xfe\xed...").is_ok());
        let error = write(b"bcm2710").unwrap_err().to_string();
        let damaged =
            "a Raspberry Pi 3 cannot start this image, because its device tree is damaged";
        assert_eq!(error, damaged);
    }
}
