use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

use super::*;
use sdbuild_core::hash::Sha256Hash;

/// An image of a few MiB that is mostly holes and does not end with a whole block.
fn image() -> Vec<u8> {
    let mut image = vec![0; (3 << 20) + 512];
    image[..512].fill(7);
    image[(1 << 20) + 5] = 9;
    image
}

fn compressed(image: &[u8]) -> [(Compression, Vec<u8>); 3] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(image).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(image).unwrap();
    [
        (Compression::Zstd, zstd::encode_all(image, 1).unwrap()),
        (Compression::Gzip, gzip.finish().unwrap()),
        (Compression::Xz, xz.finish().unwrap()),
    ]
}

fn open(bytes: &[u8]) -> Result<ImageFile, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a,b.img");
    std::fs::write(&path, bytes).unwrap();
    ImageFile::open(&path, ImageKind::File)
}

/// Unpacks `bytes` as an image file, with hashes; asserts that nothing in the directory has a name.
fn unpack(bytes: &[u8]) -> Result<crate::UnpackedImage, Error> {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    let unpacked = open(bytes)?.unpack(&spool, true, &Cancel::new(), &|_| ());
    assert_eq!(std::fs::read_dir(spool).unwrap().count(), 0);
    unpacked
}

#[test]
fn format_is_detected_by_the_first_bytes() {
    for (compression, bytes) in compressed(&image()) {
        assert_eq!(open(&bytes).unwrap().compression, compression);
    }
    let plain = open(&image()).unwrap();
    assert_eq!(plain.compression, Compression::None);
    assert_eq!(
        (plain.size, plain.min_raw_size),
        ((3 << 20) + 512, plain.size)
    );
    assert_eq!(detect(&[]), Compression::None);
}

#[test]
fn unpacked_image_is_equal_and_sparse() {
    for (_, bytes) in compressed(&image()) {
        let unpacked = unpack(&bytes).unwrap();
        let mut content = vec![0; image().len() + 1];
        let length = unpacked.file.read_at(&mut content, 0).unwrap();
        assert!(content[..length] == image());
        assert_eq!(unpacked.size, length as u64);
        assert!(unpacked.file.metadata().unwrap().blocks() * 512 <= 64 << 10);
        let hashes = unpacked.hashes.unwrap();
        assert_eq!(hashes.file, Sha256Hash::of(&bytes));
        assert_eq!(hashes.raw, Sha256Hash::of(&image()));
    }
}

#[test]
fn truncated_data_are_damaged() {
    for (compression, bytes) in compressed(&image()) {
        let error = unpack(&bytes[..bytes.len() - 9]).unwrap_err();
        let expected = format!("the {compression} data are damaged: ");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

/// The header of an xz file with a dictionary of 2 to the power of `log` bytes.
fn xz_with_dictionary(log: u8) -> Vec<u8> {
    let mut xz = b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36".to_vec();
    let block = [2, 0, 0x21, 1, (log - 12) * 2, 0, 0, 0];
    xz.extend(block);
    let mut crc = flate2::Crc::new();
    crc.update(&block);
    xz.extend(crc.sum().to_le_bytes());
    // The first byte of the data: what they need is allocated.
    xz.push(1);
    xz
}

#[test]
fn data_that_need_much_memory_are_refused() {
    // A window of 1 GiB, as `zstd --long=30` writes it.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (30 - 10) << 3, 0x01, 0, 0];
    for (compression, bytes) in [
        (Compression::Zstd, zstd.to_vec()),
        (Compression::Xz, xz_with_dictionary(27)),
        (Compression::Xz, xz_with_dictionary(31)),
    ] {
        let failure = unpack(&bytes).unwrap_err().fail("unpack");
        assert!(
            failure.to_string().contains("more than 80 MiB"),
            "{compression}: {failure}"
        );
        let hint = format!("decompress it with {compression} first");
        assert_eq!(failure.hints, [hint]);
    }
    // What `xz -9` writes is unpacked; here it is incomplete.
    let incomplete = unpack(&xz_with_dictionary(26)).unwrap_err();
    assert!(matches!(incomplete, Error::DamagedData(..)), "{incomplete}");
}

/// A file that the system fails to read after `remaining` bytes.
struct FailingDisk<'a> {
    remaining: &'a [u8],
}

impl Read for FailingDisk<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.remaining.read(buffer)? {
            0 => Err(io::Error::from_raw_os_error(nix::libc::EIO)),
            length => Ok(length),
        }
    }
}

#[test]
fn read_errors_are_not_reported_as_damage() {
    for (compression, bytes) in compressed(&image()) {
        for keep in [0, 3, 11, bytes.len() / 2, bytes.len() - 3] {
            let remaining = &bytes[..keep];
            let cancel = Cancel::new();
            let reader = ImageReader::new(compression, FailingDisk { remaining }, &cancel);
            let filled = reader.and_then(|mut reader| {
                let mut buffer = vec![0; image().len() + 1];
                reader.fill(&mut buffer)
            });
            let error = filled.unwrap_err();
            assert!(
                matches!(&error, Error::Io(error) if error.raw_os_error().is_some()),
                "{compression} {keep}: {error}"
            );
        }
    }
}

/// Opening a pipe that replaced the file after a look at its path would wait for a writer, deaf to signals.
#[test]
fn only_files_and_disks_are_opened_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let empty = dir.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let missing = dir.path().join("missing");
    let error = |path: &Path, kind| ImageFile::open(path, kind).unwrap_err();
    for (kind, not_opened) in [
        (ImageKind::File, "it is not a plain file"),
        (
            ImageKind::FileOrDisk,
            "it is neither a plain file nor a disk",
        ),
    ] {
        for (path, why) in [
            (pipe.as_path(), not_opened),
            (Path::new("/dev/null"), not_opened),
            (dir.path(), "it is a directory"),
            (&empty, "the file is empty"),
            (&missing, "there is no such file"),
        ] {
            let error = error(path, kind);
            assert_eq!(error.to_string(), why, "{path:?}");
            let class = error.fail("open").class;
            assert_eq!(class, sdbuild_core::failure::Class::Usage, "{path:?}");
        }
    }
}

/// `flash` proposed to write what one decompression leaves of it.
#[test]
fn an_image_that_is_compressed_twice_is_recognised() {
    for (compression, once) in compressed(&image()) {
        let twice = zstd::encode_all(once.as_slice(), 1).unwrap();
        let twice = open(&twice).unwrap();
        assert!(twice.is_other_file(&Cancel::new()), "{compression:?}");
        let error = twice.table_kind(&Cancel::new()).unwrap_err().to_string();
        assert!(error.contains("it is compressed twice"), "{error}");
        assert!(!open(&once).unwrap().is_other_file(&Cancel::new()));
    }
}
