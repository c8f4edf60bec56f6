//! The words of a flattened device tree (<https://www.devicetree.org/specifications>, chapter 5), which is untrusted data.

/// The first bytes of every device tree.
pub const MAGIC: [u8; 4] = 0xd00d_feed_u32.to_be_bytes();
/// Where the header has the offset of the nodes.
pub const NODES_AT: usize = 8;
/// Where the header has the offset of the names of properties.
pub const NAMES_AT: usize = 12;
/// Bytes of a device tree that is read. Those of boards have less than 100 kB; U-Boot has room for 1 MiB.
pub const MAX_TREE_BYTES: usize = 2 << 20;
/// Bytes of the longest name: the specification limits names to 31 characters, boards have longer ones.
pub const MAX_NAME_BYTES: usize = 256;

/// A node begins.
pub const BEGIN_NODE: u32 = 1;
/// A node ends.
pub const END_NODE: u32 = 2;
/// A property.
pub const PROPERTY: u32 = 3;
/// A word that means nothing.
pub const NOP: u32 = 4;

/// The word at the offset `at`.
pub fn word(tree: &[u8], at: usize) -> Option<u32> {
    let bytes = tree.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

/// The same as an offset or a length.
pub fn number(tree: &[u8], at: usize) -> Option<usize> {
    usize::try_from(word(tree, at)?).ok()
}

/// The name that begins `bytes`, up to a zero; `None` for one of more than [`MAX_NAME_BYTES`].
pub fn name(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.get(..MAX_NAME_BYTES.min(bytes.len()))?;
    let end = start.iter().position(|&byte| byte == 0)?;
    start.get(..end)
}

/// Nodes and properties begin at multiples of four.
pub const fn aligned(at: usize) -> usize {
    at.next_multiple_of(4)
}
