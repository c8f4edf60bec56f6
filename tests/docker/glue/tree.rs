//! Reads the root file system of an image.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use crate::support::*;

/// The offset of the root partition in the miniature image, in bytes: after 8 MiB of gap and 30 MiB of firmware.
pub(super) const ROOT_AT: usize = 38 << 20;

/// The properties of a file that must be the same: kind and mode, owner, content.
type Seen = (u32, u32, u32, Vec<u8>);

/// A root file system's files by path, without the hashes of store paths.
pub(super) type Tree = BTreeMap<String, Seen>;

/// Everything in an image's root file system.
pub(super) fn tree(image: &Path) -> Tree {
    let dir = tempfile::tempdir().unwrap();
    let part = dir.path().join("part");
    let mut cut = Command::new("dd");
    cut.args(["bs=1M", "status=none", &format!("skip={}", ROOT_AT >> 20)]);
    cut.arg(format!("if={}", image.display()));
    cut.arg(format!("of={}", part.display()));
    run(&mut cut).assert_exit_code(0);
    let out = dir.path().join("tree");
    fs::create_dir(&out).unwrap();
    let mut dump = Command::new("debugfs");
    let request = format!("rdump / {}", out.display());
    run(dump.arg("-R").arg(request).arg(&part)).assert_exit_code(0);
    let mut seen = Tree::new();
    walk(&out, &out, &mut seen);
    seen
}

fn walk(root: &Path, path: &Path, seen: &mut Tree) {
    let meta = path.symlink_metadata().unwrap();
    let content = if meta.is_symlink() {
        fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()
    } else if meta.is_file() {
        fs::read(path).unwrap()
    } else {
        Vec::new()
    };
    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
    let mut content = without_hashes(&content);
    if name == "nix-path-registration" {
        content = without_nar_hashes(&content);
    }
    let name = String::from_utf8(without_hashes(format!("/{name}").as_bytes())).unwrap();
    let entry = (meta.permissions().mode(), meta.uid(), meta.gid(), content);
    assert!(seen.insert(name.clone(), entry).is_none(), "{name} twice");
    if meta.is_dir() {
        for child in file_names(path) {
            walk(root, &path.join(child), seen);
        }
    }
}

/// `bytes` with every store path's hash of 32 characters made the same.
fn without_hashes(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let hash = |run: &[u8]| run.iter().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    let mut at = 0;
    while at + 34 <= bytes.len() {
        if bytes[at] == b'/' && bytes[at + 33] == b'-' && hash(&bytes[at + 1..at + 33]) {
            bytes[at + 1..at + 33].fill(b'x');
            at += 33;
        }
        at += 1;
    }
    bytes
}

/// The lines of a registration in an order that does not depend on hashes, and the contents' hashes made the same: contents
/// name other store paths by their hashes. Their sizes remain.
fn without_nar_hashes(registration: &[u8]) -> Vec<u8> {
    let mut lines: Vec<_> = registration
        .split(|byte| *byte == b'\n')
        .map(|line| if line.starts_with(b"sha256:") { b"sha256:" } else { line })
        .collect();
    lines.sort_unstable();
    lines.join(&b'\n')
}

/// Label, UUID, features, hash and owner of the root file system, as its superblock has them.
pub(super) fn superblock(image: &Path) -> Vec<String> {
    let wanted =
        ["volume name", "UUID", "features", "Hash Seed", "owner", "Default directory hash"];
    let part = format!("{}?offset={ROOT_AT}", image.display());
    let done = run(Command::new("dumpe2fs").args(["-h", &part])).assert_exit_code(0);
    let lines = done.stdout.lines().map(str::to_owned);
    lines.filter(|line| wanted.iter().any(|word| line.contains(word))).collect()
}
