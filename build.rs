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
    #[expect(
        clippy::disallowed_methods,
        reason = "Cargo tells a build script in the environment where it writes to"
    )]
    let out = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    let archive = File::create(out.join("mini-nixpkgs.tar.gz"))?;
    let mut archive = Builder::new(GzEncoder::new(archive, Compression::best()));
    // The same files make the same program.
    archive.mode(HeaderMode::Deterministic);
    append(&mut archive, Path::new(TREE), Path::new(""))?;
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
