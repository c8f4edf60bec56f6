//! Images of packages that the tests make, without network and engine.

mod fixture;

use std::fs;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::Role;
use crate::oci::assemble::Assembler;
use crate::oci::deb::tests::package;
use fixture::{Entry, Fixture, files, listing};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::system::Architecture;

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
#[expect(clippy::too_many_lines, reason = "one image and all of its files")]
fn image_has_what_a_container_needs() {
    let image = Fixture::new()
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
    let manifest: serde_json::Value =
        sdbuild_core::untrusted::json(str::from_utf8(&outer["manifest.json"]).unwrap()).unwrap();
    let config_name = manifest[0]["Config"].as_str().unwrap();
    assert_eq!(manifest[0]["Layers"], serde_json::json!(["layer.tar"]));
    let config = &outer[config_name];
    assert_eq!(config_name, format!("{}.json", Sha256Hash::of(config)));
    let config: serde_json::Value =
        sdbuild_core::untrusted::json(str::from_utf8(config).unwrap()).unwrap();
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
fn same_definition_gives_the_same_bytes() {
    let once = Fixture::new()
        .assemble(&[("a", A), ("b", B)], "", extras())
        .unwrap();
    let again = Fixture::new()
        .assemble(&[("a", A), ("b", B)], "", extras())
        .unwrap();
    assert!(once.archive == again.archive);
    // A change of this needs another `FORMAT`: engines have images with the old digest.
    assert_eq!(
        once.diff_ids,
        ["sha256:3fd826ad59b12857264aa506b6b078f4936eb3785bcc076e7e38d77a2a746f2b"],
        "FORMAT is {}",
        super::definition::FORMAT
    );
}

#[test]
fn no_temporary_files_are_left() {
    let fixture = Fixture::new();
    drop(fixture.assemble(&[("a", A)], "", vec![]).unwrap());
    let left: Vec<_> = fs::read_dir(fixture.cache.root())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert!(left.iter().all(|path| path.is_dir()), "{left:?}");
}

#[test]
fn path_in_two_packages_is_refused() {
    let same: &[Entry<'_>] = &[("usr/bin/tool", b'0', "mine", 0o755)];
    let error = Fixture::new()
        .assemble(&[("a", A), ("b", same)], "", vec![])
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "package b: usr/bin/tool exists twice");
    // The largest package is unpacked first.
    let (small, large): (&[Entry<'_>], &[Entry<'_>]) = (
        &[("x", b'0', "x", 0o644)],
        &[("x", b'0', "x", 0o644), ("y", b'0', "y", 0o644)],
    );
    let other: &[Entry<'_>] = &[("z", b'0', "z", 0o644)];
    let packages = [("a", small), ("b", other), ("c", large)];
    let error = Fixture::new()
        .assemble(&packages, "", vec![])
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "package c: x exists twice");
    let twice: &[Entry<'_>] = &[("bin/x", b'0', "1", 0o755), ("usr/bin/x", b'0', "2", 0o755)];
    let error = Fixture::new()
        .assemble(&[("a", twice)], "", vec![])
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "package a: usr/bin/x exists twice");
}

#[test]
fn dangling_hard_link_is_refused() {
    let dangling: &[Entry<'_>] = &[("usr/bin/x", b'1', "usr/bin/y", 0o755)];
    let error = Fixture::new()
        .assemble(&[("a", dangling)], "", vec![])
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "package a: usr/bin/x is a hard link to a file that does not exist"
    );
}

#[test]
fn path_below_a_link_is_refused() {
    // `usr` is a link: paths below it would be unpacked somewhere else.
    let link: &[Entry<'_>] = &[("usr", b'2', "/", 0o777), ("usr/bin/x", b'0', "x", 0o755)];
    let error = Fixture::new()
        .assemble(&[("a", link)], "", vec![])
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "usr is not a directory");
}

#[test]
fn only_pinned_files_are_unpacked_and_verified() {
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
    let image = Fixture::new().assemble(&[("q", q)], &good, vec![]).unwrap();
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
        let error = Fixture::new()
            .assemble(&[("q", q)], &contents, vec![])
            .err()
            .unwrap();
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// A lock of one package, whose file has these bytes.
fn of_one(name: &str, bytes: &[u8]) -> String {
    let (hash, size) = (Sha256Hash::of(bytes), bytes.len());
    format!(
        r#"{{"schema":1,"architecture":"amd64","snapshot":"x","packages":[
        {{"name":"{name}","version":"1","path":"p","size":{size},"sha256":"{hash}"}}]}}"#
    )
}

/// A package was verified, then opened again by its name and trusted.
#[test]
fn package_that_changed_after_verification_is_not_used() {
    let fixture = Fixture::new();
    let path = fixture.dir.path().join("p");
    let with = |text| package(&[("./usr/bin/tool", b'0', text, 0o755)]);
    let lock = of_one("p", &with("good"));
    fs::write(&path, with("good")).unwrap();
    let paths = [path.clone()];
    assert!(fixture.assemble_lock(&lock, &paths, vec![]).is_ok());
    // Another valid package, no package at all, and the package with more bytes behind it.
    let longer = [with("good"), vec![0; 9]].concat();
    for bytes in [with("evil"), vec![7; 300], longer] {
        fs::write(&path, bytes).unwrap();
        let error = fixture.assemble_lock(&lock, &paths, vec![]).err().unwrap();
        let text = error.to_string();
        assert!(text.contains("has changed since it was verified"), "{text}");
    }
}

#[test]
fn assembling_can_be_cancelled() {
    let fixture = Fixture::new();
    let lock = r#"{"schema":1,"architecture":"amd64","snapshot":"x","packages":[]}"#;
    let definition = Definition::new(
        Role::Builder,
        Architecture::X86_64,
        lock,
        extras(),
        Defaults {
            env: vec![],
            user: String::new(),
            working_dir: String::new(),
            entrypoint: Vec::new(),
            command: vec![],
        },
    );
    let assembler = Assembler {
        definition: &definition.unwrap(),
        packages: &[],
        cache: &fixture.cache,
        progress: &drop,
    };
    let token = CancellationToken::new();
    token.cancel();
    let error = assembler.assemble(&token).unwrap_err();
    assert_eq!(error.to_string(), "interrupted");
}

#[test]
fn package_that_ends_early_is_refused() {
    let fixture = Fixture::new();
    let path = fixture.dir.path().join("cut");
    let whole = package(&[("usr/bin/long", b'0', &"x".repeat(5000), 0o755)]);
    let start = whole.windows(4).position(|four| four == b"xxxx").unwrap();
    let cut = &whole[..start + 1000];
    fs::write(&path, cut).unwrap();
    let lock = of_one("cut", cut);
    let error = fixture.assemble_lock(&lock, &[path], vec![]).err().unwrap();
    assert_eq!(error.to_string(), "package cut: usr/bin/long ends early");
}
