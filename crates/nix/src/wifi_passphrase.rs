//! The length of the passphrase of a wireless network (WPA; IEEE 802.11, annex J.4).

use std::ops::RangeInclusive;

/// How many characters of ASCII one has.
const CHARS: RangeInclusive<usize> = 8..=63;

/// Whether a passphrase can have `chars` characters.
pub fn has_valid_length(chars: usize) -> bool {
    CHARS.contains(&chars)
}

#[cfg(test)]
mod tests {
    use super::has_valid_length;

    #[test]
    fn a_passphrase_has_8_to_63_characters() {
        assert_eq!(
            [7, 8, 63, 64].map(has_valid_length),
            [false, true, true, false]
        );
    }
}
