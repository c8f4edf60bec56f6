//! File systems of all kinds: how they are recognized, their summary and their files.

use std::io::{self, Read};
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver};

use serde::Serialize;

use super::disk::Section;
use super::error::Error;
use super::ext::Ext;
use super::fat::Fat;
use super::iso::Iso;

/// A file system of a known kind.
#[derive(Debug)]
pub enum FileSystem {
    /// FAT12, FAT16 or FAT32.
    Fat(Fat),
    /// ext2, ext3 or ext4.
    Ext(Ext),
    /// ISO 9660.
    Iso(Iso),
    /// A kind that is recognized by its name, and not read.
    Other(&'static str),
}

impl FileSystem {
    /// The file system in `section`; `None` when it has no known one.
    pub fn detect(section: &Section) -> Result<Option<Self>, Error> {
        if let Some(ext) = Ext::open(section)? {
            return Ok(Some(Self::Ext(ext)));
        }
        if let Some(fat) = Fat::open(section)? {
            return Ok(Some(Self::Fat(fat)));
        }
        if let Some(iso) = Iso::open(section)? {
            return Ok(Some(Self::Iso(iso)));
        }
        Ok(detect_other(section)?.map(Self::Other))
    }

    /// The kind, label, size and free space.
    pub fn summary(&self) -> Result<Summary, Error> {
        match self {
            Self::Fat(fat) => fat.summary(),
            Self::Ext(ext) => Ok(ext.summary()),
            Self::Iso(iso) => Ok(iso.summary()),
            Self::Other(kind) => Ok(Summary {
                kind: (*kind).to_owned(),
                ..Summary::default()
            }),
        }
    }

    /// The entries of the directory at `path`, sorted by name; one entry when it is a file.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        let mut entries = match self {
            Self::Fat(fat) => fat.list(path)?,
            Self::Ext(ext) => ext.list(path)?,
            Self::Iso(iso) => iso.list(path)?,
            Self::Other(kind) => return Err(unread(kind)),
        };
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The ranges of its partition that tools read to make or replace what is at `paths`. Those with zeros are among them.
    ///
    /// # Errors
    ///
    /// Files cannot be put into it.
    pub fn ranges_for(&self, paths: &[String]) -> Result<Vec<Range<u64>>, Error> {
        match self {
            Self::Fat(fat) => fat.ranges(paths),
            Self::Ext(ext) => ext.ranges(paths),
            Self::Iso(_) => Err(unwritable("iso9660")),
            Self::Other(kind) => Err(unwritable(kind)),
        }
    }

    /// What can be added to it.
    pub fn room(&self) -> Result<Room, Error> {
        match self {
            Self::Fat(fat) => fat.room(),
            Self::Ext(ext) => Ok(ext.room()),
            Self::Iso(_) => Err(unwritable("iso9660")),
            Self::Other(kind) => Err(unwritable(kind)),
        }
    }

    /// What is at `path`, in which symbolic links are not followed; `None` for nothing.
    pub fn permissions(&self, path: &str) -> Result<Option<Permissions>, Error> {
        let Self::Ext(ext) = self else {
            return Ok(self.find(path)?.map(|kind| Permissions {
                kind,
                mode: 0,
                owner: (0, 0),
            }));
        };
        ext.permissions(path)
    }

    /// The entries of the directory at `path`, in which symbolic links are not followed: all of them, sorted by name.
    pub fn identities(&self, path: &str) -> Result<Vec<Identity>, Error> {
        let mut entries = match self {
            Self::Fat(fat) => fat.identities(path)?,
            Self::Ext(ext) => ext.identities(path)?,
            Self::Iso(_) => return Err(unwritable("iso9660")),
            Self::Other(kind) => return Err(unwritable(kind)),
        };
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Passes the content of the file at `path` to `sink`.
    pub fn copy(&self, path: &str, sink: ContentSink<'_>) -> Result<(), Error> {
        match self {
            Self::Fat(fat) => fat.copy(path, sink),
            Self::Ext(ext) => ext.copy(path, sink),
            Self::Iso(iso) => iso.copy(path, sink),
            Self::Other(kind) => Err(unread(kind)),
        }
    }

    /// Lets the next [`copy`](Self::copy) pass on all of a file, however long it is.
    pub fn allow_copy(&self) {
        match self {
            Self::Fat(fat) => fat.section.allow_copy(),
            Self::Ext(ext) => ext.section.allow_copy(),
            Self::Iso(iso) => iso.section.allow_copy(),
            Self::Other(_) => {}
        }
    }

    /// The type of the entry at `path`; `None` when there is none, or the kind of file system is not read.
    pub fn find(&self, path: &str) -> Result<Option<EntryKind>, Error> {
        let found = match self {
            Self::Fat(fat) => fat.kind(path),
            Self::Ext(ext) => ext.kind(path),
            Self::Iso(iso) => iso.kind(path),
            Self::Other(_) => return Ok(None),
        };
        match found {
            Ok(kind) => Ok(Some(kind)),
            Err(Error::Refused(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What `read` makes of the first `limit` bytes of the file at `path`, of which only pieces are in memory; `None` when there is
    /// no regular file.
    pub(super) fn with_reader<T>(
        &self,
        path: &str,
        limit: u64,
        read: impl FnOnce(&mut dyn Read) -> T,
    ) -> Result<Option<T>, Error> {
        if self.find(path)? != Some(EntryKind::File) {
            return Ok(None);
        }
        let (sender, pieces) = mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            let copied = scope.spawn(move || {
                let mut left = limit;
                self.copy(path, &mut |piece| {
                    left = left.saturating_sub(piece.len() as u64);
                    // Its end is at the reader, which wants no more.
                    Ok(sender.send(piece.to_vec()).is_ok() && left > 0)
                })
            });
            let mut reader = PieceReader {
                pieces,
                piece: io::Cursor::default(),
            };
            let made = read(&mut reader);
            drop(reader);
            let copied = copied.join();
            copied.unwrap_or_else(|panic| resume_unwind(panic))?;
            Ok(Some(made))
        })
    }

    /// The first `limit` bytes of the file at `path`; `None` when there is no regular file.
    pub fn start_of(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        if self.find(path)? != Some(EntryKind::File) {
            return Ok(None);
        }
        let mut content = Vec::new();
        self.copy(path, &mut |piece| {
            let room = limit - content.len();
            content.extend(piece.iter().take(room));
            Ok(content.len() < limit)
        })?;
        Ok(Some(content))
    }
}

/// Reads pieces that another thread sends.
struct PieceReader {
    pieces: Receiver<Vec<u8>>,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.position() == self.piece.get_ref().len() as u64 {
            let Ok(next) = self.pieces.recv() else {
                return Ok(0);
            };
            self.piece = io::Cursor::new(next);
        }
        self.piece.read(buffer)
    }
}

fn unwritable(kind: &str) -> Error {
    Error::unsupported(format!("files cannot be put into a {kind} file system"))
}

fn unread(kind: &str) -> Error {
    Error::unsupported(format!("files in a {kind} file system cannot be read"))
}

/// Facts about a file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `fat16`, `ext4`, …
    pub kind: String,
    /// The label.
    pub label: Option<String>,
    /// The UUID, or the serial number of a FAT.
    pub uuid: Option<String>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The free space in bytes.
    pub free: Option<u64>,
}

/// The space that is free in a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that are given to a file at once.
    pub unit: u64,
    /// How many of these are free.
    pub units: u64,
    /// How many files and directories can be added, where there is a limit of its own.
    pub files: Option<u64>,
}

/// The type of an entry, and who may do what with it. A FAT has neither modes nor owners: they are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The type.
    pub kind: EntryKind,
    /// The mode without the type.
    pub mode: u32,
    /// The numbers of its user and its group.
    pub owner: (u32, u32),
}

/// What tells an entry of a directory from any other one, and from itself after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name as it is on the disk.
    pub name: Vec<u8>,
    /// The number of its inode, or of its first cluster.
    pub number: u32,
    /// The length in bytes; 0 for a directory, which grows.
    pub size: u64,
    /// The type, the mode and the owner; in a FAT, the mode is the attributes.
    pub permissions: Permissions,
}

/// The type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory; `folder` in the JSON of `inspect ls`, as since 0.1.
    #[serde(rename = "folder")]
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a pipe or a socket.
    Special,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The name as it is on the disk, with any characters.
    pub name: String,
    /// The type.
    pub kind: EntryKind,
    /// The length in bytes.
    pub size: u64,
    /// The target of a symbolic link.
    pub target: Option<String>,
}

impl Entry {
    /// The bytes of its texts.
    pub(super) fn text_bytes(&self) -> usize {
        self.name.len() + self.target.as_ref().map_or(0, String::len)
    }
}

/// Receives the content of a file, piece by piece; returns `false` to stop.
pub type ContentSink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<bool, Error>;

pub(super) fn not_found(path: &str) -> Error {
    Error::refused(format!("there is no {path}"))
}

pub(super) fn not_a_file(path: &str) -> Error {
    Error::refused(format!("{path} is not a regular file"))
}

/// The position of a magic number, the number, and the name of the file system.
const MAGIC_NUMBERS: [(u64, &[u8], &str); 8] = [
    (0, b"hsqs", "squashfs"),
    (0, b"XFSB", "xfs"),
    (0, b"LUKS\xba\xbe", "luks"),
    (3, b"NTFS    ", "ntfs"),
    (3, b"EXFAT   ", "exfat"),
    (1024, &[0x10, 0x20, 0xf5, 0xf2], "f2fs"),
    (4086, b"SWAPSPACE2", "swap"),
    (0x1_0040, b"_BHRfS_M", "btrfs"),
];

/// The name of the first file in an image for container engines that sdbuild makes, which the archive begins with.
const CONTAINER_MAGIC: &[u8] = b"oci-layout\0";
/// What such an image is refused with where a disk or a system is wanted.
const CONTAINER_IMAGE: &str = "it is an image for container engines: docker load --input loads it";

/// The position of a magic number of a file that is not a disk, the number, and what to do with the file.
const OTHER_FILES: [(u64, &[u8], &str); 11] = [
    (0, CONTAINER_MAGIC, CONTAINER_IMAGE),
    (
        257,
        b"ustar",
        "it is a tar archive: tar -xf unpacks it, and sdbuild boot starts those of the formats kexec and netboot",
    ),
    (
        0,
        b"QFI\xfb",
        "it is a qcow2 image: sdbuild boot starts it, and qemu-img convert -O raw makes a disk of it",
    ),
    (
        0,
        b"KDMV",
        "it is a VMDK image: sdbuild boot starts it, and qemu-img convert -O raw makes a disk of it",
    ),
    (
        0,
        b"conectix",
        "it is a VHD image: qemu-img convert -O raw makes a disk of it",
    ),
    (0, b"PK\x03\x04", "it is a ZIP archive: unzip unpacks it"),
    // The outer compression is removed before this is read.
    (
        0,
        b"\x28\xb5\x2f\xfd",
        "it is compressed twice: unzstd unpacks it once",
    ),
    (
        0,
        b"\xfd7zXZ\0",
        "it is compressed twice: unxz unpacks it once",
    ),
    (
        0,
        b"\x1f\x8b\x08",
        "it is compressed twice: gunzip unpacks it once",
    ),
    (0, b"BZh", "it is compressed by bzip2: bunzip2 unpacks it"),
    (
        0,
        b"7z\xbc\xaf\x27\x1c",
        "it is a 7z archive: 7z x unpacks it",
    ),
];

/// What servers send in place of a file that they do not have.
const WEB_PAGE: &str = "it is a web page, not the image; download it again";
/// Bytes at the start of a text that tell it from a disk.
const MAX_TEXT_BYTES: u64 = 512;

/// Whether an archive with this start is an image for container engines.
pub(super) fn begins_container_image(start: &[u8]) -> bool {
    start.starts_with(CONTAINER_MAGIC)
}

/// What `section` is, if it is known and no disk.
pub(super) fn other_file(section: &Section) -> Result<Option<&'static str>, Error> {
    if let Some(known) = find_magic(section, &OTHER_FILES)? {
        return Ok(Some(known));
    }
    let start = section.block(0, section.len().min(MAX_TEXT_BYTES))?;
    // The last character may be cut.
    let text = match std::str::from_utf8(&start) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => start
            .get(..error.valid_up_to())
            .and_then(|text| std::str::from_utf8(text).ok()),
        Err(_) => None,
    };
    Ok(text.and_then(kind_of_text))
}

/// Bytes in which every partition table and file system has something else than zeros.
const MAX_ZERO_BYTES: u64 = 1 << 20;

/// Whether `section` has only zeros where a partition table or a file system begins.
pub(super) fn begins_with_zeros(section: &Section) -> Result<bool, Error> {
    let start = section.block(0, section.len().min(MAX_ZERO_BYTES))?;
    Ok(start.iter().all(|byte| *byte == 0))
}

/// What `text` is, unless it has characters that no text has.
fn kind_of_text(text: &str) -> Option<&'static str> {
    let is_of_text = |c: char| !c.is_control() || c.is_ascii_whitespace();
    if text.is_empty() || !text.chars().all(is_of_text) {
        return None;
    }
    let begin = text.trim_start().to_lowercase();
    let is_page = begin.starts_with("<!doctype html") || begin.starts_with("<html");
    Some(if is_page {
        WEB_PAGE
    } else {
        "it is a text file, not an image"
    })
}

/// The name of the file system in `section`.
fn detect_other(section: &Section) -> Result<Option<&'static str>, Error> {
    find_magic(section, &MAGIC_NUMBERS)
}

/// The text of the first magic number that `section` has.
fn find_magic(
    section: &Section,
    table: &[(u64, &'static [u8], &'static str)],
) -> Result<Option<&'static str>, Error> {
    for (at, magic, text) in table {
        let length = magic.len() as u64;
        if at + length <= section.len() && section.block(*at, length)? == *magic {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
