//! What the start of an image shows: whether it is an image, an archive or another file, whether all of it is there, and whether UEFI starts it.

use super::cluster_disk::{DiskForm, form_of};
use super::disk::Section;
use super::error::Error;
use super::files::{begins_container_image, other_file};
use super::iso::{Iso, Platform};
use super::open::ImageFile;
use super::report::Layout;
use super::table::{Partition, TableKind};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::Compression;

/// Where a tar archive has its magic number, and the number.
const ARCHIVE_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// Whether `start` is that of a tar archive.
pub fn begins_archive(start: &[u8]) -> bool {
    let (at, magic) = ARCHIVE_MAGIC;
    start.get(at..at + magic.len()) == Some(magic)
}

/// The layout of an image with this start. What is behind it is missing, so the layout has problems, but its partition table is
/// right.
fn layout_of_start(start: Vec<u8>, cancel: &Cancel) -> Result<Layout, Error> {
    let length = start.len() as u64;
    Layout::read(&Section::whole(start, length, cancel))
}

impl ImageFile {
    /// Whether it is a tar archive, by its start, which is decompressed for it.
    pub fn is_archive(&self, cancel: &Cancel) -> bool {
        begins_archive(&self.first_block(cancel))
    }

    /// Whether it is an archive that no container engine loads, by the same: a system that starts from memory is one.
    pub fn may_start_from_memory(&self, cancel: &Cancel) -> bool {
        let start = self.first_block(cancel);
        begins_archive(&start) && !begins_container_image(&start)
    }

    /// The first 512 bytes; empty if they cannot be read.
    fn first_block(&self, cancel: &Cancel) -> Vec<u8> {
        let mut start = vec![0; 512];
        let reader = self.reader(cancel, &|_| ());
        match reader.and_then(|mut reader| reader.fill(&mut start)) {
            Ok(_) => start,
            Err(_) => Vec::new(),
        }
    }

    /// Whether it is a file of another kind, which the refusal of its table names, by its start.
    pub fn is_other_file(&self, cancel: &Cancel) -> bool {
        let known = |start: Vec<u8>| {
            let length = start.len() as u64;
            other_file(&Section::whole(start, length, cancel))
        };
        matches!(self.start(cancel).and_then(known), Ok(Some(_)))
    }

    /// The kind of the partition table, by the first 128 KiB, which are decompressed for it; [`TableKind::None`] for a
    /// file system alone.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for what is not an image: there is neither a partition table nor a known file system.
    pub fn table_kind(&self, cancel: &Cancel) -> Result<TableKind, Error> {
        Ok(self.partitions_by_start(cancel)?.0)
    }

    /// The same with the partitions, which may end beyond the image if that is incomplete.
    pub fn partitions_by_start(
        &self,
        cancel: &Cancel,
    ) -> Result<(TableKind, Vec<Partition>), Error> {
        let layout = layout_of_start(self.start(cancel)?, cancel)?;
        let partitions = layout.partitions.into_iter();
        let partitions = partitions.map(|found| found.partition).collect();
        Ok((layout.table.kind, partitions))
    }

    /// Fails if a partition ends beyond the file, as after a copy that was interrupted. Of a compressed image and of the disk of a
    /// virtual machine the one who unpacks it tells that.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for such a file; what [`table_kind`](Self::table_kind) refuses.
    pub fn check_complete(&self, cancel: &Cancel) -> Result<(), Error> {
        if self.compression != Compression::None || self.disk_form(cancel)? != DiskForm::Raw {
            return Ok(());
        }
        let (_, partitions) = self.partitions_by_start(cancel)?;
        let end = partitions.iter().map(Partition::end).max().unwrap_or(0);
        check_end(end, self.size)
    }
}

/// Fails if the last partition ends, at the byte `end`, beyond an image of `size` bytes: the interrupted copy of a disk has its table,
/// and not all that the table lists.
///
/// # Errors
///
/// [`Error::Refused`] for such an image.
pub fn check_end(end: u64, size: u64) -> Result<(), Error> {
    if end <= size {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the image has {size} bytes, and its last partition ends at byte {end}: it is incomplete"
    )))
}

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
