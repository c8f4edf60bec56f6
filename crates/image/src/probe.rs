//! Recognizes file systems that are not read.

use super::disk::Section;
use super::error::Error;

/// The position of a magic number, the number, and the name of the file system.
const MAGIC_NUMBERS: [(u64, &[u8], &str); 8] = [
    (0, b"hsqs", "squashfs"),
    (0, b"XFSB", "xfs"),
    (0, b"LUKS\xba\xbe", "luks"),
    (3, b"NTFS    ", "ntfs"),
    (3, b"EXFAT   ", "exfat"),
    (1024, &[0x10, 0x20, 0xf5, 0xf2], "f2fs"),
    (4086, b"SWAPSPACE2", "swap"),
    (0x1_0040, b"_BHRfS_M", "btrfs"),
];

/// The name of the first file in an image for container engines that sdbuild makes, which the archive begins with.
const CONTAINER_MAGIC: &[u8] = b"oci-layout\0";
/// What such an image is refused with where a disk or a system is wanted.
const CONTAINER_IMAGE: &str = "it is an image for container engines: docker load --input loads it";

/// The position of a magic number of a file that is not a disk, the number, and what to do with the file.
const OTHER_FILES: [(u64, &[u8], &str); 8] = [
    (0, CONTAINER_MAGIC, CONTAINER_IMAGE),
    (
        257,
        b"ustar",
        "it is a tar archive: tar -xf unpacks it, and sdbuild boot starts those of the formats kexec and netboot",
    ),
    (
        0,
        b"QFI\xfb",
        "it is a qcow2 image: sdbuild boot starts it, and qemu-img convert -O raw makes a disk of it",
    ),
    (
        0,
        b"KDMV",
        "it is a VMDK image: sdbuild boot starts it, and qemu-img convert -O raw makes a disk of it",
    ),
    (
        0,
        b"conectix",
        "it is a VHD image: qemu-img convert -O raw makes a disk of it",
    ),
    (0, b"PK\x03\x04", "it is a ZIP archive: unzip unpacks it"),
    (0, b"BZh", "it is compressed by bzip2: bunzip2 unpacks it"),
    (
        0,
        b"7z\xbc\xaf\x27\x1c",
        "it is a 7z archive: 7z x unpacks it",
    ),
];

/// What servers send in place of a file that they do not have.
const WEB_PAGE: &str = "it is a web page, not the image; download it again";
/// Bytes at the start of a text that tell it from a disk.
const MAX_TEXT_BYTES: u64 = 512;

/// Whether an archive with this start is an image for container engines.
pub(super) fn begins_container_image(start: &[u8]) -> bool {
    start.starts_with(CONTAINER_MAGIC)
}

/// What `section` is, if it is known and no disk.
pub(super) fn other_file(section: &Section) -> Result<Option<&'static str>, Error> {
    if let Some(known) = find(section, &OTHER_FILES)? {
        return Ok(Some(known));
    }
    let start = section.block(0, section.len().min(MAX_TEXT_BYTES))?;
    // The last character may be cut.
    let text = match std::str::from_utf8(&start) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => start
            .get(..error.valid_up_to())
            .and_then(|text| std::str::from_utf8(text).ok()),
        Err(_) => None,
    };
    Ok(text.and_then(kind_of_text))
}

/// Bytes in which every partition table and file system has something else than zeros.
const MAX_ZERO_BYTES: u64 = 1 << 20;

/// Whether `section` has only zeros where a partition table or a file system begins.
pub(super) fn begins_with_zeros(section: &Section) -> Result<bool, Error> {
    let start = section.block(0, section.len().min(MAX_ZERO_BYTES))?;
    Ok(start.iter().all(|byte| *byte == 0))
}

/// What `text` is, unless it has characters that no text has.
fn kind_of_text(text: &str) -> Option<&'static str> {
    let is_of_text = |c: char| !c.is_control() || c.is_ascii_whitespace();
    if text.is_empty() || !text.chars().all(is_of_text) {
        return None;
    }
    let begin = text.trim_start().to_lowercase();
    let is_page = begin.starts_with("<!doctype html") || begin.starts_with("<html");
    Some(if is_page {
        WEB_PAGE
    } else {
        "it is a text file, not an image"
    })
}

/// The name of the file system in `section`.
pub(super) fn detect(section: &Section) -> Result<Option<&'static str>, Error> {
    find(section, &MAGIC_NUMBERS)
}

/// The text of the first magic number that `section` has.
fn find(
    section: &Section,
    table: &[(u64, &'static [u8], &'static str)],
) -> Result<Option<&'static str>, Error> {
    for (at, magic, text) in table {
        let length = magic.len() as u64;
        if at + length <= section.len() && section.block(*at, length)? == *magic {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
