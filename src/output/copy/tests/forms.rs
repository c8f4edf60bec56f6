//! Packed by the build in each form, and wanted in each.

use std::io::Write;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

fn unpacked(format: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut decoder = crate::image::decoder(format, bytes).unwrap();
    decoder.read_to_end(&mut out).unwrap();
    out
}

fn encoder(format: Compression, raw: &[u8]) -> crate::output::encode::Encoder<Vec<u8>> {
    let size = Some(raw.len() as u64);
    crate::output::encode::Encoder::new(how(format), size, 1, Vec::new()).unwrap()
}

#[test]
fn every_form_comes_out_as_every_other_with_its_sidecars() {
    let raw = content(2_500_000);
    for packed in ALL {
        let mut encoder = encoder(packed, &raw);
        encoder.write_all(&raw).unwrap();
        let bytes = encoder.finish().unwrap();
        for wanted in ALL {
            let dir = tempfile::tempdir().unwrap();
            let came = format!("a.img{}", suffix(packed));
            let order = (product(&came, packed), how(wanted), false);
            let archive = archive(tar::EntryType::Regular, &bytes);
            let image = copy(dir.path(), order).write(archive.as_slice()).unwrap();
            let name = format!("a.img{}", suffix(wanted));
            assert_eq!(image.path, dir.path().join(&name));
            let written = read(dir.path(), &name);
            assert!(
                unpacked(wanted, &written) == raw,
                "{packed:?} to {wanted:?}"
            );
            if packed == wanted {
                assert!(written == bytes, "{packed:?} goes through as it came");
            }
            let hash = hex::encode(Sha256::digest(&written));
            let line = format!("{hash}  {name}\n");
            assert_eq!(read(dir.path(), &format!("{name}.sha256")), line.as_bytes());
            let map = String::from_utf8(read(dir.path(), &format!("{name}.bmap"))).unwrap();
            let map = crate::blockmap::BlockMap::parse(&map).unwrap();
            let mut builder = crate::blockmap::Builder::new();
            builder.push(&raw);
            assert_eq!(map, builder.finish());
            let json = read(dir.path(), &format!("{name}.json"));
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(json["image"]["sha256"], hash);
            assert_eq!(json["raw"]["size"], raw.len());
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
        }
    }
}

#[test]
fn another_form_of_an_image_keeps_its_sidecars() {
    let dir = tempfile::tempdir().unwrap();
    let write = |wanted, size| {
        let order = (product("a.img", Compression::None), how(wanted), true);
        let bytes = archive(tar::EntryType::Regular, &content(size));
        copy(dir.path(), order).write(bytes.as_slice()).unwrap();
    };
    let sidecars =
        || ["sha256", "bmap", "json"].map(|of| read(dir.path(), &format!("a.img.xz.{of}")));
    write(Compression::Xz, 300_000);
    let before = sidecars();
    for other in [Compression::None, Compression::Zstd, Compression::Gzip] {
        write(other, 500_000);
    }
    assert!(sidecars() == before);
}

#[test]
fn a_level_that_was_asked_for_is_not_the_builds() {
    let (raw, dir) = (content(300_000), tempfile::tempdir().unwrap());
    let mut encoder = encoder(Compression::Zstd, &raw);
    encoder.write_all(&raw).unwrap();
    let bytes = encoder.finish().unwrap();
    let wanted = CompressionOptions {
        level: Some(9),
        ..how(Compression::Zstd)
    };
    let order = (product("a.img.zst", Compression::Zstd), wanted, false);
    let archive = archive(tar::EntryType::Regular, &bytes);
    copy(dir.path(), order).write(archive.as_slice()).unwrap();
    let written = read(dir.path(), "a.img.zst");
    assert!(written != bytes && unpacked(Compression::Zstd, &written) == raw);
    let size = zstd::zstd_safe::get_frame_content_size(&written).unwrap();
    assert_eq!(size, Some(raw.len() as u64));
}

#[test]
fn damaged_compression_is_the_builds_fault_and_leaves_nothing() {
    let raw = content(3_000_000);
    for packed in [Compression::Zstd, Compression::Xz, Compression::Gzip] {
        let mut encoder = encoder(packed, &raw);
        encoder.write_all(&raw).unwrap();
        let good = encoder.finish().unwrap();
        let mut torn = good.clone();
        torn.truncate(good.len() / 2);
        let mut bent = good.clone();
        bent[good.len() / 2] ^= 0x55;
        for bad in [torn, bent] {
            for wanted in [packed, Compression::None, Compression::Zstd] {
                let dir = tempfile::tempdir().unwrap();
                let came = format!("a.img{}", suffix(packed));
                let order = (product(&came, packed), how(wanted), false);
                let archive = archive(tar::EntryType::Regular, &bad);
                let failure = copy(dir.path(), order)
                    .write(archive.as_slice())
                    .unwrap_err();
                assert_eq!(
                    failure.class,
                    Class::Build,
                    "{packed:?} to {wanted:?}: {failure}"
                );
                assert!(
                    failure.to_string().contains("unpack the image"),
                    "{failure}"
                );
                assert!(empty(dir.path()));
            }
        }
    }
}

#[test]
fn an_empty_image_is_refused() {
    for packed in ALL {
        let bytes = encoder(packed, &[]).finish().unwrap();
        for wanted in ALL {
            let dir = tempfile::tempdir().unwrap();
            let came = format!("a.img{}", suffix(packed));
            let order = (product(&came, packed), how(wanted), false);
            let archive = archive(tar::EntryType::Regular, &bytes);
            let failure = copy(dir.path(), order)
                .write(archive.as_slice())
                .unwrap_err();
            assert_eq!(failure.class, Class::Build, "{packed:?} to {wanted:?}");
            assert!(failure.to_string().contains("is empty"), "{failure}");
            assert!(empty(dir.path()));
        }
    }
}

#[test]
fn several_frames_go_through_and_are_told() {
    let frame = zstd::encode_all([7; 1000].as_slice(), 1).unwrap();
    let sized = |n: usize| {
        let raw = vec![7; n];
        let mut encoder = encoder(Compression::Zstd, &raw);
        encoder.write_all(&raw).unwrap();
        encoder.finish().unwrap()
    };
    for (bytes, warns) in [
        (sized(1000), false),
        ([sized(1000), sized(500)].concat(), true),
        (frame, true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let order = (
            product("a.img.zst", Compression::Zstd),
            how(Compression::Zstd),
            false,
        );
        let mut copy = copy(dir.path(), order);
        let heard = std::sync::Arc::new(std::sync::Mutex::new(0));
        let counter = std::sync::Arc::clone(&heard);
        copy.events = Events::new(move |event| {
            *counter.lock().unwrap() +=
                usize::from(matches!(event, crate::common::event::Event::Warning(_)));
        });
        let archive = archive(tar::EntryType::Regular, &bytes);
        copy.write(archive.as_slice()).unwrap();
        assert_eq!(*heard.lock().unwrap() > 0, warns, "{} bytes", bytes.len());
        let raw = unpacked(Compression::Zstd, &read(dir.path(), "a.img.zst"));
        assert!(raw.len() >= 1000 && raw.iter().all(|byte| *byte == 7));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    /// Holes and data of any lengths, in chunks of any length.
    #[test]
    fn what_goes_in_comes_out(
        parts in proptest::collection::vec((any::<bool>(), 1usize..400_000), 1..8), cut in 1usize..2_000_000,
    ) {
        let raw: Vec<u8> = parts.iter().flat_map(|(zero, n)| vec![if *zero { 0 } else { 9 }; *n]).collect();
        let bytes = archive(tar::EntryType::Regular, &raw);
        for wanted in [Compression::None, Compression::Zstd] {
            let dir = tempfile::tempdir().unwrap();
            let order = (product("a.img", Compression::None), how(wanted), false);
            let chunks = Chunked(&bytes, cut);
            let image = copy(dir.path(), order).write(chunks).unwrap();
            prop_assert!(unpacked(wanted, &std::fs::read(image.path).unwrap()) == raw);
        }
    }
}

/// A reader that gives so many bytes at a time.
struct Chunked<'a>(&'a [u8], usize);

impl Read for Chunked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}
