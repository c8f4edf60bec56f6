//! The archive of a directory whose files change meanwhile.

use std::collections::BTreeMap;
use std::{fs, io};

use super::*;
use crate::tar_writer::{Owner, TarWriter};

/// Packs `dir`; the files of the archive with their content, as they are after it is unpacked.
fn packed(dir: &ConfigDir) -> io::Result<(Packed, BTreeMap<String, String>)> {
    packed_while(dir, |_| ())
}

/// The same; `meanwhile` is called with the number of bytes written so far.
fn packed_while(
    dir: &ConfigDir,
    meanwhile: impl FnMut(usize),
) -> io::Result<(Packed, BTreeMap<String, String>)> {
    struct Watched<F>(Vec<u8>, F);
    impl<F: FnMut(usize)> io::Write for Watched<F> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend(bytes);
            (self.1)(self.0.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut out = Watched(Vec::new(), meanwhile);
    let owner = Owner { uid: 0, gid: 0 };
    let mut tar = TarWriter::new(&mut out, owner);
    let packed = dir.pack(&mut tar, "c")?;
    tar.finish()?;
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(&out.0[..]).entries()? {
        let mut entry = entry?;
        let name = entry
            .path()?
            .strip_prefix("c")
            .unwrap()
            .display()
            .to_string();
        let mut text = Vec::new();
        io::Read::read_to_end(&mut entry, &mut text)?;
        if entry.header().entry_type().is_file() {
            files.insert(name, String::from_utf8(text).unwrap());
        }
    }
    Ok((packed, files))
}

fn names_of(files: &BTreeMap<String, String>) -> Vec<&str> {
    files.keys().map(String::as_str).collect()
}

#[test]
fn nothing_outside_is_packed_when_files_are_replaced() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("b"), "outside").unwrap();
    let swaps: [fn(&Path, &Path); 4] = [
        |inside, outside| {
            fs::remove_file(inside.join("a/b")).unwrap();
            symlink(outside.join("b"), inside.join("a/b")).unwrap();
        },
        |inside, outside| {
            fs::remove_dir_all(inside.join("a")).unwrap();
            symlink(outside, inside.join("a")).unwrap();
        },
        |inside, _| {
            fs::remove_file(inside.join("a/b")).unwrap();
            fifo(&inside.join("a/b"));
        },
        |inside, _| fs::remove_file(inside.join("a/b")).unwrap(),
    ];
    for swap in swaps {
        let dir = Dir::new(&[("sd-card.nix", ""), ("a/b", "inside"), ("z", "")]);
        let config_dir = dir.collect().unwrap();
        let (before, files) = packed(&config_dir).unwrap();
        assert_eq!(files["a/b"], "inside");
        swap(dir.0.path(), outside.path());
        let (after, files) = packed(&config_dir).unwrap();
        assert_eq!(names_of(&files), ["sd-card.nix", "z"]);
        assert_eq!(after.left_out, ["a/b"]);
        assert!(before.left_out.is_empty() && before.sha256 != after.sha256);
    }
}

#[test]
fn files_may_change_after_they_were_listed() {
    let dir = Dir::new(&[
        ("sd-card.nix", "{}"),
        ("build.log", "1\n"),
        ("module.nix", "1"),
    ]);
    let at = |name: &str| dir.0.path().join(name);
    let config_dir = dir.collect().unwrap();
    fs::write(at("build.log"), "1\n2\n").unwrap();
    // As editors save.
    fs::write(at(".module.nix.new"), "longer").unwrap();
    fs::rename(at(".module.nix.new"), at("module.nix")).unwrap();
    let (packed, files) = packed(&config_dir).unwrap();
    assert_eq!(packed.left_out, [""; 0]);
    assert_eq!(
        (&*files["build.log"], &*files["module.nix"]),
        ("1\n2\n", "longer")
    );
    assert!(!files.contains_key(".module.nix.new"));
}

#[test]
fn a_growing_file_is_packed_as_it_was_opened() {
    let large = "x".repeat(9 << 20);
    let dir = Dir::new(&[("sd-card.nix", "{}"), ("a.log", &large)]);
    let config_dir = dir.collect().unwrap();
    let mut log = File::options()
        .append(true)
        .open(dir.0.path().join("a.log"))
        .unwrap();
    let grow = |_| io::Write::write_all(&mut log, &[b'y'; 1000]).unwrap();
    let (packed, files) = packed_while(&config_dir, grow).unwrap();
    assert_eq!(packed.left_out, [""; 0]);
    let log = &files["a.log"];
    assert!(log.starts_with(&large) && log.len() < large.len() + 100_000);
}

#[test]
fn a_file_that_shrinks_is_packed_again() {
    let large = "x".repeat(20 << 20);
    for (name, sizes) in [
        ("a.log", vec![10 << 20]),
        ("a.log", vec![3]),
        ("a.log", vec![12 << 20, 9 << 20, 0]),
        ("a.nix", vec![10 << 20]),
        ("a.nix", vec![12 << 20, 9 << 20]),
    ] {
        let dir = Dir::new(&[("sd-card.nix", "{}"), (name, &large)]);
        let config_dir = dir.collect().unwrap();
        let file = File::options().write(true).open(dir.0.path().join(name));
        let file = file.unwrap();
        let mut left = sizes.iter();
        let mut written = 0;
        let shrink = |done: usize| {
            // While it is read: each attempt meets the next size.
            if done > written + (1 << 20) {
                written += 20 << 20;
                if let Some(size) = left.next() {
                    file.set_len(*size).unwrap();
                }
            }
        };
        let outcome = packed_while(&config_dir, shrink);
        if sizes.len() == 1 {
            let (packed, files) = outcome.unwrap();
            assert_eq!(packed.left_out, [""; 0]);
            assert_eq!(files[name], "x".repeat(sizes[0].try_into().unwrap()));
        } else if name == "a.nix" {
            let error = outcome.unwrap_err().to_string();
            assert_eq!(error, "a.nix: it becomes shorter while it is read");
        } else {
            let (packed, files) = outcome.unwrap();
            assert_eq!(
                (packed.left_out, files[name].as_str()),
                (vec![name.to_owned()], "")
            );
        }
    }
}

#[test]
fn a_removed_configuration_file_is_an_error() {
    let dir = Dir::new(&[("sd-card.nix", "{}")]);
    let config_dir = dir.collect().unwrap();
    fs::remove_file(dir.0.path().join("sd-card.nix")).unwrap();
    let error = packed(&config_dir).unwrap_err().to_string();
    assert_eq!(error, "sd-card.nix: it was removed while it was uploaded");
}

#[test]
fn our_own_output_is_not_uploaded() {
    let dir = Dir::new(&[("sd-card.nix", ""), ("out.txt", ""), ("other.txt", "")]);
    let output = dir.0.path().join("out.txt").metadata().unwrap();
    let selection = Selection {
        excluded: vec![FileId::of(&output)],
        ..Selection::default()
    };
    let config_dir =
        ConfigDir::collect(dir.0.path(), selection, &Cancel::new(), &Events::none()).unwrap();
    let (_, files) = packed(&config_dir).unwrap();
    assert_eq!(names_of(&files), ["other.txt", "sd-card.nix"]);
}

#[test]
fn the_digest_depends_on_content_only() {
    let files = [
        ("sd-card.nix", "{}"),
        ("b/c", "1"),
        ("b.nix", "2"),
        ("a", "3"),
    ];
    let mut other = files;
    other.reverse();
    let (one, two) = (Dir::new(&files), Dir::new(&other));
    let digest = |dir: &Dir| packed(&dir.collect().unwrap()).unwrap().0.sha256;
    assert_eq!(digest(&one), digest(&two));
    fs::write(two.0.path().join("a"), "4").unwrap();
    assert_ne!(digest(&one), digest(&two));
}
