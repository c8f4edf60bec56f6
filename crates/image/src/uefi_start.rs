//! Whether UEFI starts an image.

use super::disk::Section;
use super::disk_form::{DiskForm, form_of};
use super::error::Error;
use super::iso::{Iso, Platform};
use super::open::ImageFile;
use super::start::layout_of_start;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::Compression;

/// The type of an EFI system partition in a GPT, by the UEFI specification.
const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

impl ImageFile {
    /// Whether UEFI starts it: it has an EFI system partition in a GPT, is a CD with an entry for UEFI, or is the disk of a virtual
    /// machine in a form of its own.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn starts_by_uefi(&self, cancel: &Cancel) -> Result<bool, Error> {
        let start = self.start_unless_damaged(cancel)?;
        match form_of(&start) {
            Ok(DiskForm::Raw) => {}
            Ok(DiskForm::Cd) if self.compression == Compression::None => {
                return match self.boots_as_cd(cancel) {
                    // UEFI starts nothing by a catalog that it cannot read.
                    Err(error) if !error.is_fatal() => Ok(false),
                    boots => boots,
                };
            }
            Ok(_) | Err(_) => return Ok(true),
        }
        // UEFI starts nothing from a disk whose table it cannot read.
        Ok(layout_of_start(start, cancel).is_ok_and(|layout| {
            let mut kinds = layout.partitions.iter().map(|found| &found.partition.kind);
            kinds.any(|kind| kind.eq_ignore_ascii_case(ESP))
        }))
    }

    /// Whether the boot catalog of a CD, which is not compressed, has an entry for UEFI.
    fn boots_as_cd(&self, cancel: &Cancel) -> Result<bool, Error> {
        let whole = Section::whole(self.file().try_clone()?, self.size, cancel);
        let entries = match Iso::open(&whole)? {
            Some(iso) => iso.boot_entries()?,
            None => Vec::new(),
        };
        Ok(entries.iter().any(|entry| entry.platform == Platform::Uefi))
    }
}
