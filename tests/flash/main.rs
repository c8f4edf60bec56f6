//! Block maps compared with Debian's `bmaptool`, and flashing to files and to loop devices that the tests
//! create. No test opens a block device that it did not create.

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
mod recorded_machine;
mod refused;
mod scsi;
mod swapped;
mod trees;

#[path = "../support/tools.rs"]
mod tools;

use std::path::Path;
use std::process::{Command, Output};

use tools::{find, have, needs};

/// The root directory of the project.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command line, split at spaces.
fn try_run(line: &str, dir: &Path) -> Output {
    let mut words = line.split_whitespace();
    let mut command = Command::new(find(words.next().unwrap()).unwrap());
    command.args(words).current_dir(dir).env("LC_ALL", "C.UTF-8");
    command.output().unwrap()
}

/// Runs a tool, which must succeed, and returns its output.
fn run(line: &str, dir: &Path) -> String {
    let output = try_run(line, dir);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {err}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Creates an image of `size` bytes with random data of `seed` in the ranges `data`, and holes elsewhere.
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
fn map_of(bytes: &[u8]) -> sdbuild_image::blockmap::BlockMap {
    let mut builder = sdbuild_image::blockmap::Builder::new();
    bytes.chunks(70_001).for_each(|piece| builder.push(piece));
    builder.finish()
}
