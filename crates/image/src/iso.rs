//! ISO 9660 (ECMA-119), as on a CD: its label, what El Torito starts from it, and its files, by the names of Rock Ridge if it has them.
//!
//! Of the crates that read this, none is both maintained and reads through a limit of its caller's: `iso9660` and `cdfs` read what a
//! length field says, and the releases of `hadris-iso` are candidates.

use super::bytes::{has_magic, slice, u8_at, u16_at, u32_at};
use super::disk::Section;
use super::entry::Summary;
use super::error::Error;
use super::iso_entry::{Record, SECTOR};
use serde::Serialize;

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
    pub(super) root: Record,
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
