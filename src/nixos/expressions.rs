//! The expressions that Nix evaluates, beside those that depend on the source. They are embedded in the binary.

use std::io::{self, Read};
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use tar::Archive;

/// Their files as a compressed archive, which `build.rs` writes.
const ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/expressions.tar.gz"));

#[expect(
    clippy::expect_used,
    reason = "the program is wrong if its own files cannot be read"
)]
static FILES: LazyLock<Vec<(String, String)>> =
    LazyLock::new(|| unpack().expect("build.rs packs files of text"));

/// The path of each file below the directory of expressions, and its text, in alphabetical order of each directory.
pub(super) fn files() -> &'static [(String, String)] {
    &FILES
}

fn unpack() -> io::Result<Vec<(String, String)>> {
    let mut archive = Archive::new(GzDecoder::new(ARCHIVE));
    let mut files = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        files.push((path, text));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn all_files_are_embedded_unchanged() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/nixos/expressions");
        for (path, text) in files() {
            assert_eq!(*text, fs::read_to_string(dir.join(path)).unwrap(), "{path}");
        }
        let dirs = [dir.clone(), dir.join("check"), dir.join("glue")];
        let listed = dirs.iter().flat_map(|dir| fs::read_dir(dir).unwrap());
        let on_disk = listed.filter(|entry| entry.as_ref().unwrap().path().is_file());
        assert_eq!(on_disk.count(), files().len());
        let paths: Vec<&str> = files().iter().map(|(path, _)| path.as_str()).collect();
        for path in ["default.nix", "check/facts.nix", "glue/default.nix"] {
            assert!(paths.contains(&path), "{paths:?}");
        }
    }
}
