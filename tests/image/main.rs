//! Compares the readers of images with Debian's tools, and tests them with damaged images.

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

mod boards;
mod crafted;
mod exts;
mod fats;
mod hostile;
mod mutations;
mod packed;
mod systems;
mod tables;

#[path = "../support/door.rs"]
mod door;
#[path = "../support/tools.rs"]
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sdbuild_core::cancel::Cancel;
use sdbuild_image::Error;
use sdbuild_image::disk::Section;
use sdbuild_image::files::FileSystem;
use tools::{find, have, needs};

/// Runs a tool, which must succeed, and returns its output.
fn run(line: &str, dir: &Path) -> String {
    let mut words = line.split_whitespace();
    let tool = find(words.next().unwrap()).unwrap();
    let mut command = Command::new(tool);
    command.args(words).current_dir(dir).env("MTOOLS_SKIP_CHECK", "1").env("LC_ALL", "C.UTF-8");
    let output = command.output().unwrap();
    let (out, err) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{line}: {err}");
    String::from_utf8_lossy(&out).into_owned()
}

/// A file of zeros.
fn blank(path: &Path, size: u64) {
    fs::File::create(path).unwrap().set_len(size).unwrap();
}

fn section(bytes: Vec<u8>) -> Section {
    let len = bytes.len() as u64;
    Section::whole(bytes, len, &Cancel::new())
}

fn file_system(path: &Path) -> FileSystem {
    FileSystem::detect(&section(fs::read(path).unwrap())).unwrap().unwrap()
}

/// The `len` bytes at `at`.
fn bytes(disk: &Section, at: u64, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len];
    disk.read(at, &mut bytes).map(|()| bytes)
}

fn content(fs: &FileSystem, path: &str) -> Vec<u8> {
    let mut content = Vec::new();
    fs.copy(path, &mut |piece| {
        content.extend_from_slice(piece);
        Ok(true)
    })
    .unwrap();
    content
}

/// `KEY=value` of `blkid -p`.
fn blkid(file: &str, dir: &Path) -> impl Fn(&str) -> String {
    let text = run(&format!("blkid -p -o export {file}"), dir);
    move |key| {
        let line = text.lines().find_map(|l| l.strip_prefix(&format!("{key}=")));
        line.unwrap_or_default().replace('\\', "")
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Pseudo-random bytes.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

const TOP: &str = "/nix/store/xyz-nixos-system-berry-26.05";
const CONF: &str = "DEFAULT nixos-default\nLABEL nixos-default\n  LINUX ../nixos/k-linux-6.6.6-Image\n  \
    INITRD ../nixos/i-initrd\n  APPEND init=/nix/store/xyz-nixos-system-berry-26.05/init loglevel=4\n";

/// Fills a directory with the files of a NixOS root file system.
fn nixos(tree: &Path) {
    for dir in ["boot/extlinux", "boot/nixos", &format!(".{TOP}"), "nix/store/etc/etc"] {
        fs::create_dir_all(tree.join(dir)).unwrap();
    }
    fs::write(tree.join("boot/extlinux/extlinux.conf"), CONF).unwrap();
    let mut kernel = noise(600_000);
    kernel[0x38..0x3c].copy_from_slice(b"ARM\x64");
    fs::write(tree.join("boot/nixos/k-linux-6.6.6-Image"), kernel).unwrap();
    fs::write(tree.join("boot/nixos/i-initrd"), "").unwrap();
    let top = tree.join(format!(".{TOP}"));
    fs::write(top.join("nixos-version"), "26.05.1234\n").unwrap();
    fs::write(tree.join("nix/store/etc/etc/hostname"), "berry\n").unwrap();
    std::os::unix::fs::symlink("/nix/store/etc/etc", top.join("etc")).unwrap();
}

/// Bytes of an image with a FAT (2 MiB at 1 MiB) and an ext4 (6 MiB at 3 MiB) made with `options`.
fn image(options: &str, change: impl Fn(&Path)) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("tree")).unwrap();
    nixos(&at.join("tree"));
    change(&at.join("tree"));
    blank(&at.join("fat"), 2 << 20);
    run("mkfs.vfat -n FIRMWARE fat", at);
    fs::write(at.join("config.txt"), "arm_64bit=1\n").unwrap();
    run("mcopy -i fat config.txt ::/config.txt", at);
    run("mcopy -i fat config.txt ::/start4.elf", at);
    run("mmd -i fat ::/overlays", at);
    run("mcopy -i fat config.txt ::/overlays/a-long-name-for-a-file.dtbo", at);
    blank(&at.join("ext"), 6 << 20);
    run(&format!("mkfs.ext4 -q -L NIXOS_SD {options} -d tree ext"), at);
    let mut image = vec![0; 9 << 20];
    for (index, (kind, mib, size)) in [(0x0b, 1u32, 2u32), (0x83, 3, 6)].into_iter().enumerate() {
        let entry = 446 + index * 16;
        image[entry + 4] = kind;
        image[entry + 8..entry + 12].copy_from_slice(&(mib * 2048).to_le_bytes());
        image[entry + 12..entry + 16].copy_from_slice(&(size * 2048).to_le_bytes());
    }
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (name, mib) in [("fat", 1), ("ext", 3)] {
        let bytes = fs::read(at.join(name)).unwrap();
        image[mib << 20..(mib << 20) + bytes.len()].copy_from_slice(&bytes);
    }
    image
}

const IMAGE_TOOLS: [&str; 4] = ["mkfs.vfat", "mcopy", "mkfs.ext4", "blkid"];
