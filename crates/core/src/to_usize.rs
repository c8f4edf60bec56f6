//! Numbers of files and structures as lengths and positions in memory.

// `usize` holds every `u64`: sdbuild runs on 64-bit machines only.
const _: () = assert!(usize::BITS == u64::BITS);

/// `number` as a length or a position in memory, which is never another number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "usize has as many bits, as is asserted above"
)]
pub const fn to_usize(number: u64) -> usize {
    number as usize
}
