//! The image to be written, with what the files beside it state about it, and whether they are about the same image.

use std::io;
use std::path::{Path, PathBuf};

use crate::blockmap;
use crate::blockmap::BlockMap;
use crate::image_name::Sidecar;
use crate::sidecars;
use crate::sidecars::{ChecksumTarget, Expected, ManifestInfo};
use crate::table::TableKind;
use crate::{DiskForm, Error, ImageFile, ImageKind, MAX_IMAGE_BYTES};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::plain_file;

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

    /// The image file.
    pub fn image(&self) -> &ImageFile {
        &self.image
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

/// What the sidecars of an image state.
#[derive(Debug)]
struct Sidecars {
    /// The length of the decompressed image in bytes; the least possible one when no file states it.
    pub(super) size: u64,
    pub(super) map: Option<BlockMap>,
    /// The hash that the image must have.
    pub(super) expected: Option<Expected>,
}

impl Sidecars {
    /// Reads `<image>.bmap`, `<image>.json` and `<image>.sha256`; those that contradict the image are refused.
    pub(super) fn read(path: &Path, image: &ImageFile) -> Result<Self, Failure> {
        let map = find_map(path, image.compression)?;
        let manifest = match sidecars::read_manifest(path) {
            // Written by a later sdbuild: its fields are unknown here.
            Err(Error::Unsupported(_)) => None,
            manifest => manifest.map_err(|error| error.fail("read its manifest"))?,
        };
        if let Some((name, map)) = &map {
            let name = format!("{} is the block map", name.display());
            check_size(image, map.image_size, &name)?;
        }
        let map = map.map(|(_, map)| map);
        if let Some(manifest) = &manifest {
            check_manifest(manifest, image)?;
        }
        let listed = sidecars::expected_hash(path, image.compression);
        let listed = listed.map_err(|error| error.fail("read its hash"))?;
        let map_size = map.as_ref().map(|map| map.image_size);
        let raw_size = manifest.as_ref().map(|manifest| manifest.raw_size);
        Ok(Self {
            size: map_size.or(raw_size).unwrap_or(image.min_raw_size),
            // The list comes first, as sha256sum would have it.
            expected: listed.or(manifest.map(|manifest| Expected {
                list: manifest.file,
                hash: manifest.sha256,
                of: ChecksumTarget::File,
            })),
            map,
        })
    }
}

fn check_manifest(manifest: &ManifestInfo, image: &ImageFile) -> Result<(), Failure> {
    let name = manifest.file.display();
    if manifest.size != image.size {
        let text = format!(
            "the image file has {} bytes, but {name} states {}",
            image.size, manifest.size
        );
        let hint = "it is incomplete, or the manifest is that of another image";
        return Err(Failure::usage(text).hint(hint));
    }
    check_size(image, manifest.raw_size, &format!("{name} is the manifest"))
}

/// Checks that the image can have `size` bytes, as its sidecar states. `sidecar` begins the error message.
fn check_size(image: &ImageFile, size: u64, sidecar: &str) -> Result<(), Failure> {
    let least = image.min_raw_size;
    let is_exact = image.compression == Compression::None;
    if least < size && !is_exact || least == size {
        return Ok(());
    }
    let text = format!("{sidecar} of another image: that has {size} bytes, this one {least}");
    Err(Failure::usage(text).hint("remove it, or put the right one beside the image"))
}

/// The block map beside the image: named after the file, or after the file without the extension of the
/// compression.
fn find_map(
    image: &Path,
    compression: Compression,
) -> Result<Option<(PathBuf, BlockMap)>, Failure> {
    let (name, stem) = (image.to_owned(), image.with_extension(""));
    let names = match compression {
        Compression::None => vec![name],
        Compression::Zstd | Compression::Xz | Compression::Gzip => vec![name, stem],
    };
    for name in names {
        let path = Sidecar::BlockMap.path(&name);
        let operation = format!("read the block map {}", path.display());
        let text = match plain_file::read_text(&path, blockmap::MAX_FILE_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            text => text.or_usage(&operation)?,
        };
        let map = BlockMap::parse(&text).or_usage(operation)?;
        return Ok(Some((path, map)));
    }
    Ok(None)
}
