//! `<image>.sha256` beside an image, as `sha256sum` writes it.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::content::ImageFacts;
use super::error::Error;
use crate::common::compression::Compression;
use crate::common::plain_file;

/// The longest list that is read.
const LONGEST: u64 = 1 << 20;

/// What a list beside the image says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checksum {
    /// The list.
    pub file: PathBuf,
    /// The hash that it gives.
    pub expected: String,
    /// Whether it is the one of the image.
    pub matches: bool,
}

/// What a hash in the list is the hash of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumTarget {
    /// The file.
    File,
    /// What it is when it is decompressed.
    Raw,
}

/// The line of the list that is about the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The list.
    pub list: PathBuf,
    /// The hash, in lower case.
    pub hash: String,
    /// What it is the hash of.
    pub of: ChecksumTarget,
}

/// Compares with `<image>.sha256` if there is one.
pub fn compare(image: &Path, facts: &ImageFacts) -> Result<Option<Checksum>, Error> {
    let Some(expected) = expected(image, facts.compression)? else {
        return Ok(None);
    };
    let actual = match expected.of {
        ChecksumTarget::File => &facts.sha256,
        ChecksumTarget::Raw => &facts.raw_sha256,
    };
    let matches = actual.as_deref() == Some(expected.hash.as_str());
    Ok(Some(Checksum {
        file: expected.list,
        expected: expected.hash,
        matches,
    }))
}

/// What `<image>.sha256` says, if there is one. A compressed image may also be listed by its name
/// without the ending: then the decompressed bytes count.
pub fn expected(image: &Path, compression: Compression) -> Result<Option<Expected>, Error> {
    let mut list = image.as_os_str().to_owned();
    list.push(".sha256");
    let list = PathBuf::from(list);
    let mut text = String::new();
    match plain_file::open(&list).and_then(|file| file.take(LONGEST).read_to_string(&mut text)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if plain_file::is_wrong_kind(&e) => {
            let what = format!("{} is not a list of hashes: {e}", list.display());
            return Err(Error::Refused(what));
        }
        read => read?,
    };
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let stem = image.file_stem().unwrap_or_default().to_string_lossy();
    let hash_of = |wanted: &str| text.lines().filter_map(line).find(|(_, n)| n == wanted);
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

/// Hash and file name, without its directory, of one line.
fn line(line: &str) -> Option<(String, String)> {
    // A name with a backslash or a line's end in it is written with escapes, after a backslash.
    let (escaped, line) = match line.strip_prefix('\\') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (hash, name) = line.split_once(' ')?;
    let name = name.strip_prefix([' ', '*'])?;
    if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let name = if escaped {
        let parts: Vec<String> = name.split("\\\\").map(|p| p.replace("\\n", "\n")).collect();
        parts.join("\\")
    } else {
        name.to_owned()
    };
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    Some((hash.to_ascii_lowercase(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_sha256sum_writes_them() {
        let hash = "ab".repeat(32);
        let name = |text: &str| line(text).map(|(_, name)| name);
        assert_eq!(name(&format!("{hash}  a b.img")).unwrap(), "a b.img");
        assert_eq!(name(&format!("{hash} *out/a.img")).unwrap(), "a.img");
        assert_eq!(name(&format!("\\{hash}  a\\\\nb\\nc")).unwrap(), "a\\nb\nc");
        assert_eq!(name(&format!("a{hash}  a.img")), None);
        assert_eq!(name("# a comment"), None);
    }
}
