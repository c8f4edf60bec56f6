//! Directories and files of a FAT: short and long names, content, label.

use super::bytes::{slice, u8_at, u16_at, u32_at};
use super::entry::{
    ContentSink, Entry, EntryKind, MAX_DIR_ENTRIES, Summary, not_a_file, not_found,
};
use super::error::Error;
use super::fat::{EntryWidth, Fat};
use super::unicode::{padded, units, utf16};

/// Bytes of the largest directory that the format allows: 65536 entries.
const MAX_DIR_BYTES: u64 = 2 << 20;
/// Bytes of a file that are read at once.
const PIECE_BYTES: u64 = 256 * 1024;
// Attributes of an entry.
const ATTR_DIRECTORY: u8 = 0x10;
const ATTR_VOLUME_ID: u8 = 0x08;
const ATTR_LONG_NAME: u8 = 0x0f;

/// An entry of a directory, with its long name if it has one.
#[derive(Clone, Debug)]
struct RawEntry {
    short: [u8; 11],
    long: Option<String>,
    attributes: u8,
    case: u8,
    cluster: u32,
    size: u32,
}

/// The root directory.
const ROOT: RawEntry = RawEntry {
    short: [0; 11],
    long: None,
    attributes: ATTR_DIRECTORY,
    case: 0,
    cluster: 0,
    size: 0,
};

impl RawEntry {
    fn parse(bytes: &[u8], width: EntryWidth) -> Self {
        let high = if width == EntryWidth::ThirtyTwo {
            u16_at(bytes, 20)
        } else {
            0
        };
        let mut short = *bytes.first_chunk::<11>().unwrap_or(&[0; 11]);
        // 0x05 stands for the first character 0xE5, which marks a deleted entry.
        if short.first() == Some(&0x05) {
            short[0] = 0xe5;
        }
        Self {
            short,
            long: None,
            attributes: u8_at(bytes, 11),
            case: u8_at(bytes, 12),
            cluster: u32::from(high) << 16 | u32::from(u16_at(bytes, 26)),
            size: u32_at(bytes, 28),
        }
    }

    fn is_label(&self) -> bool {
        self.attributes & (ATTR_VOLUME_ID | ATTR_DIRECTORY) == ATTR_VOLUME_ID
    }

    fn label(&self) -> Option<String> {
        padded(&self.short)
    }

    fn is_dir(&self) -> bool {
        self.attributes & ATTR_DIRECTORY != 0
    }

    fn checksum(&self) -> u8 {
        self.short
            .iter()
            .fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
    }

    fn name(&self) -> String {
        if let Some(long) = &self.long {
            return long.clone();
        }
        let part = |from, to, lower: bool| {
            let text = padded(slice(&self.short, from, to)).unwrap_or_default();
            if lower {
                text.to_ascii_lowercase()
            } else {
                text
            }
        };
        let (base, extension) = (
            part(0, 8, self.case & 8 != 0),
            part(8, 11, self.case & 16 != 0),
        );
        if extension.is_empty() {
            base
        } else {
            format!("{base}.{extension}")
        }
    }

    fn entry(&self) -> Entry {
        let dir = self.is_dir();
        Entry {
            name: self.name(),
            kind: if dir {
                EntryKind::Directory
            } else {
                EntryKind::File
            },
            size: self.size.into(),
            target: None,
        }
    }
}

/// The pieces of a long name, which precede its entry, last piece first.
#[derive(Default)]
struct LongName {
    units: Vec<u16>,
    checksum: u8,
    next: u8,
}

impl LongName {
    fn piece(&mut self, bytes: &[u8]) {
        let order = u8_at(bytes, 0);
        let (number, checksum) = (order & 0x1f, u8_at(bytes, 13));
        if order & 0x40 != 0 {
            *self = Self {
                units: Vec::new(),
                checksum,
                next: number,
            };
        }
        if number == 0 || number != self.next || checksum != self.checksum {
            *self = Self::default();
            return;
        }
        let mut piece: Vec<u16> = [(1, 11), (14, 26), (28, 32)]
            .into_iter()
            .flat_map(|(from, to)| units(slice(bytes, from, to)))
            .collect();
        piece.append(&mut self.units);
        self.units = piece;
        self.next = number - 1;
    }

    /// The name, if it is complete and belongs to `raw`.
    fn take(&mut self, raw: &RawEntry) -> Option<String> {
        let name = std::mem::take(self);
        let whole = !name.units.is_empty() && name.next == 0 && name.checksum == raw.checksum();
        whole.then(|| utf16(name.units))
    }
}

impl Fat {
    /// Visits the entries of `dir`; `visit` returns `false` to stop.
    fn entries(
        &self,
        dir: &RawEntry,
        visit: &mut dyn FnMut(RawEntry) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut long = LongName::default();
        let mut blocks = |block: &[u8]| {
            for bytes in block.chunks_exact(32) {
                match (u8_at(bytes, 0), u8_at(bytes, 11) & 0x3f) {
                    (0, _) => return Ok(false),
                    (0xe5, _) => long = LongName::default(),
                    (_, ATTR_LONG_NAME) => long.piece(bytes),
                    _ => {
                        let mut raw = RawEntry::parse(bytes, self.width);
                        raw.long = long.take(&raw);
                        if !visit(raw)? {
                            return Ok(false);
                        }
                    }
                }
            }
            Ok(true)
        };
        let first = match (dir.cluster, self.width) {
            (0, EntryWidth::ThirtyTwo) => self.root_cluster,
            (0, _) => {
                let (at, len) = self.root;
                blocks(&self.section.block(at, len)?)?;
                return Ok(());
            }
            (cluster, _) => cluster,
        };
        let max = MAX_DIR_BYTES.div_ceil(self.cluster);
        self.chain(first, max, &mut |position| {
            blocks(&self.section.block(position, self.cluster)?)
        })
    }

    /// The entry at `path`.
    fn resolve(&self, path: &str) -> Result<RawEntry, Error> {
        let mut stack = vec![ROOT];
        for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
            if name == ".." {
                stack.truncate(stack.len().saturating_sub(1).max(1));
                continue;
            }
            let dir = stack.last().cloned().unwrap_or(ROOT);
            if !dir.is_dir() {
                return Err(not_found(path));
            }
            let mut found = None;
            self.entries(&dir, &mut |raw| {
                let is_found = !raw.is_label() && is_same_name(&raw.name(), name);
                found = is_found.then_some(raw);
                Ok(found.is_none())
            })?;
            stack.push(found.ok_or_else(|| not_found(path))?);
        }
        Ok(stack.pop().unwrap_or(ROOT))
    }

    pub(super) fn kind(&self, path: &str) -> Result<EntryKind, Error> {
        Ok(self.resolve(path)?.entry().kind)
    }

    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        let at = self.resolve(path)?;
        if !at.is_dir() {
            return Ok(vec![at.entry()]);
        }
        let mut entries = Vec::new();
        self.entries(&at, &mut |raw| {
            let entry = raw.entry();
            if !raw.is_label() && !matches!(entry.name.as_str(), "." | "..") {
                entries.push(entry);
            }
            Ok(entries.len() < MAX_DIR_ENTRIES)
        })?;
        Ok(entries)
    }

    pub(super) fn copy(&self, path: &str, sink: ContentSink<'_>) -> Result<(), Error> {
        let raw = self.resolve(path)?;
        if raw.is_dir() {
            return Err(not_a_file(path));
        }
        let mut remaining = u64::from(raw.size);
        // A chain that leads back to itself would be read for as many clusters as the file system claims.
        if remaining > self.section.len() {
            return Err(Error::damaged(format!(
                "{path} claims to be longer ({remaining} bytes) than its file system"
            )));
        }
        if remaining == 0 {
            return Ok(());
        }
        let mut wanted = true;
        self.chain(raw.cluster, u64::MAX, &mut |position| {
            let mut at = position;
            let end = position + self.cluster.min(remaining);
            while wanted && at < end {
                let piece = PIECE_BYTES.min(end - at);
                wanted = sink(&self.section.block(at, piece)?)?;
                at += piece;
            }
            remaining -= end - position;
            Ok(wanted && remaining > 0)
        })?;
        if wanted && remaining > 0 {
            let what = format!("{path} ends {remaining} bytes before its length");
            return Err(Error::damaged(what));
        }
        Ok(())
    }

    pub(super) fn summary(&self) -> Result<Summary, Error> {
        let kind = match self.width {
            EntryWidth::Twelve => "fat12",
            EntryWidth::Sixteen => "fat16",
            EntryWidth::ThirtyTwo => "fat32",
        };
        let own = self.label.clone().filter(|label| label != "NO NAME");
        let serial = format!("{:04X}-{:04X}", self.serial >> 16, self.serial & 0xffff);
        Ok(Summary {
            kind: kind.to_owned(),
            label: self.root_label()?.or(own),
            uuid: Some(serial),
            size: Some(self.size),
            free: Some(self.free()? * self.cluster),
        })
    }

    /// The label in the root directory, which is current; the one in the boot sector is often that of the
    /// format.
    fn root_label(&self) -> Result<Option<String>, Error> {
        let mut label = None;
        self.entries(&ROOT, &mut |raw: RawEntry| {
            label = raw.is_label().then(|| raw.label()).flatten();
            Ok(label.is_none())
        })?;
        Ok(label)
    }
}

/// Whether two names are equal; case is ignored.
fn is_same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}
