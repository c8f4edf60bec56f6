//! Tells images from other files by their start.

use super::disk::Section;
use super::error::Error;
use super::open::ImageFile;
use super::partition::TableKind;
use super::report::Layout;
use crate::common::cancel::Cancel;

/// Bytes at the start of an image that show its kind: a partition table, or the magic number of any file system.
const START_BYTES: usize = 128 * 1024;

/// Where a tar archive has its magic number, and the number.
const ARCHIVE_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// Whether `start` is that of a tar archive.
pub(crate) fn begins_archive(start: &[u8]) -> bool {
    let (at, magic) = ARCHIVE_MAGIC;
    start.get(at..at + magic.len()) == Some(magic)
}

/// The layout of an image with this start. What is behind it is missing, so the layout has problems, but its partition table is
/// right.
pub(super) fn layout_of_start(start: Vec<u8>, cancel: &Cancel) -> Result<Layout, Error> {
    let length = start.len() as u64;
    Layout::read(&Section::whole(start, length, cancel))
}

impl ImageFile {
    /// Whether it is a tar archive, by its start, which is decompressed for it.
    pub fn is_archive(&self, cancel: &Cancel) -> bool {
        let mut start = vec![0; 512];
        let read = self
            .reader(cancel, &|_| ())
            .and_then(|mut reader| reader.fill(&mut start));
        read.is_ok() && begins_archive(&start)
    }

    /// The kind of the partition table, by the first 128 KiB, which are decompressed for it; [`TableKind::None`] for a
    /// file system alone.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for what is no image: there is neither a partition table nor a known file system.
    pub fn table_kind(&self, cancel: &Cancel) -> Result<TableKind, Error> {
        let layout = layout_of_start(self.start(cancel)?, cancel);
        layout.map(|layout| layout.table.kind)
    }

    /// The first 128 KiB of the image, which are decompressed for it.
    pub(super) fn start(&self, cancel: &Cancel) -> Result<Vec<u8>, Error> {
        let mut start = vec![0; START_BYTES];
        let length = self.reader(cancel, &|_| ())?.fill(&mut start)?;
        start.truncate(length);
        Ok(start)
    }
}
