//! Packs the miniature nixpkgs, which is part of the program: compressed it takes a third of its size there.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, HeaderMode};

const TREE: &str = "tests/mini-nixpkgs";

fn main() -> io::Result<()> {
    // Also new when a file is added.
    println!("cargo::rerun-if-changed={TREE}");
    let variable = |name| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let tree = variable("CARGO_MANIFEST_DIR").join(TREE);
    let archive = File::create(variable("OUT_DIR").join("mini-nixpkgs.tar.gz"))?;
    let mut archive = Builder::new(GzEncoder::new(archive, Compression::best()));
    // The same files make the same program.
    archive.mode(HeaderMode::Deterministic);
    append(&mut archive, &tree, Path::new(""))?;
    archive.into_inner()?.finish()?;
    Ok(())
}

/// Appends the files below `dir` of the `tree`, in the order of their names.
fn append<W: io::Write>(archive: &mut Builder<W>, tree: &Path, dir: &Path) -> io::Result<()> {
    let entries: io::Result<Vec<_>> = fs::read_dir(tree.join(dir))?.collect();
    let mut entries = entries?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = dir.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            append(archive, tree, &name)?;
        } else {
            archive.append_path_with_name(entry.path(), name)?;
        }
    }
    Ok(())
}
