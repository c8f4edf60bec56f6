//! Packs files that are part of the program: compressed they take a third of their size there.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, HeaderMode};

/// The name of each archive, and the files in it.
const ARCHIVES: [(&str, &str); 2] = [
    ("mini-nixpkgs.tar.gz", "../../tests/mini-nixpkgs"),
    ("expressions.tar.gz", "src/expressions"),
];

fn main() -> io::Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "Cargo tells a build script in the environment where it writes to"
    )]
    let out = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    for (name, tree) in ARCHIVES {
        // Also new when a file is added.
        println!("cargo::rerun-if-changed={tree}");
        let archive = File::create(out.join(name))?;
        let mut archive = Builder::new(GzEncoder::new(archive, Compression::best()));
        // The same files make the same program.
        archive.mode(HeaderMode::Deterministic);
        append(&mut archive, Path::new(tree), Path::new(""))?;
        archive.into_inner()?.finish()?;
    }
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
