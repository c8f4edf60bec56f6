//! Debian's tools read what sdbuild writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sdbuild_core::compression::Compression;
use sdbuild_core::failure::Class;

use crate::copy_out::{copied_as, list, result, settings};
use crate::support::*;

/// Data, zeros that fill no whole block, and a hole at the end.
fn content() -> Vec<u8> {
    let mut content = vec![0u8; (24 << 20) + 777];
    let mut state = 1u32;
    for (at, byte) in content.iter_mut().enumerate() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let kind = at / 1_500_000 % 3;
        let random = state.to_be_bytes()[0];
        *byte = [0, random, random & 3][kind];
    }
    content[20 << 20..].fill(0);
    content
}

/// Runs a tool in `dir`, which must succeed; returns its output.
fn accepts(dir: &Path, words: &[&str]) -> String {
    let mut command = Command::new(words[0]);
    let outcome = run(command.args(&words[1..]).current_dir(dir)).assert_exit_code(0);
    format!("{}{}", outcome.stdout, outcome.stderr)
}

/// Writes an image of `content` into `dir`; returns its path.
fn written(dir: &Path, format: Compression, content: &[u8]) -> PathBuf {
    let list = list("sd-image/nixos.img");
    let image = copied_as(&result(&list, content), settings(dir, format)).unwrap();
    image.path
}

#[test]
fn debian_tools_accept_every_format_and_its_sidecars() {
    needs!(engine_ready(), tools_available(&["bmaptool", "zstd", "xz", "gzip", "sha256sum"]));
    let content = content();
    for (format, name) in [
        (Compression::None, "nixos.img"),
        (Compression::Zstd, "nixos.img.zst"),
        (Compression::Xz, "nixos.img.xz"),
        (Compression::Gzip, "nixos.img.gz"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let image = written(dir, format, &content);
        assert_eq!(image.file_name().unwrap(), name);
        accepts(dir, &["sha256sum", "-c", &format!("{name}.sha256")]);
        match format {
            Compression::None => {}
            Compression::Zstd => {
                accepts(dir, &["zstd", "-t", name]);
                let told = accepts(dir, &["zstd", "-l", "-v", name]);
                assert!(told.contains(&content.len().to_string()), "{told}");
                assert!(told.contains("XXH64"), "{told}");
            }
            Compression::Xz => {
                accepts(dir, &["xz", "-t", name]);
                let told = accepts(dir, &["xz", "--robot", "-l", name]);
                assert!(told.contains(&content.len().to_string()), "{told}");
            }
            Compression::Gzip => {
                accepts(dir, &["gzip", "-t", name]);
                let told = accepts(dir, &["gzip", "-l", name]);
                assert!(told.contains(&content.len().to_string()), "{told}");
            }
        }
        // bmaptool finds the map by itself, and verifies the hash of every range.
        let told = accepts(dir, &["bmaptool", "copy", name, "copy.img"]);
        assert!(told.contains("discovered bmap file"), "{told}");
        assert!(fs::read(dir.join("copy.img")).unwrap() == content);
    }
}

#[test]
fn bmaptool_refuses_the_map_of_another_image() {
    needs!(engine_ready(), tools_available(&["bmaptool"]));
    let dir = tempfile::tempdir().unwrap();
    let image = written(dir.path(), Compression::None, &content());
    let mut bytes = fs::read(&image).unwrap();
    bytes[1_600_000] ^= 1;
    fs::write(&image, bytes).unwrap();
    let mut copy = Command::new("bmaptool");
    copy.args(["copy", "nixos.img", "copy.img"]).current_dir(dir.path());
    assert_ne!(run(&mut copy).code, Some(0));
}

#[test]
fn full_output_disk_is_one_error_and_leaves_nothing() {
    needs!(engine_ready(), root_available());
    let list = list("sd-image/nixos.img");
    let content = vec![7; 1 << 20];
    for format in [Compression::None, Compression::Zstd] {
        let mut refused = 0;
        // From no space at all to space for the image and one sidecar after the other.
        for room in (0..=272).step_by(4) {
            let dir = tempfile::tempdir().unwrap();
            let size = if format == Compression::None { 1024 + room - 8 } else { room };
            let disk = SmallDisk::mount(&dir.path().join("disk"), &format!("{}k", size.max(4)));
            let settings = settings(disk.path(), format);
            match copied_as(&result(&list, &content), settings) {
                Ok(image) => {
                    assert_eq!(file_names(disk.path()), TestUser::with_sidecars(&image.path));
                    break;
                }
                Err(failure) => {
                    refused += 1;
                    assert_eq!(failure.class, Class::Environment, "{failure}");
                    assert!(failure.hints[0].contains("free some space"), "{failure}");
                    assert!(file_names(disk.path()).is_empty(), "{:?}", file_names(disk.path()));
                }
            }
        }
        assert!((2..60).contains(&refused), "{refused} disks were too small");
    }
}
