//! ISO 9660 (ECMA-119), as on a CD: its label, what El Torito starts from it, and its files, by the names of Rock Ridge (IEEE P1282) if it has them.
//!
//! Read without a crate: `iso9660` and `cdfs` allocate what a length field claims, and `hadris-iso` has no stable release.

use serde::Serialize;

use super::bytes::{has_magic, slice, u8_at, u16_at, u32_at};
use super::disk::Section;
use super::error::Error;
use super::files::{ContentSink, Entry, EntryKind, Summary, not_a_file, not_found};
use sdbuild_core::untrusted::Kept;

/// Where the first volume descriptor has its name, and the name.
pub(super) const MAGIC: (usize, &[u8]) = (0x8001, b"CD001");
/// The sector of the first volume descriptor.
const FIRST_DESCRIPTOR: u64 = 16;
/// Volume descriptors that are looked at; there are three or four.
const MAX_DESCRIPTORS: u64 = 32;
/// The name of the boot record with El Torito's catalog.
const EL_TORITO: &[u8] = b"EL TORITO SPECIFICATION";
/// Bytes of an entry of the catalog.
const CATALOG_ENTRY: usize = 32;

/// Which firmware an El Torito entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Platform {
    /// A PC's BIOS.
    Bios,
    /// UEFI, of any architecture.
    Uefi,
    /// Another one.
    Other,
}

impl Platform {
    fn of(id: u8) -> Self {
        match id {
            0 => Self::Bios,
            0xef => Self::Uefi,
            _ => Self::Other,
        }
    }
}

/// What a firmware starts from the medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ElToritoEntry {
    /// Firmware that the entry is for.
    pub platform: Platform,
    /// Where its file begins on the medium, in bytes.
    pub start: u64,
}

/// An ISO 9660 file system.
#[derive(Debug)]
pub struct Iso {
    pub(super) section: Section,
    label: String,
    size: u64,
    root: Record,
    catalog: Option<u64>,
}

impl Iso {
    /// The file system in `section`; `None` if there is none.
    pub(super) fn open(section: &Section) -> Result<Option<Self>, Error> {
        let mut found = None;
        let mut catalog = None;
        for at in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + MAX_DESCRIPTORS {
            let at = at * SECTOR;
            if at + SECTOR > section.len() {
                break;
            }
            let block = section.block(at, SECTOR)?;
            if !has_magic(&block, 1, MAGIC.1) {
                break;
            }
            match u8_at(&block, 0) {
                0 if has_magic(&block, 7, EL_TORITO) => {
                    catalog = catalog.or(Some(u64::from(u32_at(&block, 71))));
                }
                1 if found.is_none() => found = Some(block),
                255 => break,
                _ => {}
            }
        }
        let Some(primary) = found else {
            return Ok(None);
        };
        if u64::from(u16_at(&primary, 128)) != SECTOR {
            return Err(Error::unsupported(
                "ISO 9660 file systems with blocks other than 2048 bytes are not supported",
            ));
        }
        let root = Record::parse(slice(&primary, 156, 190))
            .ok_or_else(|| Error::damaged("ISO 9660: the root directory has no record"))?;
        Ok(Some(Self {
            section: section.clone(),
            label: text(slice(&primary, 40, 72)),
            size: u64::from(u32_at(&primary, 80)) * SECTOR,
            root,
            catalog,
        }))
    }

    /// The label and the size.
    pub fn summary(&self) -> Summary {
        Summary {
            kind: "iso9660".to_owned(),
            label: Some(self.label.clone()).filter(|label| !label.is_empty()),
            size: Some(self.size),
            ..Summary::default()
        }
    }

    /// What firmware starts from it, in the order of El Torito's catalog, as far as that is one sector long.
    pub fn boot_entries(&self) -> Result<Vec<ElToritoEntry>, Error> {
        let Some(catalog) = self.catalog else {
            return Ok(Vec::new());
        };
        let catalog = self.section.block(catalog.saturating_mul(SECTOR), SECTOR)?;
        let mut entries = catalog.chunks_exact(CATALOG_ENTRY);
        let validation = entries.next().unwrap_or_default();
        if u8_at(validation, 0) != 1 || !has_magic(validation, 30, &[0x55, 0xaa]) {
            return Err(Error::damaged(
                "El Torito: the boot catalog begins with no validation entry",
            ));
        }
        let mut platform = Platform::of(u8_at(validation, 1));
        let mut found = Vec::new();
        // The first one belongs to the validation entry, the others to sections.
        let mut left = 1_u16;
        for entry in entries {
            match u8_at(entry, 0) {
                0x90 | 0x91 if left == 0 => {
                    platform = Platform::of(u8_at(entry, 1));
                    left = u16_at(entry, 2);
                }
                indicator if left > 0 => {
                    left -= 1;
                    if indicator == 0x88 {
                        let start = u64::from(u32_at(entry, 8)) * SECTOR;
                        found.push(ElToritoEntry { platform, start });
                    }
                }
                _ => break,
            }
        }
        Ok(found)
    }
}

/// A text of a descriptor, without the spaces behind it.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches([' ', '\0']).to_owned()
}

/// Bytes of a logical sector, and of every block of a file system that is read here.
const SECTOR: u64 = 2048;
/// Bytes of a record before its name.
const HEADER: usize = 33;
/// The bit of a record's flags for a directory.
const DIRECTORY: u8 = 1 << 1;
/// The bit for a file that the next record continues.
const CONTINUED: u8 = 1 << 7;
/// The bit of a name or link that goes on in the next field.
const GOES_ON: u8 = 1;

/// Where the rest of a record's fields is: the byte on the medium, and how many bytes.
type Continuation = (u64, u64);

/// A record of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    /// The name, without the version of ISO 9660.
    pub(super) name: String,
    /// The parts of its content: the byte on the medium, and the length.
    extents: Vec<(u64, u64)>,
    /// Whether it is a directory.
    pub(super) is_dir: bool,
    /// Whether the next record is a further part of the same file.
    is_continued: bool,
    /// The type, by Rock Ridge.
    kind: Option<EntryKind>,
    /// The target of a link, and whether its last component goes on.
    target: Option<(String, bool)>,
    /// Whether the name is Rock Ridge's.
    has_name: bool,
}

impl Record {
    /// The record at the start of `bytes`, and where the rest of its fields is; `None` if it is none.
    fn parse_with_rest(bytes: &[u8]) -> Option<(Self, Option<Continuation>)> {
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
    fn add_fields(&mut self, mut fields: &[u8]) -> Option<Continuation> {
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
        let room = MAX_NAME_BYTES.saturating_sub(self.name.len());
        let more = slice(field, 5, field.len().min(5 + room));
        self.name.push_str(&String::from_utf8_lossy(more));
    }

    fn add_target(&mut self, field: &[u8]) {
        let (mut target, mut goes_on) = self.target.take().unwrap_or_default();
        let mut at = 5;
        while at + 2 <= field.len() && target.len() < MAX_LINK_BYTES {
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

    /// Its bytes on the heap.
    fn heap_bytes(&self) -> usize {
        let target = self.target.as_ref().map_or(0, |(target, _)| target.len());
        self.name.len() + target + size_of::<(u64, u64)>()
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

/// Bytes of the largest directory that is read.
const MAX_DIR_BYTES: u64 = 16 << 20;
/// Continuations of a record that are followed: a name and a link of 4 KiB need three.
const MAX_CONTINUATIONS: usize = 8;
/// Bytes of the longest name, and of the target of a link: as many as Linux reads.
const MAX_NAME_BYTES: usize = 255;
const MAX_LINK_BYTES: usize = 4096;
/// Directories above a file that are followed.
const MAX_DEPTH: usize = 64;
/// Bytes of a file that are read at once.
const PIECE_BYTES: u64 = 256 * 1024;

impl Iso {
    /// The records of the directory `dir`, without those of itself and of the one above.
    fn records(&self, dir: &Record) -> Result<Vec<Record>, Error> {
        let mut records = Kept::<Record>::default();
        let mut goes_on = false;
        for (start, size) in &dir.extents {
            if *size > MAX_DIR_BYTES {
                return Err(Error::damaged(format!(
                    "ISO 9660: a directory claims to have {size} bytes"
                )));
            }
            for sector in 0..size.div_ceil(SECTOR) {
                let block = self
                    .section
                    .block(start.saturating_add(sector * SECTOR), SECTOR)?;
                let mut rest = block.as_slice();
                while let Some((mut record, mut more)) = Record::parse_with_rest(rest) {
                    rest = rest.get(usize::from(u8_at(rest, 0))..).unwrap_or_default();
                    for _ in 0..MAX_CONTINUATIONS {
                        let Some((at, len)) = more else { break };
                        more = record.add_fields(&self.section.block(at, len)?);
                    }
                    let continues = record.is_continued;
                    let heap = record.heap_bytes();
                    if goes_on && !records.is_empty() {
                        records.grow(heap)?;
                        if let Some(last) = records.last_mut() {
                            last.extents.append(&mut record.extents);
                        }
                    } else if !matches!(record.name.as_str(), "." | "..") {
                        records.push(record, heap)?;
                    }
                    goes_on = continues;
                }
            }
        }
        Ok(records.into_vec())
    }

    /// The record at `path`. Links are not followed: there are none in what starts a system.
    fn resolve(&self, path: &str) -> Result<Record, Error> {
        let mut stack = vec![self.root.clone()];
        for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
            if name == ".." {
                stack.truncate(stack.len().saturating_sub(1).max(1));
                continue;
            }
            let dir = stack
                .last()
                .filter(|dir| dir.is_dir && stack.len() < MAX_DEPTH);
            let dir = dir.ok_or_else(|| not_found(path))?;
            let found = self
                .records(dir)?
                .into_iter()
                .find(|record| record.name == name);
            stack.push(found.ok_or_else(|| not_found(path))?);
        }
        stack.pop().ok_or_else(|| not_found(path))
    }

    /// The type of the entry at `path`.
    pub(super) fn kind(&self, path: &str) -> Result<EntryKind, Error> {
        Ok(self.resolve(path)?.entry().kind)
    }

    /// The entries of the directory at `path`, or the file there.
    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        let at = self.resolve(path)?;
        if !at.is_dir {
            return Ok(vec![at.entry()]);
        }
        Ok(self.records(&at)?.iter().map(Record::entry).collect())
    }

    /// Passes the content of the file at `path` to `sink`.
    pub(super) fn copy(&self, path: &str, sink: ContentSink<'_>) -> Result<(), Error> {
        let file = self.resolve(path)?;
        if file.entry().kind != EntryKind::File {
            return Err(not_a_file(path));
        }
        for (start, size) in &file.extents {
            let end = start.saturating_add(*size);
            let mut at = *start;
            while at < end {
                let piece = PIECE_BYTES.min(end - at);
                if !sink(&self.section.block(at, piece)?)? {
                    return Ok(());
                }
                at += piece;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Section;
    use crate::iso::Platform;
    use sdbuild_core::cancel::Cancel;

    const BLOCK: usize = 2048;

    fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
        bytes[at..at + what.len()].copy_from_slice(what);
    }

    /// A field of Rock Ridge.
    fn field(name: &[u8], content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len() + 4).unwrap();
        [name, &[length, 1], content].concat()
    }

    fn record(name: &[u8], flags: u8, block: u32, size: u32, fields: &[u8]) -> Vec<u8> {
        let mut record = vec![0; 33];
        put(&mut record, 2, &block.to_le_bytes());
        put(&mut record, 10, &size.to_le_bytes());
        record[25] = flags;
        record[32] = u8::try_from(name.len()).unwrap();
        record.extend(name);
        if record.len() % 2 == 1 {
            record.push(0);
        }
        record.extend(fields);
        record[0] = u8::try_from(record.len()).unwrap();
        record
    }

    /// A file system with a label, a boot catalog, and a directory with a file of two parts, a link and a name that goes on elsewhere.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 26 * BLOCK];
        let primary = 16 * BLOCK;
        put(&mut image, primary, b"\x01CD001\x01");
        put(
            &mut image,
            primary + 40,
            b"nixos-26.05                     ",
        );
        put(&mut image, primary + 80, &26_u32.to_le_bytes());
        put(&mut image, primary + 128, &2048_u16.to_le_bytes());
        put(&mut image, primary + 156, &record(&[0], 2, 20, 2048, &[]));
        put(
            &mut image,
            17 * BLOCK,
            b"\x00CD001\x01EL TORITO SPECIFICATION",
        );
        put(&mut image, 17 * BLOCK + 71, &19_u32.to_le_bytes());
        put(&mut image, 18 * BLOCK, b"\xffCD001\x01");
        let catalog = 19 * BLOCK;
        put(&mut image, catalog, &[1, 0]);
        put(&mut image, catalog + 30, &[0x55, 0xaa, 0x88]);
        put(&mut image, catalog + 40, &30_u32.to_le_bytes());
        put(&mut image, catalog + 64, &[0x91, 0xef, 2, 0, 0]);
        put(&mut image, catalog + 96, &[0x88]);
        put(&mut image, catalog + 104, &40_u32.to_le_bytes());
        put(&mut image, catalog + 128, &[0]);
        let pointer = |at: u32| {
            let both = |n: u32| [n.to_le_bytes(), n.to_be_bytes()].concat();
            field(b"CE", &[both(21), both(at), both(14)].concat())
        };
        let link = [
            field(b"NM", b"\0link"),
            field(b"SL", b"\0\x08\0\0\x03nix\x04\0\0\x05store"),
            field(b"PX", &0o120_777_u32.to_le_bytes()),
        ];
        let directory = [
            record(&[0], 2, 20, 2048, &[]),
            record(&[1], 2, 20, 2048, &[]),
            record(b"BIG.;1", 0x80, 22, 2048, &field(b"NM", b"\0big")),
            record(b"BIG.;1", 0, 24, 5, &field(b"NM", b"\0big")),
            record(b"LINK.;1", 0, 0, 0, &link.concat()),
            record(
                b"LONG.;1",
                2,
                20,
                2048,
                &[field(b"NM", b"\x01long-"), pointer(6)].concat(),
            ),
            record(b"PLAIN.TXT;1", 0, 23, 3, &[]),
        ];
        put(&mut image, 20 * BLOCK, &directory.concat());
        put(&mut image, 21 * BLOCK + 6, &field(b"NM", b"\0continued"));
        image[22 * BLOCK..23 * BLOCK].fill(b'a');
        put(&mut image, 23 * BLOCK, b"txt");
        put(&mut image, 24 * BLOCK, b"bbbbb");
        image
    }

    fn open(image: Vec<u8>) -> Result<Option<Iso>, Error> {
        let length = image.len() as u64;
        Iso::open(&Section::whole(image, length, &Cancel::new()))
    }

    fn content(iso: &Iso, path: &str) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        iso.copy(path, &mut |piece| {
            content.extend(piece);
            Ok(true)
        })?;
        Ok(content)
    }

    #[test]
    fn names_links_and_files_of_several_parts_are_read() {
        let iso = open(image()).unwrap().unwrap();
        let summary = iso.summary();
        assert_eq!(summary.label.as_deref(), Some("nixos-26.05"));
        assert_eq!(summary.size, Some(26 * SECTOR));
        let entries = iso.list("/").unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["big", "link", "long-continued", "PLAIN.TXT"]);
        let link = &entries[1];
        assert_eq!(
            (link.kind, link.target.as_deref()),
            (EntryKind::Link, Some("/nix/../store"))
        );
        assert_eq!(
            content(&iso, "/big").unwrap(),
            [vec![b'a'; BLOCK], b"bbbbb".to_vec()].concat()
        );
        assert_eq!(content(&iso, "/long-continued/PLAIN.TXT").unwrap(), b"txt");
        for path in ["/none", "/big/none", "/PLAIN.TXT;1"] {
            assert!(matches!(iso.kind(path), Err(Error::Refused(_))), "{path}");
        }
    }

    #[test]
    fn what_firmware_starts_is_in_the_catalog() {
        let found = open(image()).unwrap().unwrap().boot_entries().unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|entry| (entry.platform, entry.start))
            .collect();
        assert_eq!(
            found,
            [(Platform::Bios, 30 * SECTOR), (Platform::Uefi, 40 * SECTOR)]
        );
        let mut damaged = image();
        damaged[19 * BLOCK] = 0;
        let entries = open(damaged).unwrap().unwrap().boot_entries();
        assert!(matches!(entries, Err(Error::Damaged(_))));
        let mut none = image();
        none[17 * BLOCK + 8] = 0;
        assert_eq!(open(none).unwrap().unwrap().boot_entries().unwrap(), []);
    }

    /// Every byte of the structures, with values that are not lengths or lead elsewhere.
    #[test]
    fn damaged_file_systems_end_with_any_result() {
        let positions = (16 * BLOCK..16 * BLOCK + 200).chain(19 * BLOCK..19 * BLOCK + 140);
        let positions = positions
            .chain(20 * BLOCK..20 * BLOCK + 420)
            .chain(21 * BLOCK..21 * BLOCK + 30);
        for at in positions {
            for value in [0, 1, 0x7f, 0xff] {
                let mut image = image();
                image[at] = value;
                let Ok(Some(iso)) = open(image) else { continue };
                drop(iso.boot_entries());
                for entry in iso.list("/").unwrap_or_default() {
                    drop(content(&iso, &entry.name));
                }
            }
        }
    }
}
