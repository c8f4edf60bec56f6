//! File systems of all kinds: their summary and their files.

use super::disk::Section;
use super::entry::{ContentSink, Entry, EntryKind, Summary};
use super::error::Error;
use super::ext::Ext;
use super::fat::Fat;
use super::iso::Iso;
use super::probe;

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
        Ok(probe::detect(section)?.map(Self::Other))
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

    /// Passes the content of the file at `path` to `sink`.
    pub fn copy(&self, path: &str, sink: ContentSink<'_>) -> Result<(), Error> {
        match self {
            Self::Fat(fat) => fat.copy(path, sink),
            Self::Ext(ext) => ext.copy(path, sink),
            Self::Iso(iso) => iso.copy(path, sink),
            Self::Other(kind) => Err(unread(kind)),
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

fn unread(kind: &str) -> Error {
    Error::unsupported(format!("files in a {kind} file system cannot be read"))
}
