//! The miniature nixpkgs that `sdbuild try` builds an image from, embedded in the binary.

use std::io;
use std::path::Path;

use include_dir::{Dir, include_dir};

static TREE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/tests/mini-nixpkgs");

/// Creates `dir` and writes the miniature nixpkgs into it.
pub fn unpack_miniature(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    TREE.extract(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacks_all_files_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("nixpkgs");
        unpack_miniature(&tree).unwrap();
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mini-nixpkgs");
        for file in [
            "nixos/default.nix",
            "lib/modules.nix",
            ".version",
            "pins/amd64.lock.json",
        ] {
            let read = |dir: &Path| std::fs::read(dir.join(file)).unwrap();
            assert_eq!(read(&tree), read(&original), "{file}");
        }
    }
}
