use std::io::Write;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::oci::layer::{Selection, unpack};

#[rustfmt::skip] // It is formatted as the other tests.
#[path = "../../../../../tests/support/door.rs"]
mod door;

/// One member of an `ar` archive.
fn member(name: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
        0,
        0,
        0,
        "100644",
        body.len()
    );
    let mut bytes = [head.as_bytes(), body].concat();
    if body.len() % 2 == 1 {
        bytes.push(b'\n');
    }
    bytes
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let members = members.iter().map(|(name, body)| member(name, body));
    [b"!<arch>\n".to_vec()]
        .into_iter()
        .chain(members)
        .flatten()
        .collect()
}

fn deb(name: &str, data: &[u8]) -> Vec<u8> {
    ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", b"odd"),
        (name, data),
    ])
}

/// A package with these entries; their names are not validated.
pub(crate) fn package(entries: &[(&str, u8, &str, u32)]) -> Vec<u8> {
    deb("data.tar", &tar_of(entries))
}

fn tar_of(entries: &[(&str, u8, &str, u32)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, body, mode) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(*kind));
        header.set_mode(*mode);
        // Written by hand: the crate refuses what we want to try.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        let body = if matches!(kind, b'1' | b'2') {
            header.as_old_mut().linkname[..body.len()].copy_from_slice(body.as_bytes());
            ""
        } else {
            body
        };
        header.set_size(body.len() as u64);
        header.set_cksum();
        builder.append(&header, body.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn list(package: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, DebError> {
    let mut seen = Vec::new();
    read::<DebError>(package, |entry, body| {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes)?;
        seen.push((entry, bytes));
        Ok(true)
    })?;
    Ok(seen)
}

fn plain() -> Vec<u8> {
    tar_of(&[
        ("./", b'5', "", 0o755),
        ("./usr/bin/", b'5', "", 0o755),
        ("./usr/bin/a", b'0', "bytes", 0o6755),
        ("./usr/bin/b", b'2', "../../../etc/x", 0o777),
        ("./usr/bin/c", b'1', "./usr/bin/a", 0o755),
    ])
}

/// `tar` in every compression, with the name of the member.
fn packed(tar: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(tar).unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(tar).unwrap();
    [
        ("data.tar", tar.to_vec()),
        ("data.tar.xz", xz.finish().unwrap()),
        ("data.tar.zst", zstd::encode_all(tar, 3).unwrap()),
        ("data.tar.gz/", gz.finish().unwrap()),
    ]
}

#[test]
fn packages_are_read_to_an_end() {
    let packages = packed(&plain()).map(|(name, data)| deb(name, &data));
    let [tar, xz, zst, gz] = packages.each_ref().map(Vec::as_slice);
    let read = |package: &[u8]| {
        let spool = tempfile::tempfile().unwrap();
        for (path, _) in unpack(package, &Selection::All, spool, &CancellationToken::new())? {
            assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."));
        }
        Ok::<_, crate::oci::LayerError>(())
    };
    door::enter(&[&plain(), tar, xz, zst, gz], |_, bytes| {
        let mut tar = bytes.to_vec();
        door::fix_tar(&mut tar);
        drop((read(bytes), read(&deb("data.tar", &tar))));
    });
}

/// A package of a few kilobytes that would become a list of gigabytes.
#[test]
fn names_of_a_package_are_bounded() {
    let entries = (0..300_000).map(|n| format!("usr/{n}/{}", "d".repeat(80)));
    let mut builder = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    for name in entries {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, &[][..]).unwrap();
    }
    let bomb = deb(
        "data.tar.zst",
        &builder.into_inner().unwrap().finish().unwrap(),
    );
    let spool = tempfile::tempfile().unwrap();
    let refused = unpack(&bomb[..], &Selection::All, spool, &CancellationToken::new());
    assert!(refused.is_err());
}

#[test]
fn every_compression_is_read() {
    for (name, data) in packed(&plain()) {
        let entry = |path: &str, mode, kind| Entry {
            path: path.to_owned(),
            mode,
            kind,
        };
        assert_eq!(
            list(&deb(name, &data)).unwrap(),
            [
                (entry("usr/bin", 0o755, EntryKind::Dir), vec![]),
                (
                    entry("usr/bin/a", 0o755, EntryKind::File(5)),
                    b"bytes".to_vec()
                ),
                (
                    entry(
                        "usr/bin/b",
                        0o777,
                        EntryKind::Symlink("../../../etc/x".into())
                    ),
                    vec![]
                ),
                (
                    entry("usr/bin/c", 0o755, EntryKind::Hardlink("usr/bin/a".into())),
                    vec![]
                ),
            ],
            "{name}"
        );
        // A cut one is an error or shorter, and never a panic or a loop.
        for cut in (0..data.len()).step_by(97) {
            drop(list(&deb(name, &data[..cut])));
        }
        for at in (0..data.len()).step_by(13) {
            let mut flipped = data.clone();
            flipped[at] ^= 0x55;
            drop(list(&deb(name, &flipped)));
        }
    }
}

#[test]
fn reading_stops_when_the_visitor_has_enough() {
    let mut seen = 0;
    let stop = |_, _: &mut dyn Read| {
        seen += 1;
        Ok::<_, DebError>(false)
    };
    read(&deb("data.tar", &plain())[..], stop).unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn paths_outside_are_refused() {
    for path in ["/etc/passwd", "../x", "./usr/../../x", "usr/.."] {
        let error = list(&package(&[(path, b'0', "x", 0o644)])).unwrap_err();
        assert!(matches!(error, DebError::Path(_)), "{path}: {error}");
    }
    let error = list(&package(&[("a", b'1', "/etc/passwd", 0o644)])).unwrap_err();
    assert!(matches!(error, DebError::Path(_)), "{error}");
}

#[test]
fn devices_and_pipes_are_refused() {
    for kind in *b"3467xgS" {
        assert!(list(&package(&[("a", kind, "", 0o644)])).is_err(), "{kind}");
    }
}

#[test]
fn long_names_are_bounded() {
    let long = "./".to_owned() + &"d/".repeat(100) + "file";
    let entries = [
        ("././@LongLink", b'L', long.as_str(), 0),
        ("./cut", b'0', "x", 0o644),
    ];
    assert_eq!(
        list(&package(&entries)).unwrap()[0].0.path,
        long.trim_start_matches("./")
    );
    let endless = "d".repeat(5000);
    let entries = [
        ("././@LongLink", b'L', endless.as_str(), 0),
        ("./cut", b'0', "x", 0o644),
    ];
    let error = list(&package(&entries)).unwrap_err().to_string();
    assert_eq!(error, "a name is too long");
}

#[test]
fn invalid_archives_are_refused() {
    let (control, data) = (("control.tar.xz", &b"x"[..]), ("data.tar", &plain()[..]));
    let first = ("debian-binary", &b"2.0\n"[..]);
    assert!(list(&ar(&[first, control, data])).is_ok());
    for (archive, why) in [
        (b"PK\x03\x04 and so on".to_vec(), "not an ar archive"),
        (ar(&[control, data]), "begin with debian-binary"),
        (ar(&[first, control]), "failed to fill whole buffer"),
        (
            ar(&[first, control, ("data.tar.lz4", b"x")]),
            "compression is not known",
        ),
        (ar(&[first; 9]), "no data member"),
        (
            ar(&[first, control, data])[..70].to_vec(),
            "ends within a member",
        ),
        (
            String::from_utf8_lossy(&ar(&[first]))
                .replace("100644  4 ", "100644  x ")
                .into_bytes(),
            "a member has no size",
        ),
        (ar(&[first])[..50].to_vec(), "failed to fill whole buffer"),
    ] {
        let error = list(&archive).unwrap_err().to_string();
        assert!(error.contains(why), "{error} is not {why}");
    }
}

#[test]
fn decompression_is_bounded() {
    // A header that asks for a dictionary of 1.5 GiB.
    let mut xz = b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36".to_vec();
    let header = [2, 0, 0x21, 1, 39, 0, 0, 0];
    xz.extend(header);
    xz.extend(crc32(&header).to_le_bytes());
    assert!(
        list(&deb("data.tar.xz", &xz))
            .unwrap_err()
            .to_string()
            .contains("mem")
    );
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
