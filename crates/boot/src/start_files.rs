//! What QEMU loads before the machine starts, as files: what a Raspberry Pi's firmware would load from the image, or a system that
//! starts from memory.
//!
//! Such a system is an archive with a kernel, an initial RAM disk, and the command line in a script, under the names that nixpkgs'
//! kexec and netboot have.

use std::fs::File;
use std::io;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::device_tree;
use crate::disk::Disk;
use crate::qemu::DirectStart;
use crate::request::BootRequest;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::plain_tar::{PlainEntry, plain_entries};
use sdbuild_image::board::Wiring;
use sdbuild_image::{Error, PiStart, begins_archive, pi_start};

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
        let scratch = request.scratch.clone();
        let read = tokio::task::spawn_blocking(move || pi_start(file, board, &scratch, &cancel));
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
        let write = move || {
            let size = size.checked_next_power_of_two().unwrap_or(size);
            Ok::<_, io::Error>(Self {
                kernel,
                device_tree: Some(file(&tree)?),
                initrd: start.initrd,
                command_line: start.command_line,
                card: Some(file(&overlay(backing, size)?)?),
            })
        };
        write().or_environment(format!("write temporary files in {}", scratch.display()))
    }

    /// The files by the paths that `open` gives QEMU for them, by their names in the emulator's container.
    pub(super) fn direct_start(
        &self,
        open: &mut dyn FnMut(&'static str, &File) -> PathBuf,
    ) -> DirectStart {
        let mut each = |name, file: &Option<File>| file.as_ref().map(|file| open(name, file));
        let (card, device_tree) = (
            each("card.qcow2", &self.card),
            each("tree.dtb", &self.device_tree),
        );
        DirectStart {
            card,
            device_tree,
            initrd: each("initrd.bin", &self.initrd),
            kernel: open("kernel.bin", &self.kernel),
            command_line: self.command_line.clone(),
        }
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

/// Bytes of a header of a tar archive.
const BLOCK: usize = 512;
/// The most entries that are read; there are four.
const MAX_ENTRIES: usize = 64;
/// Bytes of the longest script that is read.
const MAX_SCRIPT_BYTES: u64 = 64 * 1024;
/// The largest initial RAM disk or kernel in bytes: QEMU's machine has less memory.
const MAX_FILE_BYTES: u64 = 8 << 30;

/// What an archive of something else is refused with.
const NOTHING_STARTS: &str = "it is an archive without kexec-boot or netboot.ipxe and the kernel and initial RAM disk \
                              beside them";

/// The files in the archive, by their places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArchiveStart {
    /// The kernel.
    pub(super) kernel: ArchivePart,
    /// The initial RAM disk.
    pub(super) initrd: ArchivePart,
    /// The kernel's command line.
    pub(super) command_line: String,
}

/// A file in an archive that is not compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ArchivePart {
    /// Offset of the file in the archive, in bytes.
    pub(super) start: u64,
    /// Length of the file in bytes.
    pub(super) size: u64,
}

impl ArchivePart {
    /// Its bytes in the archive `file`.
    pub(super) fn reader(self, file: &File) -> io::Result<impl Read> {
        let mut file = file.try_clone()?;
        file.seek(SeekFrom::Start(self.start))?;
        Ok(file.take(self.size))
    }
}

/// What starts the system in the archive `file`, which is not compressed; `None` if it is not an archive.
pub(super) fn archive_start(file: &File) -> Result<Option<ArchiveStart>, Error> {
    let mut start = [0; BLOCK];
    let length = file.read_at(&mut start, 0)?;
    if length < BLOCK || !begins_archive(&start) {
        return Ok(None);
    }
    let parts = parts(file)?;
    let part = |name: &str| {
        parts
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, part)| *part)
    };
    let text = |part: ArchivePart| {
        let mut text = String::new();
        let mut reader = part.reader(file)?.take(MAX_SCRIPT_BYTES);
        reader.read_to_string(&mut text).map(|_| text)
    };
    let (kernel, initrd, command_line) = if let Some(script) = part("kexec-boot") {
        let line = kexec_line(&text(script)?);
        (part("bzImage"), part("initrd.gz"), line)
    } else if let Some(script) = part("netboot.ipxe") {
        let script = text(script)?;
        let (kernel, line) = ipxe_line(&script).unzip();
        (kernel.and_then(|name| part(&name)), part("initrd"), line)
    } else {
        (None, None, None)
    };
    match (kernel, initrd, command_line) {
        (Some(kernel), Some(initrd), Some(command_line)) => Ok(Some(ArchiveStart {
            kernel,
            initrd,
            command_line,
        })),
        _ => Err(Error::Refused(NOTHING_STARTS.to_owned())),
    }
}

/// The regular files in the archive, by the last component of their names.
fn parts(file: &File) -> Result<Vec<(String, ArchivePart)>, Error> {
    let damaged = |error: io::Error| Error::Damaged(format!("the archive cannot be read: {error}"));
    let mut file = file.try_clone()?;
    file.rewind()?;
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries_with_seek().map_err(damaged)?;
    let mut parts = Vec::new();
    for found in plain_entries(entries).take(MAX_ENTRIES) {
        let PlainEntry { entry, path, .. } = found.map_err(damaged)?;
        let part = ArchivePart {
            start: entry.raw_file_position(),
            size: entry.size(),
        };
        let path = String::from_utf8_lossy(&path);
        let name = Path::new(path.as_ref())
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        if let Some(name) = name
            && entry.header().entry_type().is_file()
            && part.size <= MAX_FILE_BYTES
        {
            parts.push((name, part));
        }
    }
    Ok(parts)
}

/// The command line in nixpkgs' script for kexec.
fn kexec_line(script: &str) -> Option<String> {
    let (_, rest) = script.split_once("--command-line \"")?;
    let (line, _) = rest.split_once('"')?;
    Some(line.to_owned())
}

/// The kernel and its command line in nixpkgs' script for iPXE.
fn ipxe_line(script: &str) -> Option<(String, String)> {
    let line = script
        .lines()
        .find_map(|line| line.strip_prefix("kernel "))?;
    let (kernel, line) = line.split_once(' ')?;
    let of_ipxe = |word: &&str| !word.starts_with("initrd=") && *word != "${cmdline}";
    let words: Vec<&str> = line.split_whitespace().filter(of_ipxe).collect();
    Some((kernel.to_owned(), words.join(" ")))
}

/// The size of a cluster as a power of two: QEMU's default.
const CLUSTER_BITS: u32 = 16;
const CLUSTER_BYTES: usize = 1 << CLUSTER_BITS;
/// Bytes of the disk that an entry of the first table stands for: a cluster of entries of 8 bytes each.
const BYTES_PER_ENTRY: u64 = (CLUSTER_BYTES as u64 / 8) << CLUSTER_BITS;
/// Bytes of the header of version 3.
const HEADER_BYTES: u32 = 104;
/// The extension that names the format of the image, which is not guessed.
const FORMAT_EXTENSION: u32 = 0xe279_2aca;
/// Clusters in use: header, table of reference counts, reference counts, first table.
const CLUSTERS: usize = 4;

/// An empty qcow2 file (<https://www.qemu.org/docs/master/interop/qcow2.html>) for what the machine writes: a header and an empty
/// table. Crates such as `imago` write the whole format.
///
/// The bytes of a disk of `size` bytes over the raw image `backing`, which QEMU opens by that path.
pub(super) fn overlay(backing: &Path, size: u64) -> io::Result<Vec<u8>> {
    let name = backing.as_os_str().as_bytes();
    let entries = size.div_ceil(BYTES_PER_ENTRY);
    let fits = name.len() <= 1023 && entries <= CLUSTER_BYTES as u64 / 8;
    let (true, Ok(name_bytes), Ok(entries)) =
        (fits, u32::try_from(name.len()), u32::try_from(entries))
    else {
        return Err(io::Error::other("the image is too large"));
    };
    let cluster = |number: u64| number << CLUSTER_BITS;
    // The extension has 8 + 8 bytes, the end of the extensions 8.
    let name_at = u64::from(HEADER_BYTES) + 24;
    let mut file = Vec::with_capacity(CLUSTERS * CLUSTER_BYTES);
    let mut add = |bytes: &[u8]| file.extend_from_slice(bytes);
    add(b"QFI\xfb");
    add(&3u32.to_be_bytes());
    add(&name_at.to_be_bytes());
    add(&name_bytes.to_be_bytes());
    add(&CLUSTER_BITS.to_be_bytes());
    add(&size.to_be_bytes());
    add(&0u32.to_be_bytes()); // not encrypted
    add(&entries.to_be_bytes());
    add(&cluster(3).to_be_bytes());
    add(&cluster(1).to_be_bytes());
    add(&1u32.to_be_bytes()); // clusters of the table of reference counts
    add(&[0; 4 + 8 + 3 * 8]); // no snapshots, no features
    add(&4u32.to_be_bytes()); // reference counts of 16 bits
    add(&HEADER_BYTES.to_be_bytes());
    add(&FORMAT_EXTENSION.to_be_bytes());
    add(&3u32.to_be_bytes());
    add(b"raw\0\0\0\0\0");
    add(&[0; 8]);
    add(name);
    file.resize(CLUSTER_BYTES, 0);
    file.extend_from_slice(&cluster(2).to_be_bytes());
    file.resize(2 * CLUSTER_BYTES, 0);
    for _ in 0..CLUSTERS {
        file.extend_from_slice(&1u16.to_be_bytes());
    }
    file.resize(CLUSTERS * CLUSTER_BYTES, 0);
    Ok(file)
}

#[cfg(test)]
mod tests;
