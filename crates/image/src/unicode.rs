//! Decodes names and identifiers on disks. They may have any characters: `ui` makes them safe to show.

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
