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

/// The name of the file system in `section`.
pub(super) fn detect(section: &Section) -> Result<Option<&'static str>, Error> {
    for (at, magic, name) in MAGIC_NUMBERS {
        let length = magic.len() as u64;
        if at + length <= section.len() && section.block(at, length)? == magic {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
