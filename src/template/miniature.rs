//! The miniature nixpkgs, which `sdbuild try` builds an image from.

use std::io;
use std::path::Path;

use include_dir::{Dir, include_dir};

static TREE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/tests/mini-nixpkgs");

/// Writes the tree into `dir`, which is made.
pub fn unpack_miniature(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    TREE.extract(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole() {
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
