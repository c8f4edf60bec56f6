//! The files beside an image: the list of hashes `<image>.sha256`, in the format of `sha256sum`, and the manifest `<image>.json`
//! (docs/automation.md).

use std::fmt::Display;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::open::ImageFacts;
use crate::image_name::Sidecar;
use sdbuild_core::compression::Compression;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::plain_file;
use sdbuild_core::untrusted;

/// Bytes of a list that are read.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// The comparison of an image with the list beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checksum {
    /// The path of the list.
    pub file: PathBuf,
    /// The hash in the list.
    pub expected_hash: Sha256Hash,
    /// Whether the image has that hash.
    pub matches: bool,
}

/// What a hash in the list is computed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumTarget {
    /// The image file.
    File,
    /// The decompressed image.
    Raw,
}

/// The hash that an image must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The path of the file that states it.
    pub list: PathBuf,
    /// The SHA-256.
    pub hash: Sha256Hash,
    /// The data that the hash covers.
    pub of: ChecksumTarget,
}

/// Compares the image with `<image>.sha256`; `None` when that does not exist.
pub fn compare_checksum(image: &Path, facts: &ImageFacts) -> Result<Option<Checksum>, Error> {
    let Some(expected_hash) = expected_hash(image, facts.compression)? else {
        return Ok(None);
    };
    let actual = match expected_hash.of {
        ChecksumTarget::File => facts.sha256,
        ChecksumTarget::Raw => facts.raw_sha256,
    };
    let matches = actual == Some(expected_hash.hash);
    Ok(Some(Checksum {
        file: expected_hash.list,
        expected_hash: expected_hash.hash,
        matches,
    }))
}

/// The hash in `<image>.sha256`; `None` when that does not exist. A compressed image may also be listed under
/// its name without the extension: then the hash is that of the decompressed image.
pub fn expected_hash(image: &Path, compression: Compression) -> Result<Option<Expected>, Error> {
    let list = Sidecar::Checksum.path(image);
    let mut text = String::new();
    match plain_file::open(&list)
        .and_then(|file| file.take(MAX_LIST_BYTES).read_to_string(&mut text))
    {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if plain_file::is_wrong_kind(&e) => {
            let what = format!("{} is not a list of hashes: {e}", list.display());
            return Err(Error::Refused(what));
        }
        read => read?,
    };
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let stem = image.file_stem().unwrap_or_default().to_string_lossy();
    let hash_of = |wanted: &str| {
        text.lines()
            .filter_map(parse_line)
            .find(|(_, n)| n == wanted)
    };
    let (found, of) = match hash_of(&name) {
        None if compression != Compression::None => (hash_of(&stem), ChecksumTarget::Raw),
        found => (found, ChecksumTarget::File),
    };
    let Some((hash, _)) = found else {
        let what = format!("{} has no line for {name}", list.display());
        return Err(Error::Refused(what));
    };
    Ok(Some(Expected { list, hash, of }))
}

/// The hash and the file name, without its directory, in one line.
fn parse_line(line: &str) -> Option<(Sha256Hash, String)> {
    // A backslash at the start means that backslashes and newlines in the name are escaped.
    let (escaped, line) = match line.strip_prefix('\\') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (hash, name) = line.split_once(' ')?;
    let name = name.strip_prefix([' ', '*'])?;
    // Some tools write upper-case digits.
    let hash = hash.to_ascii_lowercase().parse().ok()?;
    let name = if escaped {
        let parts: Vec<String> = name.split("\\\\").map(|p| p.replace("\\n", "\n")).collect();
        parts.join("\\")
    } else {
        name.to_owned()
    };
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    Some((hash, name))
}

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
pub fn read_manifest(image: &Path) -> Result<Option<ManifestInfo>, Error> {
    let file = Sidecar::Manifest.path(image);
    let shown = file.display();
    let no_manifest =
        |why: &dyn Display| Error::refused(format!("{shown} is not a manifest: {why}"));
    let text = match plain_file::read_text(&file, MAX_MANIFEST_BYTES) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if plain_file::is_wrong_kind(&e) => return Err(no_manifest(&e)),
        read => read?,
    };
    let VersionField { version } = untrusted::json(&text).map_err(|e| no_manifest(&e))?;
    if version != VERSION {
        let what = format!("{shown} is a manifest of version {version}, not {VERSION}");
        return Err(Error::unsupported(what));
    }
    let fields: ComparedFields = untrusted::json(&text).map_err(|e| no_manifest(&e))?;
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
pub fn compare_manifest(image: &Path, facts: &ImageFacts) -> Result<Option<Manifest>, Error> {
    let Some(manifest) = read_manifest(image)? else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_sha256sum_are_parsed() {
        let hash = "ab".repeat(32);
        let name = |text: &str| parse_line(text).map(|(_, name)| name);
        assert_eq!(name(&format!("{hash}  a b.img")).unwrap(), "a b.img");
        assert_eq!(name(&format!("{hash} *out/a.img")).unwrap(), "a.img");
        assert_eq!(name(&format!("\\{hash}  a\\\\nb\\nc")).unwrap(), "a\\nb\nc");
        assert_eq!(name(&format!("a{hash}  a.img")), None);
        assert_eq!(name("# a comment"), None);
    }
}
