//! Block maps against Debian's `bmaptool`, and flashing onto files and onto loop devices that the
//! tests make themselves. No test opens a block device that it did not make.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod broken;
mod card;
mod files;
mod loops;
mod maps;
mod scsi;
mod trees;

#[path = "../support/tools.rs"]
mod tools;

use std::path::Path;
use std::process::{Command, Output};

use tools::{find, have};

/// The project's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a tool with words that are parted by spaces.
fn tried(line: &str, dir: &Path) -> Output {
    let mut words = line.split_whitespace();
    let mut command = Command::new(find(words.next().unwrap()).unwrap());
    command
        .args(words)
        .current_dir(dir)
        .env("LC_ALL", "C.UTF-8");
    command.output().unwrap()
}

/// Runs a tool, which has to succeed; its output.
fn run(line: &str, dir: &Path) -> String {
    let output = tried(line, dir);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {err}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An image of `size` bytes with data of `seed` in the named stretches, and holes elsewhere.
fn image(path: &Path, size: u64, seed: u64, data: &[(u64, usize)]) {
    use std::os::unix::fs::FileExt as _;
    let mut random = fastrand::Rng::with_seed(seed);
    let file = std::fs::File::create(path).unwrap();
    for (at, length) in data {
        let mut bytes = vec![0; *length];
        random.fill(&mut bytes);
        file.write_all_at(&bytes, *at).unwrap();
    }
    file.set_len(size).unwrap();
}

/// The block map of `bytes`.
fn map_of(bytes: &[u8]) -> sdbuild::blockmap::BlockMap {
    let mut builder = sdbuild::blockmap::Builder::new();
    bytes.chunks(70_001).for_each(|piece| builder.push(piece));
    builder.finish()
}
