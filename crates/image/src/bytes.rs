//! Reads numbers, names and identifiers from a block of bytes. Bytes outside the block read as zero: callers read whole structures, so a field
//! outside of one is a bug of the caller, not damage of an image. Names may have any characters: `ui` makes them safe to show.

fn array<const N: usize>(block: &[u8], at: usize) -> [u8; N] {
    let found = block.get(at..).and_then(|rest| rest.first_chunk::<N>());
    found.copied().unwrap_or([0; N])
}

pub(super) fn u8_at(block: &[u8], at: usize) -> u8 {
    block.get(at).copied().unwrap_or(0)
}

pub(super) fn u16_at(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(block, at))
}

pub(super) fn u32_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(block, at))
}

pub(super) fn u64_at(block: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(block, at))
}

/// The part of `block[from..to]` that exists.
pub(super) fn slice(block: &[u8], from: usize, to: usize) -> &[u8] {
    let to = to.min(block.len());
    block.get(from.min(to)..to).unwrap_or_default()
}

/// Whether `block` has `magic` at `at`.
pub(super) fn has_magic(block: &[u8], at: usize, magic: &[u8]) -> bool {
    block.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

/// CRC-32C as ext4 stores it: neither the start value nor the result is inverted.
pub(super) fn crc32c(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |crc, byte| {
        let low = (crc ^ u32::from(*byte)) & 0xff;
        (crc >> 8) ^ crc32c_of_byte(low)
    })
}

fn crc32c_of_byte(byte: u32) -> u32 {
    (0..8).fold(byte, |crc, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0x82f6_3b78
        } else {
            crc >> 1
        }
    })
}

/// UTF-16 up to its end or the first zero; invalid units become U+FFFD.
pub(super) fn utf16(units: impl IntoIterator<Item = u16>) -> String {
    let units = units.into_iter().take_while(|unit| *unit != 0);
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// The little-endian 16-bit units of a block.
pub(super) fn units(block: &[u8]) -> impl Iterator<Item = u16> {
    block
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u16::from_le_bytes(*pair))
}

/// A name in a field that is padded with zeros or spaces; `None` when it is empty.
pub(super) fn padded(field: &[u8]) -> Option<String> {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    let text = String::from_utf8_lossy(field.get(..end).unwrap_or_default());
    let text = text.trim_end_matches(' ');
    (!text.is_empty()).then(|| text.to_owned())
}

/// 16 bytes as a UUID, in their order.
pub(super) fn uuid(bytes: &[u8]) -> String {
    let hex = hex::encode(bytes);
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

/// 16 bytes as a GUID, whose first three groups are little-endian.
pub(super) fn guid(bytes: &[u8]) -> String {
    let mut swapped = bytes.to_vec();
    for (from, to) in [(0, 4), (4, 6), (6, 8)] {
        if let Some(group) = swapped.get_mut(from..to) {
            group.reverse();
        }
    }
    uuid(&swapped).to_uppercase()
}
