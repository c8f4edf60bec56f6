//! Packing a configuration's directory while its files may change: a log that grows, a file that an editor replaces.
//!
//! What is sent of a file is what it had when it was opened. Nothing outside the directory is sent: no component of a path
//! is followed if it is a symbolic link by now.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::ConfigDir;
use super::EntryKind;
use crate::tar_writer::TarWriter;
use sdbuild_core::hash::{Hasher, Hashing, Sha256Hash};
use sdbuild_core::plain_file;
use sdbuild_core::to_usize::to_usize;

/// Largest file that is read into memory before it is packed. A file that is not may shrink while it is read.
const MAX_IN_MEMORY: u64 = 8 << 20;
/// How often a file that shrinks is read.
const ATTEMPTS: usize = 2;

/// Summary of the packed files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// SHA-256 of names, modes and contents of all files.
    pub(crate) sha256: Sha256Hash,
    /// Files that were listed and are gone, or no plain files any more.
    pub(crate) left_out: Vec<String>,
}

/// Outcome of packing one file.
enum FileOutcome {
    Packed,
    /// It is gone, and nothing of it was packed.
    Gone,
    /// It became shorter while it was packed: what was packed is padded with zeros.
    Shrunk,
}

impl ConfigDir {
    /// Writes all files to `tar`, below `prefix`.
    pub(crate) fn pack(&self, tar: &mut TarWriter<'_>, prefix: &str) -> io::Result<Packed> {
        let mut packer = Packer {
            root: &self.root,
            tar,
            prefix,
            hash: Hasher::new(),
            left_out: Vec::new(),
        };
        for (name, kind) in &self.entries {
            let written = match kind {
                EntryKind::Directory => packer.directory(name),
                EntryKind::Link(target) => packer.link(name, target),
                EntryKind::File => packer.file(name),
            };
            written.map_err(|e| io::Error::new(e.kind(), format!("{name}: {e}")))?;
        }
        let mut left_out = packer.left_out.iter();
        if let Some(name) = left_out.find(|name| self.required.contains(name)) {
            let text = format!("{name}: it was removed while it was uploaded");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(Packed {
            sha256: packer.hash.finish().sha256,
            left_out: packer.left_out,
        })
    }
}

struct Packer<'a, 'w> {
    root: &'a File,
    tar: &'a mut TarWriter<'w>,
    prefix: &'a str,
    hash: Hasher,
    left_out: Vec<String>,
}

impl Packer<'_, '_> {
    fn directory(&mut self, name: &str) -> io::Result<()> {
        self.hash_entry(b'd', name, b"");
        self.tar.directory(&format!("{}/{name}", self.prefix))
    }

    fn link(&mut self, name: &str, target: &str) -> io::Result<()> {
        self.hash_entry(b'l', name, target.as_bytes());
        self.tar.link(&format!("{}/{name}", self.prefix), target)
    }

    fn file(&mut self, name: &str) -> io::Result<()> {
        for attempt in 1..=ATTEMPTS {
            match self.opened(name)? {
                FileOutcome::Packed => return Ok(()),
                FileOutcome::Gone if attempt == 1 => {
                    self.left_out.push(name.to_owned());
                    return Ok(());
                }
                // The next entry of the same name replaces the padded one when the archive is unpacked.
                FileOutcome::Gone | FileOutcome::Shrunk => {}
            }
        }
        if Path::new(name).extension() == Some(OsStr::new("nix")) {
            return Err(io::Error::other("it becomes shorter while it is read"));
        }
        self.left_out.push(name.to_owned());
        self.bytes(name, false, b"")
    }

    /// Opens and packs the file.
    fn opened(&mut self, name: &str) -> io::Result<FileOutcome> {
        let file = match plain_file::open_beneath(self.root, name.as_ref()) {
            Ok(file) => file,
            Err(error) if is_replaced(&error) => return Ok(FileOutcome::Gone),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        let (size, executable) = (meta.len(), meta.mode() & 0o100 != 0);
        let mut start = file.take(size);
        if size <= MAX_IN_MEMORY {
            let mut content = Vec::new();
            start.read_to_end(&mut content)?;
            self.bytes(name, executable, &content)?;
            return Ok(FileOutcome::Packed);
        }
        let mut padded = Padded {
            inner: Hashing::new(start),
            remaining: size,
            short: false,
        };
        let path = format!("{}/{name}", self.prefix);
        self.tar.file(&path, size, executable, &mut padded)?;
        if padded.short {
            return Ok(FileOutcome::Shrunk);
        }
        let digest: [u8; 32] = padded.inner.finish().sha256.into();
        self.hash_entry(file_type(executable), name, &digest);
        Ok(FileOutcome::Packed)
    }

    fn bytes(&mut self, name: &str, executable: bool, content: &[u8]) -> io::Result<()> {
        let digest: [u8; 32] = Sha256Hash::of(content).into();
        self.hash_entry(file_type(executable), name, &digest);
        let path = format!("{}/{name}", self.prefix);
        let size = content.len() as u64;
        self.tar.file(&path, size, executable, content)
    }

    /// Hashes an entry. The lengths make the hashed bytes unambiguous.
    fn hash_entry(&mut self, file_type: u8, name: &str, content: &[u8]) {
        self.hash.update([file_type]);
        for part in [name.as_bytes(), content] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part);
        }
    }
}

fn file_type(executable: bool) -> u8 {
    if executable { b'x' } else { b'f' }
}

/// Whether what was a file is gone, or something else now: a link, a pipe, or below what is not a directory any more.
fn is_replaced(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, NotADirectory, NotFound};
    matches!(error.kind(), InvalidInput | NotADirectory | NotFound)
}

/// Reads exactly `remaining` bytes: zeros where `inner` has no more.
struct Padded<R> {
    inner: R,
    remaining: u64,
    /// Whether `inner` ended before.
    short: bool,
}

impl<R: Read> Read for Padded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let max = to_usize(self.remaining);
        let max = max.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..max).filter(|b| !b.is_empty()) else {
            return Ok(0);
        };
        let mut n = if self.short {
            0
        } else {
            self.inner.read(buffer)?
        };
        if n == 0 {
            self.short = true;
            buffer.fill(0);
            n = buffer.len();
        }
        self.remaining -= n as u64;
        Ok(n)
    }
}
