//! The miniature nixpkgs, which `sdbuild try` builds an image from.

use std::io;
use std::path::Path;

use include_dir::{Dir, include_dir};

static TREE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/tests/mini-nixpkgs");

/// Writes the tree into `folder`, which is made.
pub fn unpack_miniature(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    TREE.extract(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("nixpkgs");
        unpack_miniature(&tree).unwrap();
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mini-nixpkgs");
        for file in [
            "nixos/default.nix",
            "lib/modules.nix",
            ".version",
            "pins/amd64.lock.json",
        ] {
            let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
            assert_eq!(read(&tree), read(&original), "{file}");
        }
    }
}
