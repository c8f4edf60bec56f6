//! Reads little-endian numbers from a block of bytes. Bytes outside the block read as zero: callers read
//! whole structures, so a field outside of one is a bug of the caller, not damage of an image.

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
