//! What the files beside an image state about it, and whether they are about the same image.

use std::io;
use std::path::{Path, PathBuf};

use crate::blockmap;
use crate::blockmap::BlockMap;
use crate::checksum;
use crate::checksum::{ChecksumTarget, Expected};
use crate::image_name::Sidecar;
use crate::manifest;
use crate::manifest::ManifestInfo;
use crate::{Error, ImageFile};
use sdbuild_core::compression::Compression;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;

/// What the sidecars of an image state.
#[derive(Debug)]
pub(super) struct Sidecars {
    /// The length of the decompressed image in bytes; the least possible one when no file states it.
    pub(super) size: u64,
    pub(super) map: Option<BlockMap>,
    /// The hash that the image must have.
    pub(super) expected: Option<Expected>,
}

impl Sidecars {
    /// Reads `<image>.bmap`, `<image>.json` and `<image>.sha256`; those that contradict the image or each
    /// other are refused.
    pub(super) fn read(path: &Path, image: &ImageFile) -> Result<Self, Failure> {
        let map = find_map(path, image.compression)?;
        let manifest = match manifest::read_info(path) {
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
            check_manifest(manifest, image, map.as_ref())?;
        }
        let listed = checksum::expected(path, image.compression);
        let listed = listed.map_err(|error| error.fail("read its hash"))?;
        let map_size = map.as_ref().map(|map| map.image_size);
        let raw_size = manifest.as_ref().map(|manifest| manifest.raw_size);
        Ok(Self {
            size: map_size.or(raw_size).unwrap_or(image.min_raw_size),
            expected: expected(listed, manifest)?,
            map,
        })
    }
}

fn check_manifest(
    manifest: &ManifestInfo,
    image: &ImageFile,
    map: Option<&BlockMap>,
) -> Result<(), Failure> {
    let name = manifest.file.display();
    if manifest.size != image.size {
        let text = format!(
            "the image file has {} bytes, but {name} states {}",
            image.size, manifest.size
        );
        let hint = "it is incomplete, or the manifest is that of another image";
        return Err(Failure::usage(text).hint(hint));
    }
    check_size(image, manifest.raw_size, &format!("{name} is the manifest"))?;
    match map {
        Some(map) if map.image_size != manifest.raw_size => {
            let text = format!("the block map is of {} bytes", map.image_size);
            Err(contradiction(manifest, &text))
        }
        _ => Ok(()),
    }
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

/// The hash of the list, else that of the manifest.
fn expected(
    listed: Option<Expected>,
    manifest: Option<ManifestInfo>,
) -> Result<Option<Expected>, Failure> {
    let Some(manifest) = manifest else {
        return Ok(listed);
    };
    let Some(listed) = listed else {
        return Ok(Some(Expected {
            list: manifest.file,
            hash: manifest.sha256,
            of: ChecksumTarget::File,
        }));
    };
    let is_same = match listed.of {
        ChecksumTarget::File => listed.hash == manifest.sha256,
        ChecksumTarget::Raw => listed.hash == manifest.raw_sha256,
    };
    if is_same {
        return Ok(Some(listed));
    }
    let text = format!("{} has another hash", listed.list.display());
    Err(contradiction(&manifest, &text))
}

fn contradiction(manifest: &ManifestInfo, what: &str) -> Failure {
    let name = manifest.file.display();
    let text = format!("{name} contradicts another file beside the image: {what}");
    Failure::usage(text).hint("remove the one that is of another image")
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
