//! Directory records of ISO 9660, and what Rock Ridge (IEEE P1282) adds to them: names, types and links.

use super::bytes::{has_magic, slice, u8_at, u32_at};
use super::entry::{Entry, EntryKind};

/// Bytes of a logical sector, and of every block of a file system that is read here.
pub(super) const SECTOR: u64 = 2048;
/// Bytes of a record before its name.
const HEADER: usize = 33;
/// The bit of a record's flags for a directory.
const DIRECTORY: u8 = 1 << 1;
/// The bit for a file that the next record continues.
const CONTINUED: u8 = 1 << 7;
/// The bit of a name or link that goes on in the next field.
const GOES_ON: u8 = 1;

/// Where the rest of a record's fields is: the byte on the medium, and how many bytes.
pub(super) type Continuation = (u64, u64);

/// A record of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The name, without the version of ISO 9660.
    pub(super) name: String,
    /// The parts of its content: the byte on the medium, and the length.
    pub(super) extents: Vec<(u64, u64)>,
    /// Whether it is a directory.
    pub(super) is_dir: bool,
    /// Whether the next record is a further part of the same file.
    pub(super) is_continued: bool,
    /// The type, by Rock Ridge.
    kind: Option<EntryKind>,
    /// The target of a link, and whether its last component goes on.
    target: Option<(String, bool)>,
    /// Whether the name is Rock Ridge's.
    has_name: bool,
}

impl Record {
    /// The record at the start of `bytes`, and where the rest of its fields is; `None` if it is none.
    pub(super) fn parse_with_rest(bytes: &[u8]) -> Option<(Self, Option<Continuation>)> {
        let length = usize::from(u8_at(bytes, 0));
        let record = bytes.get(..length).filter(|_| length > HEADER)?;
        let name_length = usize::from(u8_at(record, 32));
        let name = record.get(HEADER..HEADER + name_length)?;
        let flags = u8_at(record, 25);
        let mut parsed = Self {
            name: plain_name(name),
            extents: vec![(
                u64::from(u32_at(record, 2)) * SECTOR,
                u64::from(u32_at(record, 10)),
            )],
            is_dir: flags & DIRECTORY != 0,
            is_continued: flags & CONTINUED != 0,
            ..Self::default()
        };
        // Padded to an even length.
        let fields = slice(record, HEADER + name_length + (name_length + 1) % 2, length);
        let rest = parsed.add_fields(fields);
        Some((parsed, rest))
    }

    /// The record alone.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Self::parse_with_rest(bytes).map(|(record, _)| record)
    }

    /// Adds what fields of Rock Ridge say; returns where more of them are.
    pub(super) fn add_fields(&mut self, mut fields: &[u8]) -> Option<Continuation> {
        let mut rest = None;
        loop {
            let length = usize::from(u8_at(fields, 2));
            let Some((field, after)) = fields.split_at_checked(length).filter(|_| length >= 4)
            else {
                return rest;
            };
            fields = after;
            match field.get(..2).unwrap_or_default() {
                b"NM" => self.add_name(field),
                b"SL" => self.add_target(field),
                b"PX" => self.kind = Some(kind_of(u32_at(field, 4))),
                b"CE" => {
                    let at = u64::from(u32_at(field, 4)) * SECTOR + u64::from(u32_at(field, 12));
                    rest = Some((at, u64::from(u32_at(field, 20)).min(SECTOR)));
                }
                b"ST" => return rest,
                _ => {}
            }
        }
    }

    fn add_name(&mut self, field: &[u8]) {
        if !self.has_name {
            self.name.clear();
        }
        self.has_name = true;
        self.name
            .push_str(&String::from_utf8_lossy(slice(field, 5, field.len())));
    }

    fn add_target(&mut self, field: &[u8]) {
        let (mut target, mut goes_on) = self.target.take().unwrap_or_default();
        let mut at = 5;
        while at + 2 <= field.len() {
            let (flags, length) = (u8_at(field, at), usize::from(u8_at(field, at + 1)));
            if !target.is_empty() && !goes_on && !target.ends_with('/') {
                target.push('/');
            }
            match flags {
                _ if flags & 2 != 0 => target.push('.'),
                _ if flags & 4 != 0 => target.push_str(".."),
                _ if flags & 8 != 0 => target.push('/'),
                _ => target.push_str(&String::from_utf8_lossy(slice(
                    field,
                    at + 2,
                    at + 2 + length,
                ))),
            }
            goes_on = flags & GOES_ON != 0;
            at += 2 + length;
        }
        self.target = Some((target, goes_on));
    }

    /// The length of the content in bytes.
    pub(super) fn size(&self) -> u64 {
        self.extents.iter().map(|(_, size)| size).sum()
    }

    /// The entry as listed to users.
    pub(super) fn entry(&self) -> Entry {
        let of_iso = if self.is_dir {
            EntryKind::Directory
        } else {
            EntryKind::File
        };
        let kind = self.kind.unwrap_or(of_iso);
        Entry {
            name: self.name.clone(),
            kind,
            size: if kind == EntryKind::File {
                self.size()
            } else {
                0
            },
            target: self.target.clone().map(|(target, _)| target),
        }
    }
}

/// The name of ISO 9660: without its version, and without the dot before no extension. Those of the directory itself and of the one
/// above are a byte.
fn plain_name(name: &[u8]) -> String {
    if has_magic(name, 0, &[0]) {
        return ".".to_owned();
    }
    if has_magic(name, 0, &[1]) {
        return "..".to_owned();
    }
    let name = String::from_utf8_lossy(name);
    let name = name.split(';').next().unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

/// The type in a mode of POSIX.
fn kind_of(mode: u32) -> EntryKind {
    match mode & 0o170_000 {
        0o100_000 => EntryKind::File,
        0o040_000 => EntryKind::Directory,
        0o120_000 => EntryKind::Link,
        _ => EntryKind::Special,
    }
}
