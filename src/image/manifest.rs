//! `<image>.json` beside an image: the manifest that sdbuild wrote with it (docs/manifest.md).

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::content::ImageFacts;
use super::error::Error;
use crate::common::plain_file;

/// The longest manifest that is read.
const LONGEST: u64 = 1 << 20;
/// The version whose fields are read here.
const VERSION: u32 = 1;

/// What a manifest beside the image says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The manifest.
    pub file: PathBuf,
    /// What of it is not the image's: `size`, `sha256`, `raw.size`, `raw.sha256`.
    pub mismatches: Vec<&'static str>,
}

/// What tells which fields there are.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The fields that can be compared; there are many others.
#[derive(Deserialize)]
struct Fields {
    image: ImageFile,
    raw: Raw,
}

#[derive(Deserialize)]
struct ImageFile {
    size: u64,
    sha256: String,
}

#[derive(Deserialize)]
struct Raw {
    size: u64,
    sha256: String,
}

/// What a manifest says of its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestInfo {
    /// The manifest.
    pub file: PathBuf,
    /// Bytes of the image's file.
    pub size: u64,
    /// That file's hash.
    pub sha256: String,
    /// Bytes of the image when it is decompressed.
    pub raw_size: u64,
    /// The hash of those.
    pub raw_sha256: String,
}

/// What `<image>.json` says, if there is one. One of another version is [`Error::Unsupported`].
pub fn read_info(image: &Path) -> Result<Option<ManifestInfo>, Error> {
    let mut file = image.as_os_str().to_owned();
    file.push(".json");
    let file = PathBuf::from(file);
    let shown = file.display();
    let no_manifest =
        |why: &dyn Display| Error::refused(format!("{shown} is not a manifest: {why}"));
    let text = match plain_file::read_text(&file, LONGEST) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if plain_file::is_wrong_kind(&e) => return Err(no_manifest(&e)),
        read => read?,
    };
    let Version { version } = serde_json::from_str(&text).map_err(|e| no_manifest(&e))?;
    if version != VERSION {
        let what = format!("{shown} is a manifest of version {version}, not {VERSION}");
        return Err(Error::unsupported(what));
    }
    let Fields { image, raw } = serde_json::from_str(&text).map_err(|e| no_manifest(&e))?;
    Ok(Some(ManifestInfo {
        size: image.size,
        sha256: image.sha256.to_ascii_lowercase(),
        raw_size: raw.size,
        raw_sha256: raw.sha256.to_ascii_lowercase(),
        file,
    }))
}

/// Compares with `<image>.json` if there is one.
pub fn compare(image: &Path, facts: &ImageFacts) -> Result<Option<Manifest>, Error> {
    let Some(told) = read_info(image)? else {
        return Ok(None);
    };
    let same = |told: &String, found: &Option<String>| found.as_ref() == Some(told);
    let checks = [
        ("size", told.size == facts.size),
        ("sha256", same(&told.sha256, &facts.sha256)),
        ("raw.size", told.raw_size == facts.raw_size),
        ("raw.sha256", same(&told.raw_sha256, &facts.raw_sha256)),
    ];
    let wrong = checks.iter().filter(|(_, right)| !right);
    Ok(Some(Manifest {
        mismatches: wrong.map(|(name, _)| *name).collect(),
        file: told.file,
    }))
}
