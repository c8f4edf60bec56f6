//! What the files beside an image state about it: hash and manifest, which `inspect` and `flash` compare too.

use std::path::Path;

use crate::publish::blocks::DiskFacts;
use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_image::image_name::Sidecar;
use sdbuild_image::{Error, ImageFacts, ImageFile, ImageKind, sidecars};

/// Compares the disk that was read of the image at `path` with `<image>.sha256` and `<image>.json`, where they are. A compressed file is read
/// for its own hash. Blocks its thread.
pub(super) fn check(path: &Path, disk: &DiskFacts, context: &Context) -> Result<(), Failure> {
    let is_there = |sidecar: Sidecar| sidecar.path(path).exists();
    if !is_there(Sidecar::Checksum) && !is_there(Sidecar::Manifest) {
        return Ok(());
    }
    let facts = facts(path, disk, context).map_err(|error| error.fail("read it"))?;
    let damaged = "it is damaged or incomplete; copy, download or build it again";
    let checksum =
        sidecars::compare_checksum(path, &facts).map_err(|error| error.fail("read its hash"))?;
    if let Some(checksum) = checksum.filter(|checksum| !checksum.matches) {
        let list = checksum.file.display();
        let text = format!("the image does not have the hash that {list} states");
        return Err(Failure::usage(text).hint(damaged));
    }
    let manifest = match sidecars::compare_manifest(path, &facts) {
        // Written by a later sdbuild: its fields are unknown here.
        Err(Error::Unsupported(_)) => None,
        manifest => manifest.map_err(|error| error.fail("read its manifest"))?,
    };
    match manifest.filter(|manifest| !manifest.mismatches.is_empty()) {
        None => Ok(()),
        Some(manifest) => {
            let (file, fields) = (manifest.file.display(), manifest.mismatches.join(", "));
            let text = format!("{file} belongs to another image: {fields} differ");
            Err(Failure::usage(text).hint(damaged))
        }
    }
}

fn facts(path: &Path, disk: &DiskFacts, context: &Context) -> Result<ImageFacts, Error> {
    let image = ImageFile::open(path, ImageKind::File)?;
    let sha256 = match image.compression {
        Compression::None => disk.sha256,
        Compression::Zstd | Compression::Xz | Compression::Gzip => {
            image.sha256(&context.cancel, &|_| ())?
        }
    };
    Ok(ImageFacts {
        compression: image.compression,
        size: image.size,
        sha256: Some(sha256),
        raw_size: disk.size,
        raw_sha256: Some(disk.sha256),
    })
}
