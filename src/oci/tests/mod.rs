//! Packages made here → images, without network and engine.

mod bench;

use std::fs;

use super::*;
use crate::common::hash::Sha256Hash;
use crate::common::system::Architecture;
use crate::engine::Role;
use crate::oci::assemble::Parts;
use crate::oci::deb::tests::package;
use bench::{Bench, Entry, files, listing};

const A: &[Entry<'_>] = &[
    ("./", b'5', "", 0o755),
    ("./bin", b'2', "usr/bin", 0o777),
    ("./bin/tool", b'0', "tool", 0o6755),
    ("./usr/bin/again", b'1', "./bin/tool", 0o755),
    ("./usr/bin/empty", b'0', "", 0o644),
    ("./usr/lib64/ld.so", b'2', "../lib/ld.so", 0o777),
    (
        "./usr/lib/x86_64-linux-gnu/gconv/UTF-7.so",
        b'0',
        "x",
        0o644,
    ),
    ("./usr/share/man/man1/tool.1", b'0', "x", 0o644),
    ("./usr/share/manual", b'0', "kept", 0o664),
    ("./usr/share/doc/a/", b'5', "", 0o755),
    ("./usr/share/doc/a/copyright", b'0', "licence", 0o644),
    ("./usr/share/doc/a/README", b'0', "x", 0o644),
    (
        "./usr/share/ca-certificates/mozilla/B.crt",
        b'0',
        "B",
        0o644,
    ),
    (
        "./usr/share/ca-certificates/mozilla/A.crt",
        b'0',
        "A\n",
        0o644,
    ),
];
const B: &[Entry<'_>] = &[
    ("./tmp/", b'5', "", 0o1777),
    ("./usr/bin/", b'5', "", 0o755),
    ("./usr/bin/other", b'0', "other", 0o755),
    ("./usr/share/doc/b", b'2', "a", 0o777),
];

fn extras() -> Vec<ExtraFile> {
    vec![
        ExtraFile::file("etc/conf", 0o644, "conf"),
        ExtraFile {
            owner: 1000,
            content: ExtraFileContent::Dir,
            ..ExtraFile::file("nix/store", 0o755, "")
        },
        ExtraFile {
            content: ExtraFileContent::Dir,
            ..ExtraFile::file("tmp", 0o1777, "")
        },
        ExtraFile {
            content: ExtraFileContent::Symlink("tool".to_owned()),
            ..ExtraFile::file("usr/bin/sh", 0o777, "")
        },
    ]
}

#[test]
fn an_image_holds_what_a_container_wants() {
    let image = Bench::new()
        .assemble(&[("a", A), ("b", B)], "", extras())
        .unwrap();
    assert_eq!(image.size, image.archive.len() as u64);
    let outer = files(&image.archive);
    assert_eq!(outer.len(), 3);
    let layer = &outer["layer.tar"];
    assert_eq!(
        image.diff_ids,
        [format!("sha256:{}", Sha256Hash::of(layer))]
    );
    let manifest: serde_json::Value = serde_json::from_slice(&outer["manifest.json"]).unwrap();
    let config_name = manifest[0]["Config"].as_str().unwrap();
    assert_eq!(manifest[0]["Layers"], serde_json::json!(["layer.tar"]));
    let config = &outer[config_name];
    assert_eq!(config_name, format!("{}.json", Sha256Hash::of(config)));
    let config: serde_json::Value = serde_json::from_slice(config).unwrap();
    assert_eq!(
        config["rootfs"]["diff_ids"],
        serde_json::json!(image.diff_ids)
    );
    assert_eq!(config["config"]["User"], "1000:1000");
    assert_eq!(config["config"]["Labels"]["dev.sdbuild.role"], "builder");
    assert_eq!(
        listing(layer),
        [
            "2 777 0 bin -> usr/bin",
            "5 755 0 etc/",
            "0 644 0 etc/conf",
            "5 755 0 etc/ssl/",
            "5 755 0 etc/ssl/certs/",
            "0 644 0 etc/ssl/certs/ca-certificates.crt",
            "2 777 0 lib64 -> usr/lib64",
            "5 755 0 nix/",
            "5 755 1000 nix/store/",
            "5 1777 0 tmp/",
            "5 755 0 usr/",
            "5 755 0 usr/bin/",
            "0 755 0 usr/bin/again",
            "0 644 0 usr/bin/empty",
            "0 755 0 usr/bin/other",
            "2 777 0 usr/bin/sh -> tool",
            "1 755 0 usr/bin/tool -> usr/bin/again",
            "5 755 0 usr/lib64/",
            "2 777 0 usr/lib64/ld.so -> ../lib/ld.so",
            "5 755 0 usr/share/",
            "5 755 0 usr/share/ca-certificates/",
            "5 755 0 usr/share/ca-certificates/mozilla/",
            "0 644 0 usr/share/ca-certificates/mozilla/A.crt",
            "0 644 0 usr/share/ca-certificates/mozilla/B.crt",
            "5 755 0 usr/share/doc/",
            "5 755 0 usr/share/doc/a/",
            "0 644 0 usr/share/doc/a/copyright",
            "2 777 0 usr/share/doc/b -> a",
            "0 644 0 usr/share/manual",
        ]
    );
    let files = files(layer);
    assert_eq!(files["usr/bin/again"], b"tool");
    assert_eq!(files["etc/ssl/certs/ca-certificates.crt"], b"A\nB\n");
}

#[test]
fn the_same_definition_gives_the_same_bytes() {
    let once = Bench::new()
        .assemble(&[("a", A), ("b", B)], "", extras())
        .unwrap();
    let again = Bench::new()
        .assemble(&[("a", A), ("b", B)], "", extras())
        .unwrap();
    assert!(once.archive == again.archive);
    // Whoever has to change this raises `FORMAT`: engines hold images under the old digest.
    assert_eq!(
        once.diff_ids,
        ["sha256:3fd826ad59b12857264aa506b6b078f4936eb3785bcc076e7e38d77a2a746f2b"],
        "FORMAT is {}",
        super::definition::FORMAT
    );
}

#[test]
fn nothing_is_left_in_the_cache() {
    let bench = Bench::new();
    drop(bench.assemble(&[("a", A)], "", vec![]).unwrap());
    let left: Vec<_> = fs::read_dir(bench.cache.root())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert!(left.iter().all(|path| path.is_dir()), "{left:?}");
}

#[test]
fn what_two_packages_claim_is_refused() {
    let same: &[Entry<'_>] = &[("usr/bin/tool", b'0', "mine", 0o755)];
    let error = Bench::new()
        .assemble(&[("a", A), ("b", same)], "", vec![])
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "package b: usr/bin/tool is there twice");
    // The largest is unpacked first, whatever its place.
    let (small, large): (&[Entry<'_>], &[Entry<'_>]) = (
        &[("x", b'0', "x", 0o644)],
        &[("x", b'0', "x", 0o644), ("y", b'0', "y", 0o644)],
    );
    let other: &[Entry<'_>] = &[("z", b'0', "z", 0o644)];
    let packages = [("a", small), ("b", other), ("c", large)];
    let error = Bench::new().assemble(&packages, "", vec![]).err().unwrap();
    assert_eq!(error.to_string(), "package c: x is there twice");
    let twice: &[Entry<'_>] = &[("bin/x", b'0', "1", 0o755), ("usr/bin/x", b'0', "2", 0o755)];
    let error = Bench::new()
        .assemble(&[("a", twice)], "", vec![])
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "package a: usr/bin/x is there twice");
}

#[test]
fn a_link_to_what_is_not_there_is_refused() {
    let dangling: &[Entry<'_>] = &[("usr/bin/x", b'1', "usr/bin/y", 0o755)];
    let error = Bench::new()
        .assemble(&[("a", dangling)], "", vec![])
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "package a: usr/bin/x is a link to nothing"
    );
}

#[test]
fn nothing_can_be_put_behind_a_link() {
    // `usr` a link to elsewhere: what lies below it would be unpacked there.
    let link: &[Entry<'_>] = &[("usr", b'2', "/", 0o777), ("usr/bin/x", b'0', "x", 0o755)];
    let error = Bench::new()
        .assemble(&[("a", link)], "", vec![])
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "usr is not a directory");
}

#[test]
fn pinned_contents_alone_are_taken_and_verified() {
    let content = |path: &str, bytes: &[u8]| {
        let hash = Sha256Hash::of(bytes);
        format!(
            r#"{{"package":"q","path":"{path}","size":{},"sha256":"{hash}"}}"#,
            bytes.len()
        )
    };
    let q: &[Entry<'_>] = &[
        ("./usr/bin/qemu-a", b'0', "other", 0o755),
        ("./usr/bin/qemu-b", b'0', "wanted", 0o755),
        ("./usr/bin/qemu-c", b'2', "qemu-b", 0o777),
    ];
    let good = content("usr/bin/qemu-b", b"wanted");
    let image = Bench::new().assemble(&[("q", q)], &good, vec![]).unwrap();
    let layer = files(&image.archive).remove("layer.tar").unwrap();
    assert_eq!(
        files(&layer)
            .keys()
            .filter(|path| path.starts_with("usr/bin/q"))
            .collect::<Vec<_>>(),
        ["usr/bin/qemu-b"]
    );
    for (contents, why) in [
        (content("usr/bin/qemu-b", b"Wanted"), "pinned is"),
        (
            content("usr/bin/qemu-d", b"wanted"),
            "usr/bin/qemu-d is not in its package",
        ),
        (
            content("usr/bin/qemu-c", b"wanted"),
            "usr/bin/qemu-c is not in its package",
        ),
    ] {
        let error = Bench::new()
            .assemble(&[("q", q)], &contents, vec![])
            .err()
            .unwrap();
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// A lock with one package, which holds `bytes`.
fn of_one(name: &str, bytes: &[u8]) -> String {
    let (hash, size) = (Sha256Hash::of(bytes), bytes.len());
    format!(
        r#"{{"schema":1,"architecture":"amd64","snapshot":"x","packages":[
        {{"name":"{name}","version":"1","path":"p","size":{size},"sha256":"{hash}"}}]}}"#
    )
}

/// A package was looked at, then opened again by its name and believed.
#[test]
fn a_package_that_changed_after_it_was_checked_is_not_used() {
    let bench = Bench::new();
    let path = bench.dir.path().join("p");
    let with = |text| package(&[("./usr/bin/tool", b'0', text, 0o755)]);
    let lock = of_one("p", &with("good"));
    fs::write(&path, with("good")).unwrap();
    let paths = [path.clone()];
    assert!(bench.assemble_lock(&lock, &paths, vec![]).is_ok());
    // As fit as the other one; no package at all; and one with more behind it.
    let longer = [with("good"), vec![0; 9]].concat();
    for bytes in [with("evil"), vec![7; 300], longer] {
        fs::write(&path, bytes).unwrap();
        let error = bench.assemble_lock(&lock, &paths, vec![]).err().unwrap();
        let text = error.to_string();
        assert!(text.contains("no longer what it was"), "{text}");
    }
}

#[test]
fn a_broken_package_is_named() {
    let bench = Bench::new();
    let path = bench.dir.path().join("broken");
    let bytes = b"!<arch>\nwhat";
    fs::write(&path, bytes).unwrap();
    let lock = of_one("broken", bytes);
    let error = bench.assemble_lock(&lock, &[path], vec![]).err().unwrap();
    assert!(error.to_string().starts_with("package broken: "), "{error}");
}

#[test]
fn assembling_stops_when_asked() {
    let bench = Bench::new();
    let lock = r#"{"schema":1,"architecture":"amd64","snapshot":"x","packages":[]}"#;
    let definition = Definition::new(
        (Role::Builder, Architecture::X86_64),
        lock,
        extras(),
        Defaults {
            env: vec![],
            user: String::new(),
            working_dir: String::new(),
            command: vec![],
        },
    );
    let parts = Parts {
        definition: &definition.unwrap(),
        packages: &[],
        cache: &bench.cache,
    };
    let error = parts.assemble(&|| true).unwrap_err();
    assert_eq!(error.to_string(), "interrupted");
}

#[test]
fn a_package_that_ends_early_is_refused() {
    let bench = Bench::new();
    let path = bench.dir.path().join("cut");
    let whole = package(&[("usr/bin/long", b'0', &"x".repeat(5000), 0o755)]);
    let start = whole.windows(4).position(|four| four == b"xxxx").unwrap();
    let cut = &whole[..start + 1000];
    fs::write(&path, cut).unwrap();
    let lock = of_one("cut", cut);
    let error = bench.assemble_lock(&lock, &[path], vec![]).err().unwrap();
    assert_eq!(error.to_string(), "package cut: usr/bin/long ends early");
}
