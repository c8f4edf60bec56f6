//! File systems that are only recognised.

use super::disk::Section;
use super::error::Error;

/// Where a magic number stands, what it is, and whose it is.
const KNOWN: [(u64, &[u8], &str); 8] = [
    (0, b"hsqs", "squashfs"),
    (0, b"XFSB", "xfs"),
    (0, b"LUKS\xba\xbe", "luks"),
    (3, b"NTFS    ", "ntfs"),
    (3, b"EXFAT   ", "exfat"),
    (1024, &[0x10, 0x20, 0xf5, 0xf2], "f2fs"),
    (4086, b"SWAPSPACE2", "swap"),
    (0x1_0040, b"_BHRfS_M", "btrfs"),
];

/// The name of what is in `section`.
pub(super) fn name(section: &Section) -> Result<Option<&'static str>, Error> {
    for (at, magic, name) in KNOWN {
        if at + magic.len() as u64 <= section.len() && section.block(at, magic.len())? == magic {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
