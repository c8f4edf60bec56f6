//! Directories and files of ISO 9660.

use super::bytes::u8_at;
use super::entry::{ContentSink, Entry, EntryKind, MAX_DIR_ENTRIES, not_a_file, not_found};
use super::error::Error;
use super::iso::Iso;
use super::iso_entry::{Record, SECTOR};

/// Bytes of the largest directory that is read.
const MAX_DIR_BYTES: u64 = 16 << 20;
/// Continuations of a record that are followed: a name and a link of 4 KiB need three.
const MAX_CONTINUATIONS: usize = 8;
/// Directories above a file that are followed.
const MAX_DEPTH: usize = 64;
/// Bytes of a file that are read at once.
const PIECE_BYTES: u64 = 256 * 1024;

impl Iso {
    /// The records of the directory `dir`, without those of itself and of the one above.
    fn records(&self, dir: &Record) -> Result<Vec<Record>, Error> {
        let mut records = Vec::<Record>::new();
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
                    match records.last_mut().filter(|_| goes_on) {
                        Some(last) => last.extents.append(&mut record.extents),
                        None if matches!(record.name.as_str(), "." | "..") => {}
                        None => records.push(record),
                    }
                    goes_on = continues;
                    if records.len() >= MAX_DIR_ENTRIES {
                        return Ok(records);
                    }
                }
            }
        }
        Ok(records)
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
