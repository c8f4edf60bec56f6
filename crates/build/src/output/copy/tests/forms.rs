//! Images that the build compressed in each format, written in each format.

use std::io::Write;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::output::encode::encoder;

fn decompressed(format: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut decoder = sdbuild_image::decoder(format, bytes).unwrap();
    decoder.read_to_end(&mut out).unwrap();
    out
}

fn compressed(format: Compression, raw: &[u8]) -> Vec<u8> {
    let size = Some(raw.len() as u64);
    let mut encoder = encoder(options(format), size, 1, Vec::new()).unwrap();
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_format_is_converted_to_every_other() {
    let raw = content(2_500_000);
    for built in ALL {
        let bytes = compressed(built, &raw);
        for chosen in ALL {
            let dir = tempfile::tempdir().unwrap();
            let name_in_result = format!("a.img{}", built.suffix());
            let case = (product(&name_in_result, built), options(chosen), false);
            let archive = archive(tar::EntryType::Regular, &bytes);
            let image = copy(dir.path(), case).run(archive.as_slice()).unwrap();
            let name = format!("a.img{}", chosen.suffix());
            assert_eq!(image.path, dir.path().join(&name));
            let written = read(dir.path(), &name);
            assert!(
                decompressed(chosen, &written) == raw,
                "{built:?} to {chosen:?}"
            );
            if built == chosen {
                assert!(written == bytes, "{built:?} is passed on as it is");
            }
            let hash = hex::encode(Sha256::digest(&written));
            let line = format!("{hash}  {name}\n");
            assert_eq!(read(dir.path(), &format!("{name}.sha256")), line.as_bytes());
            let map = String::from_utf8(read(dir.path(), &format!("{name}.bmap"))).unwrap();
            let map = sdbuild_image::blockmap::BlockMap::parse(&map).unwrap();
            let mut builder = sdbuild_image::blockmap::Builder::new();
            builder.push(&raw);
            assert_eq!(map, builder.finish());
            let json = read(dir.path(), &format!("{name}.json"));
            let json: serde_json::Value =
                sdbuild_core::untrusted::json(str::from_utf8(&json).unwrap()).unwrap();
            assert_eq!(json["image"]["sha256"], hash);
            assert_eq!(json["raw"]["size"], raw.len());
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
        }
    }
}

#[test]
fn another_format_of_an_image_keeps_its_sidecars() {
    let dir = tempfile::tempdir().unwrap();
    let write = |chosen, size| {
        let case = (product("a.img", Compression::None), options(chosen), true);
        let bytes = archive(tar::EntryType::Regular, &content(size));
        copy(dir.path(), case).run(bytes.as_slice()).unwrap();
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
fn chosen_level_is_not_the_one_of_the_build() {
    let (raw, dir) = (content(300_000), tempfile::tempdir().unwrap());
    let bytes = compressed(Compression::Zstd, &raw);
    let chosen = CompressionOptions {
        level: Some(9),
        ..options(Compression::Zstd)
    };
    let case = (product("a.img.zst", Compression::Zstd), chosen, false);
    let archive = archive(tar::EntryType::Regular, &bytes);
    copy(dir.path(), case).run(archive.as_slice()).unwrap();
    let written = read(dir.path(), "a.img.zst");
    assert!(written != bytes && decompressed(Compression::Zstd, &written) == raw);
    let size = zstd::zstd_safe::get_frame_content_size(&written).unwrap();
    assert_eq!(size, Some(raw.len() as u64));
}

#[test]
fn damaged_compression_is_a_failure_of_the_build() {
    let raw = content(3_000_000);
    for built in [Compression::Zstd, Compression::Xz, Compression::Gzip] {
        let good = compressed(built, &raw);
        let mut torn = good.clone();
        torn.truncate(good.len() / 2);
        let mut bent = good.clone();
        bent[good.len() / 2] ^= 0x55;
        for bad in [torn, bent] {
            for chosen in [built, Compression::None, Compression::Zstd] {
                let dir = tempfile::tempdir().unwrap();
                let name_in_result = format!("a.img{}", built.suffix());
                let case = (product(&name_in_result, built), options(chosen), false);
                let archive = archive(tar::EntryType::Regular, &bad);
                let failure = copy(dir.path(), case).run(archive.as_slice()).unwrap_err();
                assert_eq!(
                    failure.class,
                    Class::Build,
                    "{built:?} to {chosen:?}: {failure}"
                );
                assert!(
                    failure.to_string().contains("decompress the image"),
                    "{failure}"
                );
                assert!(empty(dir.path()));
            }
        }
    }
}

#[test]
fn empty_image_is_refused() {
    for built in ALL {
        let bytes = compressed(built, &[]);
        for chosen in ALL {
            let dir = tempfile::tempdir().unwrap();
            let name_in_result = format!("a.img{}", built.suffix());
            let case = (product(&name_in_result, built), options(chosen), false);
            let archive = archive(tar::EntryType::Regular, &bytes);
            let failure = copy(dir.path(), case).run(archive.as_slice()).unwrap_err();
            assert_eq!(failure.class, Class::Build, "{built:?} to {chosen:?}");
            assert!(failure.to_string().contains("is empty"), "{failure}");
            assert!(empty(dir.path()));
        }
    }
}

#[test]
fn several_frames_are_kept() {
    let sized = |n: usize| compressed(Compression::Zstd, &vec![7; n]);
    let without_size = zstd::encode_all([7; 1000].as_slice(), 1).unwrap();
    for bytes in [
        sized(1000),
        [sized(1000), sized(500)].concat(),
        without_size,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let case = (
            product("a.img.zst", Compression::Zstd),
            options(Compression::Zstd),
            false,
        );
        let archive = archive(tar::EntryType::Regular, &bytes);
        copy(dir.path(), case).run(archive.as_slice()).unwrap();
        let raw = decompressed(Compression::Zstd, &read(dir.path(), "a.img.zst"));
        assert!(raw.len() >= 1000 && raw.iter().all(|byte| *byte == 7));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    /// Holes and data of any lengths, in chunks of any length.
    #[test]
    fn written_image_is_the_input(
        parts in proptest::collection::vec((any::<bool>(), 1usize..400_000), 1..8), cut in 1usize..2_000_000,
    ) {
        let raw: Vec<u8> = parts.iter().flat_map(|(zero, n)| vec![if *zero { 0 } else { 9 }; *n]).collect();
        let bytes = archive(tar::EntryType::Regular, &raw);
        for chosen in [Compression::None, Compression::Zstd] {
            let dir = tempfile::tempdir().unwrap();
            let case = (product("a.img", Compression::None), options(chosen), false);
            let chunks = Chunked(&bytes, cut);
            let image = copy(dir.path(), case).run(chunks).unwrap();
            prop_assert!(decompressed(chosen, &std::fs::read(image.path).unwrap()) == raw);
        }
    }
}

/// A reader that returns at most so many bytes at a time.
struct Chunked<'a>(&'a [u8], usize);

impl Read for Chunked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(buffer.len());
        self.0.read(&mut buffer[..length])
    }
}
