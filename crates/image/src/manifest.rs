//! `<image>.json` beside an image: the manifest that sdbuild wrote with it (docs/manifest.md).

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::content::ImageFacts;
use super::error::Error;
use crate::image_name::Sidecar;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::plain_file;

/// Bytes of the largest manifest that is read.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// The version of the format, which is changed when a key is renamed or removed. No other is read.
pub const VERSION: u32 = 1;

/// The comparison of an image with the manifest beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The path of the manifest.
    pub file: PathBuf,
    /// Fields that differ from the image: `size`, `sha256`, `raw.size`, `raw.sha256`.
    pub mismatches: Vec<&'static str>,
}

/// The field that every version has.
#[derive(Deserialize)]
struct VersionField {
    version: u32,
}

/// The fields that are compared; there are many others.
#[derive(Deserialize)]
struct ComparedFields {
    system: Option<String>,
    image: SizeAndHash,
    raw: SizeAndHash,
    result: Option<BuildResult>,
}

#[derive(Deserialize)]
struct BuildResult {
    store_path: String,
}

#[derive(Deserialize)]
struct SizeAndHash {
    size: u64,
    sha256: Sha256Hash,
}

/// What a manifest states about its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestInfo {
    /// The path of the manifest.
    pub file: PathBuf,
    /// The system of the image, as the manifest has it.
    pub system: Option<String>,
    /// The length of the image file in bytes.
    pub size: u64,
    /// SHA-256 of the image file.
    pub sha256: Sha256Hash,
    /// The length of the decompressed image in bytes.
    pub raw_size: u64,
    /// SHA-256 of the decompressed image.
    pub raw_sha256: Sha256Hash,
    /// The store path that the image was copied from, as the manifest has it.
    pub store_path: Option<String>,
}

/// Reads `<image>.json`; `None` when it does not exist. Another version is [`Error::Unsupported`].
pub fn read_info(image: &Path) -> Result<Option<ManifestInfo>, Error> {
    let file = Sidecar::Manifest.path(image);
    let shown = file.display();
    let no_manifest =
        |why: &dyn Display| Error::refused(format!("{shown} is not a manifest: {why}"));
    let text = match plain_file::read_text(&file, MAX_MANIFEST_BYTES) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if plain_file::is_wrong_kind(&e) => return Err(no_manifest(&e)),
        read => read?,
    };
    let VersionField { version } = serde_json::from_str(&text).map_err(|e| no_manifest(&e))?;
    if version != VERSION {
        let what = format!("{shown} is a manifest of version {version}, not {VERSION}");
        return Err(Error::unsupported(what));
    }
    let fields: ComparedFields = serde_json::from_str(&text).map_err(|e| no_manifest(&e))?;
    let ComparedFields {
        system,
        image,
        raw,
        result,
    } = fields;
    Ok(Some(ManifestInfo {
        system,
        size: image.size,
        sha256: image.sha256,
        raw_size: raw.size,
        raw_sha256: raw.sha256,
        store_path: result.map(|result| result.store_path),
        file,
    }))
}

/// Compares the image with `<image>.json`; `None` when that does not exist.
pub fn compare(image: &Path, facts: &ImageFacts) -> Result<Option<Manifest>, Error> {
    let Some(manifest) = read_info(image)? else {
        return Ok(None);
    };
    let same = |stated: Sha256Hash, found: Option<Sha256Hash>| found == Some(stated);
    let checks = [
        ("size", manifest.size == facts.size),
        ("sha256", same(manifest.sha256, facts.sha256)),
        ("raw.size", manifest.raw_size == facts.raw_size),
        ("raw.sha256", same(manifest.raw_sha256, facts.raw_sha256)),
    ];
    let wrong = checks.iter().filter(|(_, right)| !right);
    Ok(Some(Manifest {
        mismatches: wrong.map(|(name, _)| *name).collect(),
        file: manifest.file,
    }))
}
