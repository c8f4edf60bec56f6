//! The miniature nixpkgs that `sdbuild try` builds an image from, embedded in the binary.

use std::fs;
use std::io;
use std::path::Path;

use flate2::read::GzDecoder;
use tar::Archive;

use sdbuild_build::MINIATURE;

/// Creates `dir` and writes the miniature nixpkgs into it.
pub fn unpack_miniature(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    Archive::new(GzDecoder::new(MINIATURE)).unpack(dir)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;

    /// The files below `dir` with their contents.
    fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut dirs = vec![dir.to_owned()];
        while let Some(next) = dirs.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let name = path.strip_prefix(dir).unwrap().to_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
        found
    }

    #[test]
    fn unpacks_all_files_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("nixpkgs");
        unpack_miniature(&tree).unwrap();
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mini-nixpkgs");
        let unpacked = files(&tree);
        assert!(unpacked.contains_key(Path::new("nixos/default.nix")));
        assert!(unpacked == files(&original));
    }
}
