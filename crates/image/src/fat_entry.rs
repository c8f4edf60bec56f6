//! An entry of a FAT's directory: its short and its long name, type and size.

use super::bytes::{slice, u8_at, u16_at, u32_at};
use super::entry::{Entry, EntryKind};
use super::fat::EntryWidth;
use super::unicode::{padded, units, utf16};

// Attributes of an entry.
const ATTR_DIRECTORY: u8 = 0x10;
const ATTR_VOLUME_ID: u8 = 0x08;
pub(super) const ATTR_LONG_NAME: u8 = 0x0f;

/// An entry of a directory, with its long name if it has one.
#[derive(Clone, Debug)]
pub(super) struct RawEntry {
    short: [u8; 11],
    pub(super) long: Option<String>,
    attributes: u8,
    case: u8,
    pub(super) cluster: u32,
    pub(super) size: u32,
}

/// The root directory.
pub(super) const ROOT: RawEntry = RawEntry {
    short: [0; 11],
    long: None,
    attributes: ATTR_DIRECTORY,
    case: 0,
    cluster: 0,
    size: 0,
};

impl RawEntry {
    /// Parses the 32 bytes of an entry, without its long name.
    pub(super) fn parse(bytes: &[u8], width: EntryWidth) -> Self {
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

    /// Whether it is the label of the file system.
    pub(super) fn is_label(&self) -> bool {
        self.attributes & (ATTR_VOLUME_ID | ATTR_DIRECTORY) == ATTR_VOLUME_ID
    }

    /// The name as a label.
    pub(super) fn label(&self) -> Option<String> {
        padded(&self.short)
    }

    pub(super) fn is_dir(&self) -> bool {
        self.attributes & ATTR_DIRECTORY != 0
    }

    /// The checksum that the pieces of its long name have.
    fn checksum(&self) -> u8 {
        self.short
            .iter()
            .fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
    }

    /// The long name, else the short one with its extension.
    pub(super) fn name(&self) -> String {
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

    pub(super) fn entry(&self) -> Entry {
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
pub(super) struct LongName {
    units: Vec<u16>,
    checksum: u8,
    next: u8,
}

impl LongName {
    /// Adds a piece; one that does not continue the name discards it.
    pub(super) fn piece(&mut self, bytes: &[u8]) {
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
    pub(super) fn take(&mut self, raw: &RawEntry) -> Option<String> {
        let name = std::mem::take(self);
        let whole = !name.units.is_empty() && name.next == 0 && name.checksum == raw.checksum();
        whole.then(|| utf16(name.units))
    }
}
