//! Archives as an engine sends them, whole and broken, and folders that do not want them.

use std::io::Write;
use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use std::path::Path;

use super::*;
use crate::failure::Class;
use crate::output::bridge::{self, CHUNK};

fn archive(kind: tar::EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o444);
    if kind == tar::EntryType::Symlink {
        builder
            .append_link(&mut header, "a.img", "/etc/passwd")
            .unwrap();
    } else {
        builder.append_data(&mut header, "a.img", bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn product(name: &str, packed: Format) -> Product {
    Product {
        components: vec![name.into()],
        name: "a.img".into(),
        packed,
    }
}

fn plain(force: bool) -> (Product, Compression, bool) {
    (product("a.img", Format::None), how(Format::None), force)
}

fn how(format: Format) -> Compression {
    Compression {
        format,
        level: None,
    }
}

fn copy(dir: &Path, (product, compression, force): (Product, Compression, bool)) -> Copy {
    let settings = OutputSettings {
        dir: dir.to_path_buf(),
        force,
        owner: None,
        compression,
        imager: None,
        created: SystemTime::UNIX_EPOCH,
    };
    let order = Order {
        settings,
        origin: Origin::default(),
        timings: Timings::default(),
    };
    Copy::new(product, &order, (&Cancel::new(), &Events::none()))
}

fn empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn an_image_is_copied_hashed_and_keeps_its_holes() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = vec![0; 3 << 20];
    bytes[2_000_000] = 7;
    let image = copy(dir.path(), plain(false))
        .write(archive(tar::EntryType::Regular, &bytes).as_slice())
        .unwrap();
    assert_eq!(image.size, 3 << 20);
    assert_eq!(image.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
    assert_eq!(std::fs::read(&image.path).unwrap(), bytes);
    assert!(image.path.metadata().unwrap().blocks() * 512 < 100_000);
}

#[test]
fn a_broken_stream_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let whole = archive(tar::EntryType::Regular, &vec![1; 1 << 20]);
    for cut in [0, 100, 512, 700_000] {
        let failure = copy(dir.path(), plain(false))
            .write(&whole[..cut])
            .unwrap_err();
        assert!(empty(dir.path()), "{failure}");
    }
    let failure = copy(dir.path(), plain(false))
        .write(&whole[..700_000])
        .unwrap_err();
    assert_eq!(failure.class, Class::Environment);
    assert!(
        failure.to_string().contains("of the image's 1048576 bytes"),
        "{failure}"
    );
}

#[test]
fn anything_but_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Directory,
        tar::EntryType::Char,
    ] {
        let failure = copy(dir.path(), plain(false))
            .write(archive(kind, b"").as_slice())
            .unwrap_err();
        assert_eq!(failure.class, Class::Build);
    }
    assert!(empty(dir.path()));
}

#[test]
fn a_name_that_is_taken_is_a_usage_error_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = archive(tar::EntryType::Regular, b"new");
    let mut old = std::fs::File::create(dir.path().join("a.img")).unwrap();
    old.write_all(b"old").unwrap();
    let failure = copy(dir.path(), plain(false))
        .write(bytes.as_slice())
        .unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    assert!(failure.hints.iter().any(|h| h.contains("--force")));
    assert_eq!(std::fs::read(dir.path().join("a.img")).unwrap(), b"old");
    copy(dir.path(), plain(true))
        .write(bytes.as_slice())
        .unwrap();
    assert_eq!(std::fs::read(dir.path().join("a.img")).unwrap(), b"new");
}

#[test]
fn a_full_disk_is_this_machines() {
    let failure = cannot_write(Path::new("out"), io::ErrorKind::StorageFull.into());
    assert_eq!(failure.class, Class::Environment);
    assert!(failure.hints[0].contains("free some space"));
    let failure = copy(Path::new("/nowhere"), plain(false))
        .write(archive(tar::EntryType::Regular, b"x").as_slice())
        .unwrap_err();
    assert_eq!(failure.class, Class::Environment);
}

/// Bytes that are neither all alike nor random, with holes.
fn content(size: usize) -> Vec<u8> {
    let byte = |at: usize| {
        let some = u8::try_from(at * 7 / 3 % 251).unwrap();
        if at % 300_000 < 100_000 { 0 } else { some }
    };
    (0..size).map(byte).collect()
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap()
}

fn unpacked(format: Format, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut decoder = crate::image::decoder(format, bytes).unwrap();
    decoder.read_to_end(&mut out).unwrap();
    out
}

const ALL: [Format; 4] = [Format::None, Format::Zstd, Format::Xz, Format::Gzip];

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
        let order = (product("a.img", Format::None), how(wanted), true);
        let bytes = archive(tar::EntryType::Regular, &content(size));
        copy(dir.path(), order).write(bytes.as_slice()).unwrap();
    };
    let sidecars =
        || ["sha256", "bmap", "json"].map(|of| read(dir.path(), &format!("a.img.xz.{of}")));
    write(Format::Xz, 300_000);
    let before = sidecars();
    for other in [Format::None, Format::Zstd, Format::Gzip] {
        write(other, 500_000);
    }
    assert!(sidecars() == before);
}

fn encoder(format: Format, raw: &[u8]) -> crate::output::encode::Encoder<Vec<u8>> {
    let size = Some(raw.len() as u64);
    crate::output::encode::Encoder::new(how(format), size, 1, Vec::new()).unwrap()
}

#[test]
fn a_level_that_was_asked_for_is_not_the_builds() {
    let (raw, dir) = (content(300_000), tempfile::tempdir().unwrap());
    let mut encoder = encoder(Format::Zstd, &raw);
    encoder.write_all(&raw).unwrap();
    let bytes = encoder.finish().unwrap();
    let wanted = Compression {
        level: Some(9),
        ..how(Format::Zstd)
    };
    let order = (product("a.img.zst", Format::Zstd), wanted, false);
    let archive = archive(tar::EntryType::Regular, &bytes);
    copy(dir.path(), order).write(archive.as_slice()).unwrap();
    let written = read(dir.path(), "a.img.zst");
    assert!(written != bytes && unpacked(Format::Zstd, &written) == raw);
    let size = zstd::zstd_safe::get_frame_content_size(&written).unwrap();
    assert_eq!(size, Some(raw.len() as u64));
}

#[test]
fn damaged_compression_is_the_builds_fault_and_leaves_nothing() {
    let raw = content(3_000_000);
    for packed in [Format::Zstd, Format::Xz, Format::Gzip] {
        let mut encoder = encoder(packed, &raw);
        encoder.write_all(&raw).unwrap();
        let good = encoder.finish().unwrap();
        let mut torn = good.clone();
        torn.truncate(good.len() / 2);
        let mut bent = good.clone();
        bent[good.len() / 2] ^= 0x55;
        for bad in [torn, bent] {
            for wanted in [packed, Format::None, Format::Zstd] {
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
        let mut encoder = encoder(Format::Zstd, &raw);
        encoder.write_all(&raw).unwrap();
        encoder.finish().unwrap()
    };
    for (bytes, warns) in [
        (sized(1000), false),
        ([sized(1000), sized(500)].concat(), true),
        (frame, true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let order = (product("a.img.zst", Format::Zstd), how(Format::Zstd), false);
        let mut copy = copy(dir.path(), order);
        let heard = std::sync::Arc::new(std::sync::Mutex::new(0));
        let counter = std::sync::Arc::clone(&heard);
        copy.events = Events::new(move |event| {
            *counter.lock().unwrap() +=
                usize::from(matches!(event, crate::event::Event::Warning(_)));
        });
        let archive = archive(tar::EntryType::Regular, &bytes);
        copy.write(archive.as_slice()).unwrap();
        assert_eq!(*heard.lock().unwrap() > 0, warns, "{} bytes", bytes.len());
        let raw = unpacked(Format::Zstd, &read(dir.path(), "a.img.zst"));
        assert!(raw.len() >= 1000 && raw.iter().all(|byte| *byte == 7));
    }
}

#[test]
fn a_sidecar_in_the_way_keeps_everything_out() {
    for name in ["a.img.sha256", "a.img.bmap", "a.img.json"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), "mine").unwrap();
        let bytes = archive(tar::EntryType::Regular, b"new");
        let kept = copy(dir.path(), plain(false));
        let before = kept.names_are_free().unwrap_err();
        let after = kept.write(bytes.as_slice()).unwrap_err();
        for failure in [before, after] {
            assert_eq!(failure.class, Class::Usage);
            assert!(failure.to_string().contains(name), "{failure}");
        }
        assert_eq!(read(dir.path(), name), b"mine");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        copy(dir.path(), plain(true))
            .write(bytes.as_slice())
            .unwrap();
        assert_ne!(read(dir.path(), name), b"mine");
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("a.img.json")).unwrap();
    let bytes = archive(tar::EntryType::Regular, b"new");
    let failure = copy(dir.path(), plain(true))
        .write(bytes.as_slice())
        .unwrap_err();
    assert!(failure.to_string().contains("is a folder"), "{failure}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_cancelled_copy_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for wanted in ALL {
        let order = (product("a.img", Format::None), how(wanted), false);
        let copy = copy(dir.path(), order);
        copy.cancel.received(2);
        let bytes = archive(tar::EntryType::Regular, &content(100));
        let failure = copy.write(bytes.as_slice()).unwrap_err();
        assert_eq!(failure.class, Class::Interrupted);
        assert!(empty(dir.path()));
    }
}

#[test]
fn an_interruption_before_the_first_name_leaves_what_was_there() {
    let raw = content(100);
    for force in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        if force {
            std::fs::write(dir.path().join("a.img"), "old").unwrap();
        }
        let copy = copy(dir.path(), plain(force));
        let target = copy.target().unwrap();
        let work = Work {
            size: raw.len() as u64,
            packed: Format::None,
            limit: LARGEST,
            store: Store {
                file: target.file(),
                shape: Shape::Sparse,
            },
            cancel: &copy.cancel,
            tell: &|_| (),
        };
        let poured = pour(raw.as_slice(), &work).unwrap();
        copy.cancel.received(2);
        let failure = copy.publish(target, &poured).unwrap_err();
        assert_eq!(failure.class, Class::Interrupted, "{failure}");
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, usize::from(force));
        assert!(!force || read(dir.path(), "a.img") == b"old");
    }
}

#[test]
fn the_same_facts_are_the_same_bytes_but_for_durations() {
    let made = || {
        let dir = tempfile::tempdir().unwrap();
        let bytes = archive(tar::EntryType::Regular, &content(500_000));
        let order = (product("a.img", Format::None), how(Format::Zstd), false);
        let image = copy(dir.path(), order).write(bytes.as_slice()).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&image.manifest).unwrap();
        assert!(json["durations"]["copy-out"].is_number());
        json["durations"].take();
        (json.to_string(), read(dir.path(), "a.img.zst"))
    };
    let (one, two) = (made(), made());
    assert!(one == two, "{}\n{}", one.0, two.0);
    assert!(one.0.contains("1970-01-01T00:00:00Z"));
}

#[test]
fn a_list_for_imager_is_written_on_request() {
    let dir = tempfile::Builder::new().prefix("ü x").tempdir().unwrap();
    for (imager, start) in [
        (Imager::Here, "file:///"),
        (
            Imager::Below("https://a.example/b/".into()),
            "https://a.example/b/a.img.zst",
        ),
    ] {
        let order = (product("a.img", Format::None), how(Format::Zstd), true);
        let mut copy = copy(dir.path(), order);
        copy.order.settings.imager = Some(imager);
        let bytes = archive(tar::EntryType::Regular, &content(400_000));
        let image = copy.write(bytes.as_slice()).unwrap();
        let list = read(dir.path(), "a.img.zst.rpi-imager.json");
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
        let entry = &list["os_list"][0];
        let url = entry["url"].as_str().unwrap();
        assert!(url.starts_with(start) && !url.contains([' ', 'ü']), "{url}");
        assert_eq!(entry["name"], "a");
        assert_eq!(entry["extract_size"], 400_000);
        assert_eq!(entry["image_download_size"], image.size);
        assert_eq!(entry["image_download_sha256"], hex::encode(image.sha256));
        assert_eq!(entry["release_date"], "1970-01-01");
    }
}

#[test]
fn the_list_names_boards_for_their_systems_only_and_escapes_the_address() {
    for (base, system, url) in [
        (
            "https://a.example/b",
            "aarch64-linux",
            "https://a.example/b/a%3Fb.img",
        ),
        (
            "https://a.example",
            "x86_64-linux",
            "https://a.example/a%3Fb.img",
        ),
        (
            "https://a.example/b/?c=d",
            "x86_64-linux",
            "https://a.example/b/a%3Fb.img?c=d",
        ),
        ("folder/", "x86_64-linux", "folder/a?b.img"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut copy = copy(dir.path(), plain(false));
        copy.product.name = "a?b.img".into();
        copy.order.settings.imager = Some(Imager::Below(base.into()));
        copy.order.origin.system = system.into();
        let bytes = archive(tar::EntryType::Regular, b"x");
        copy.write(bytes.as_slice()).unwrap();
        let list = read(dir.path(), "a?b.img.rpi-imager.json");
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
        let entry = &list["os_list"][0];
        assert_eq!(entry["url"], url);
        let boards = entry.get("devices").and_then(serde_json::Value::as_array);
        let wanted = (system == "aarch64-linux").then_some(3);
        assert_eq!(boards.map(Vec::len), wanted, "{system}");
    }
}

#[test]
fn a_list_of_the_image_that_is_replaced_goes() {
    let dir = tempfile::tempdir().unwrap();
    let name = "a.img.rpi-imager.json";
    let bytes = archive(tar::EntryType::Regular, b"new");
    for other in [name, "b.img.rpi-imager.json"] {
        std::fs::write(dir.path().join(other), "old").unwrap();
    }
    let kept = copy(dir.path(), plain(false));
    kept.write(bytes.as_slice()).unwrap();
    assert_eq!(read(dir.path(), name), b"old");
    let interrupted = copy(dir.path(), plain(true));
    interrupted.cancel.received(2);
    interrupted.write(bytes.as_slice()).unwrap_err();
    assert_eq!(read(dir.path(), name), b"old");
    let replaced = copy(dir.path(), plain(true));
    replaced.write(bytes.as_slice()).unwrap();
    assert!(!dir.path().join(name).exists());
    assert_eq!(read(dir.path(), "b.img.rpi-imager.json"), b"old");
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
        for wanted in [Format::None, Format::Zstd] {
            let dir = tempfile::tempdir().unwrap();
            let order = (product("a.img", Format::None), how(wanted), false);
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

#[tokio::test]
async fn a_feed_that_is_dropped_ends_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, receiver) = bridge::channel();
    let work = copy(dir.path(), plain(false));
    let writer = tokio::task::spawn_blocking(move || work.write(receiver));
    let whole = archive(tar::EntryType::Regular, &vec![1; 4 << 20]);
    sender.send(Ok(whole[..CHUNK].to_vec())).await.unwrap();
    drop(sender);
    assert_eq!(writer.await.unwrap().unwrap_err().class, Class::Environment);
    assert!(empty(dir.path()));
}
