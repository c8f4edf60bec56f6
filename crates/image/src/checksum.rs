//! The list of hashes `<image>.sha256` beside an image, in the format of `sha256sum`.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::content::ImageFacts;
use super::error::Error;
use crate::image_name::Sidecar;
use sdbuild_core::compression::Compression;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::plain_file;

/// Bytes of a list that are read.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// The comparison of an image with the list beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checksum {
    /// The path of the list.
    pub file: PathBuf,
    /// The hash in the list.
    pub expected: Sha256Hash,
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
pub fn compare(image: &Path, facts: &ImageFacts) -> Result<Option<Checksum>, Error> {
    let Some(expected) = expected(image, facts.compression)? else {
        return Ok(None);
    };
    let actual = match expected.of {
        ChecksumTarget::File => facts.sha256,
        ChecksumTarget::Raw => facts.raw_sha256,
    };
    let matches = actual == Some(expected.hash);
    Ok(Some(Checksum {
        file: expected.list,
        expected: expected.hash,
        matches,
    }))
}

/// The hash in `<image>.sha256`; `None` when that does not exist. A compressed image may also be listed under
/// its name without the extension: then the hash is that of the decompressed image.
pub fn expected(image: &Path, compression: Compression) -> Result<Option<Expected>, Error> {
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
