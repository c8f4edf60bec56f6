//! What to write in place of a character that means nothing in Nix.

use sdbuild_core::text::DASHES;

/// Characters that cannot be seen: of no width, marks of the direction, a soft hyphen, a byte order mark.
const INVISIBLE: [char; 8] = [
    '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{2060}', '\u{ad}', '\u{feff}',
];
/// Quotes that are no quotes of Nix.
const OTHER_QUOTES: [char; 9] = ['`', '\'', '’', '‘', '“', '”', '„', '«', '»'];

/// What to do about the character `found` in the line `line`, counted from 1; `is_in_list`: as an element of a list.
pub(super) fn hint(found: char, line: u64, is_in_list: bool) -> Option<String> {
    let code = u32::from(found);
    if OTHER_QUOTES.contains(&found) {
        return None;
    }
    Some(if INVISIBLE.contains(&found) {
        format!("line {line} has an invisible character (U+{code:04X}). Delete it")
    } else if found.is_whitespace() {
        format!(
            "line {line} has the character U+{code:04X}, which looks like a space. Replace it with a space"
        )
    } else if DASHES.contains(&found) && is_in_list {
        format!(
            "line {line} has the dash {found} (U+{code:04X}). Write a minus, `-`, instead, and put what begins with it \
             in double quotes"
        )
    } else if DASHES.contains(&found) {
        format!("line {line} has the dash {found} (U+{code:04X}). Write a minus, `-`, instead")
    } else if found == '$' {
        "Nix has no variables that begin with `$`. Write the value, and put a string in double quotes: \"…\"".to_owned()
    } else if ['&', '|'].contains(&found) {
        "join conditions with `&&` and `||`, and put shell commands into a string: ''…''".to_owned()
    } else if found.is_ascii() {
        format!("`{found}` means nothing in Nix. Put a string in double quotes: \"…\"")
    } else if found.is_control() {
        return None;
    } else {
        format!(
            "line {line} has the character {found} (U+{code:04X}), which only strings and comments may have. Put a \
             string in double quotes: \"…\""
        )
    })
}
