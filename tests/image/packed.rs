//! Compressed images: as the tools make them, truncated, changed, and with a list of hashes.

use std::io::Write as _;

use super::*;
use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::event::Events;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_image::{Error, OpenOptions, OpenedImage, open, sidecars};

const TOOLS: [(&str, &str, Compression); 3] = [
    ("zstd", "zstd -q --keep image -o packed", Compression::Zstd),
    ("xz", "xz --keep --stdout -1 -T2 --block-size=300KiB image", Compression::Xz),
    ("gzip", "gzip --keep --stdout image", Compression::Gzip),
];

/// Data with holes, of an odd length.
fn data() -> Vec<u8> {
    let mut data = noise(700_001);
    data[100_000..400_000].fill(0);
    data.extend(vec![0; 99_999]);
    data
}

fn pack(tool: &(&str, &str, Compression), data: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("image"), data).unwrap();
    let mut words = tool.1.split(' ');
    let mut command = Command::new(find(words.next().unwrap()).unwrap());
    let output = command.args(words).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success());
    let packed = dir.path().join("packed");
    if packed.exists() { fs::read(packed).unwrap() } else { output.stdout }
}

fn opened(bytes: &[u8], cancel: &Cancel) -> Result<OpenedImage, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    fs::write(&path, bytes).unwrap();
    let how = OpenOptions { spool: dir.path().join("cache"), hash: true };
    let opened = open(&path, &how, &context(cancel));
    let left = fs::read_dir(&how.spool).map_or(0, Iterator::count);
    assert_eq!(left, 0, "something lies in the cache");
    opened
}

/// `inspect` reads them like any disk.
#[test]
fn disks_of_virtual_machines_are_opened_also_compressed() {
    needs!(have(&["qemu-img", "zstd"]));
    let mut data = data();
    data.resize(data.len().next_multiple_of(512), 0);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("raw"), &data).unwrap();
    for form in ["qcow2", "vmdk"] {
        run(&format!("qemu-img convert -f raw -O {form} raw disk"), dir.path());
        let plain = fs::read(dir.path().join("disk")).unwrap();
        let packed = pack(&TOOLS[0], &plain);
        for bytes in [&plain, &packed] {
            let opened = opened(bytes, &Cancel::new()).unwrap();
            assert_eq!(opened.form.qemu_name(), form);
            assert_eq!(opened.facts.raw_size, plain.len() as u64);
            assert_eq!(opened.disk.len(), data.len() as u64);
            let mut read = vec![0; data.len()];
            opened.disk.read(0, &mut read).unwrap();
            assert!(read == data, "{form}");
        }
    }
}

fn context(cancel: &Cancel) -> Context {
    Context { cancel: cancel.clone(), events: Events::none() }
}

fn hash(bytes: &[u8]) -> Sha256Hash {
    Sha256Hash::of(bytes)
}

#[test]
fn file_and_image_are_hashed_in_one_pass() {
    let data = data();
    let tools: Vec<_> = TOOLS.iter().filter(|tool| have(&[tool.0])).collect();
    for tool in tools {
        let packed = pack(tool, &data);
        // Files that are joined with `cat` are one image too.
        let twice = [packed.clone(), packed.clone()].concat();
        for (packed, raw) in [(packed, data.clone()), (twice, data.repeat(2))] {
            let opened = opened(&packed, &Cancel::new()).unwrap();
            let facts = &opened.facts;
            assert_eq!(facts.compression, tool.2);
            assert_eq!((facts.size, facts.raw_size), (packed.len() as u64, raw.len() as u64));
            assert_eq!((facts.sha256, facts.raw_sha256), (Some(hash(&packed)), Some(hash(&raw))));
            assert!(bytes(&opened.disk, 0, raw.len()).unwrap() == raw);
        }
    }
    let raw = opened(&data, &Cancel::new()).unwrap().facts;
    assert_eq!((raw.compression, raw.raw_size), (Compression::None, data.len() as u64));
    assert_eq!((raw.sha256, raw.raw_sha256), (Some(hash(&data)), Some(hash(&data))));
}

#[test]
fn truncated_or_changed_data_are_damaged() {
    let data = data();
    for tool in TOOLS.iter().filter(|tool| have(&[tool.0])) {
        let packed = pack(tool, &data);
        for keep in [9, 20, packed.len() / 2, packed.len() - 9, packed.len() - 1] {
            let error = opened(&packed[..keep], &Cancel::new()).unwrap_err();
            assert!(matches!(error, Error::DamagedData(..)), "{} {keep}: {error}", tool.0);
        }
        let mut changed = packed.clone();
        changed[packed.len() / 2] ^= 4;
        let error = opened(&changed, &Cancel::new()).unwrap_err();
        assert!(matches!(error, Error::DamagedData(..)), "{}: {error}", tool.0);
        let mut longer = packed.clone();
        longer.extend(b"what does not belong there");
        let error = opened(&longer, &Cancel::new()).unwrap_err();
        assert!(matches!(error, Error::DamagedData(..)), "{}: {error}", tool.0);
    }
}

#[test]
fn large_windows_are_refused() {
    // An empty frame with a window of 1 GiB, as `zstd --long=30` makes it.
    let frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (30 - 10) << 3, 0x01, 0, 0];
    let xz = ("xz", "xz --stdout --lzma2=preset=0,dict=256MiB image", Compression::Xz);
    let packed = have(&["xz"]).then(|| pack(&xz, &data()));
    for bytes in [Some(frame), packed].into_iter().flatten() {
        let error = opened(&bytes, &Cancel::new()).unwrap_err();
        assert!(matches!(error, Error::MemoryLimit(_)), "{error}");
    }
}

#[test]
fn empty_image_is_refused() {
    let nothing = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00];
    let error = opened(&nothing, &Cancel::new()).unwrap_err().to_string();
    assert_eq!(error, "it decompresses to nothing");
    assert_eq!(opened(&[], &Cancel::new()).unwrap_err().to_string(), "the file is empty");
    opened(&[0], &Cancel::new()).unwrap();
}

#[test]
fn signal_ends_reading() {
    let cancel = Cancel::new();
    let image = opened(&data(), &cancel).unwrap();
    cancel.received(2);
    assert!(matches!(opened(&data(), &cancel), Err(Error::Interrupted)));
    assert!(matches!(bytes(&image.disk, 0, 1), Err(Error::Interrupted)));
    for tool in TOOLS.iter().filter(|tool| have(&[tool.0])) {
        let packed = pack(tool, &data());
        assert!(matches!(opened(&packed, &cancel), Err(Error::Interrupted)));
    }
}

#[test]
fn list_of_hashes_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.img.gz");
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(b"an image").unwrap();
    let packed = writer.finish().unwrap();
    fs::write(&path, &packed).unwrap();
    let how = OpenOptions { spool: dir.path().join("cache"), hash: true };
    let facts = open(&path, &how, &context(&Cancel::new())).unwrap().facts;
    assert_eq!(sidecars::compare_checksum(&path, &facts).unwrap(), None);
    let compare = |list: String| {
        fs::write(dir.path().join("a.img.gz.sha256"), list).unwrap();
        sidecars::compare_checksum(&path, &facts)
    };
    let (own, raw) = (hash(&packed), hash(b"an image"));
    let matches = |list: String| compare(list).unwrap().unwrap().matches;
    assert!(matches(format!("{raw}  b.img\n{own}  a.img.gz\n")));
    assert!(matches(format!("{own} *out/a.img.gz\n")));
    assert!(matches(format!("{raw}  a.img\n")));
    assert!(!matches(format!("{raw}  a.img.gz\n")));
    let error = compare(format!("{own}  other\n")).unwrap_err().to_string();
    assert!(error.ends_with("has no line for a.img.gz"), "{error}");
    assert!(compare("nonsense".to_owned()).is_err());
}
