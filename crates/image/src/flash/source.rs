//! The image to be written, with what its sidecars state about it.

use std::path::{Path, PathBuf};

use super::sidecars::Sidecars;
use crate::blockmap::BlockMap;
use crate::checksum::{ChecksumTarget, Expected};
use crate::partition::TableKind;
use crate::{DiskForm, Error, ImageFile, ImageKind, MAX_IMAGE_BYTES};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;

/// An image file to be written.
#[derive(Debug)]
pub struct FlashSource {
    /// The absolute path of the file, without symbolic links.
    pub path: PathBuf,
    pub(super) image: ImageFile,
    /// The length of the image in bytes. For a compressed image without block map and manifest it is the
    /// least possible length, which is 0 when its format does not state one.
    pub size: u64,
    pub(super) map: Option<BlockMap>,
    pub(super) expected: Option<Expected>,
}

impl FlashSource {
    /// Opens the image and reads its sidecars: `<image>.bmap`, `<image>.sha256` and `<image>.json`.
    pub fn open(given: &Path) -> Result<Self, Failure> {
        let image = ImageFile::open(given, ImageKind::File);
        let image = image.map_err(|error| error.fail_on("open", given))?;
        let path = given.canonicalize().or_usage("find the image")?;
        let Sidecars {
            size,
            map,
            expected,
        } = Sidecars::read(given, &image)?;
        if size > MAX_IMAGE_BYTES {
            return Err(Failure::usage(format!(
                "the image is too large: {size} bytes, {MAX_IMAGE_BYTES} at most"
            )));
        }
        Ok(Self {
            path,
            image,
            size,
            map,
            expected,
        })
    }

    /// The least length of the image by the end of a gzip file, unless a sidecar states the length. It is any number if
    /// the file is incomplete.
    pub(super) fn trailer_size(&self) -> Option<u64> {
        self.image.trailer_size().filter(|_| self.size == 0)
    }

    /// Refuses an image without a partition table, unless it is an ISO 9660 file system: UEFI starts that from a USB stick, too. The
    /// start of a compressed image is decompressed.
    pub fn check_table(&self, cancel: &Cancel) -> Result<(), Failure> {
        let without = match self.image.table_kind(cancel) {
            Ok(TableKind::Mbr | TableKind::Gpt) => {
                let complete = self.image.check_complete(cancel);
                return complete.map_err(|error| {
                    let failure = error.fail_on("examine", &self.path);
                    failure
                        .hint("copy, download or build it again; to write it as it is, give --raw")
                });
            }
            Ok(TableKind::None) if self.image.disk_form(cancel).ok() == Some(DiskForm::Cd) => {
                return Ok(());
            }
            Ok(TableKind::None) => Error::Refused("there is no partition table in it".to_owned()),
            Err(error @ Error::Refused(_)) => error,
            Err(error) => return Err(error.fail("read the image")),
        };
        let failure = without.fail_on("examine", &self.path);
        // What it is says what to do with it.
        if self.image.is_other_file(cancel) {
            return Err(failure);
        }
        Err(failure
            .hint(
                "boards do not boot from a card without a partition table; is this the right file?",
            )
            .hint("to write it as it is, give --raw"))
    }

    /// Compares the file with the expected hash before anything is written (`Phase::ReadImage`). A hash of
    /// the decompressed image is compared while that is written.
    pub fn check(&self, context: &Context) -> Result<(), Failure> {
        let expected = self.expected.as_ref();
        let Some(expected) = expected.filter(|expected| expected.of == ChecksumTarget::File) else {
            return Ok(());
        };
        let Context { cancel, events } = context;
        let progress = |done| events.bytes(Phase::ReadImage, done, Some(self.image.size));
        let hash = context.blocking_phase(Phase::ReadImage, || {
            let hash = self.image.sha256(cancel, &progress);
            hash.map_err(|error| error.fail("read the image"))
        })?;
        check_hash(expected, hash)
    }
}

/// Compares the hash of the image with the expected one.
pub(super) fn check_hash(expected: &Expected, hash: Sha256Hash) -> Result<(), Failure> {
    if hash == expected.hash {
        return Ok(());
    }
    let list = expected.list.display();
    let text = format!("the image does not have the hash that {list} states");
    Err(Failure::usage(text).hint("it is damaged or incomplete; download or build it again"))
}
