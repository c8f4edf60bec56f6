//! Tells images from other files by their start.

use super::disk::Section;
use super::error::Error;
use super::open::ImageFile;
use super::partition::TableKind;
use super::report::Layout;
use crate::common::cancel::Cancel;

/// Bytes at the start of an image that show its kind: a partition table, or the magic number of any file system.
const START_BYTES: usize = 128 * 1024;

impl ImageFile {
    /// The kind of the partition table, by the first 128 KiB, which are decompressed for it; [`TableKind::None`] for a
    /// file system alone.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for what is no image: there is neither a partition table nor a known file system.
    pub fn table_kind(&self, cancel: &Cancel) -> Result<TableKind, Error> {
        let mut start = vec![0; START_BYTES];
        let length = self.reader(cancel, &|_| ())?.fill(&mut start)?;
        start.truncate(length);
        // What is behind the start is missing; the layout has problems then, but it has a kind.
        let layout = Layout::read(&Section::whole(start, length as u64, cancel));
        layout.map(|layout| layout.table.kind)
    }
}
