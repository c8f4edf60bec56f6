//! Invisible characters that change how text is displayed.

/// Whether `c` reorders or hides text: bidi controls, line separators, soft hyphens, zero-width characters
/// and tags. Control characters are not included, see [`char::is_control`].
pub fn is_format_char(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::is_format_char;

    #[test]
    fn invisible_characters_are_format_characters() {
        for c in "\u{ad}\u{61c}\u{200b}\u{202e}\u{2066}\u{feff}\u{e0001}\u{e0041}".chars() {
            assert!(is_format_char(c), "{c:?}");
        }
        assert!(!"aä½→ 漢\u{301}🚀".chars().any(is_format_char));
    }
}
