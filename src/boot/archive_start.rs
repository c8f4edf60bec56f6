//! A system that starts from memory, as an archive: a kernel, an initial RAM disk, and the command line in a script, under the
//! names that nixpkgs' kexec and netboot have. The archive is read with the crate `tar`; the two scripts are nixpkgs' own.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::common::plain_tar::{PlainEntry, plain_entries};
use crate::image::{Error, begins_archive};

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

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> File {
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        for (name, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, format!("x/{name}"), content.as_bytes())
                .unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn content(part: ArchivePart, file: &File) -> String {
        let mut text = String::new();
        part.reader(file)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn scripts_name_what_starts() {
        let kexec = "kexec --load ${SCRIPT_DIR}/bzImage \\\n  --command-line \"init=/nix/x/init loglevel=4\"\nkexec -e\n";
        let ipxe = "#!ipxe\n# kernel\nkernel Image init=/nix/x/init initrd=initrd loglevel=4 ${cmdline}\ninitrd initrd\nboot\n";
        for (kernel, initrd, script, text) in [
            ("bzImage", "initrd.gz", "kexec-boot", kexec),
            ("Image", "initrd", "netboot.ipxe", ipxe),
        ] {
            let file = archive(&[(kernel, "the kernel"), (initrd, "the disk"), (script, text)]);
            let start = archive_start(&file).unwrap().unwrap();
            assert_eq!(content(start.kernel, &file), "the kernel");
            assert_eq!(content(start.initrd, &file), "the disk");
            assert_eq!(start.command_line, "init=/nix/x/init loglevel=4");
        }
    }

    #[test]
    fn other_archives_are_refused() {
        let refused = |files| matches!(archive_start(&archive(files)), Err(Error::Refused(_)));
        assert!(refused(&[("a", "b")]));
        assert!(refused(&[
            ("kexec-boot", "--command-line \"x\""),
            ("bzImage", "k")
        ]));
        for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(1 << 40);
            header.set_cksum();
            let mut huge = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut huge, header.as_bytes()).unwrap();
            // A hole, which no memory could take.
            huge.set_len(1 << 40).unwrap();
            let error = archive_start(&huge).unwrap_err();
            assert!(matches!(error, Error::Damaged(_)), "{error:?}");
        }
        let mut other = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut other, &[0; 2048]).unwrap();
        assert_eq!(archive_start(&other).unwrap(), None);
    }
}
