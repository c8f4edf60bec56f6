//! Numbers out of a block of bytes. What lies outside of the block reads as zero: the callers read
//! whole structures, so that a field outside of one is an error in this room, not in an image.

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

/// `block[from..to]`, or what there is of it.
pub(super) fn slice(block: &[u8], from: usize, to: usize) -> &[u8] {
    let to = to.min(block.len());
    block.get(from.min(to)..to).unwrap_or_default()
}

/// Whether `magic` stands at `at`.
pub(super) fn stands(block: &[u8], at: usize, magic: &[u8]) -> bool {
    block.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

/// CRC-32C as ext4 keeps it: neither start nor end is inverted.
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
