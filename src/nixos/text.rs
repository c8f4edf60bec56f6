//! Foreign text without anything that steers a terminal, and of bounded length.

use crate::common::invisible_chars::is_format_char;

/// The longest line that leaves the log parser.
pub(super) const LONGEST: usize = 64 * 1024;

/// `text` without escape sequences, control and bidi characters; newlines and tabs stay. Cut after
/// [`LONGEST`] bytes.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || is_format_char(c) => {}
            c => out.push(c),
        }
        if out.len() >= LONGEST {
            out.push('…');
            break;
        }
    }
    out
}

/// Swallows the rest of an escape sequence whose ESC was just read.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            // parameters and intermediates, then one final byte; anything else ends a broken one
            while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
            chars.next_if(|c| matches!(c, '@'..='~'));
        }
        // OSC, DCS, APC, PM, SOS: up to BEL or ST, on this line
        Some(']' | 'P' | '_' | '^' | 'X') => {
            while let Some(c) = chars.next_if(|c| *c != '\n') {
                match c {
                    '\u{7}' | '\u{9c}' => break,
                    '\u{1b}' => {
                        chars.next_if_eq(&'\\');
                        break;
                    }
                    _ => {}
                }
            }
        }
        Some(' '..='~') => {
            chars.next();
        }
        _ => {}
    }
}

/// `text`, or its beginning when it has more than `most` characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_out_what_steers_a_terminal() {
        assert_eq!(clean("\u{1b}[31;1merror:\u{1b}[0m x"), "error: x");
        assert_eq!(clean("a\u{1b}]0;title\u{7}b"), "ab");
        assert_eq!(clean("a\u{1b}]8;;http://x\u{1b}\\b"), "ab");
        assert_eq!(clean("a\rb\u{8}c\u{9b}2Jd"), "abc2Jd");
        assert_eq!(clean("\u{202e}abc\u{200b}"), "abc");
        assert_eq!(clean("\u{61c}a\u{ad}b\u{e0041}c"), "abc");
        assert_eq!(clean("a\n\tb ä"), "a\n\tb ä");
        assert_eq!(clean("\u{1b}(B\u{1b}"), "B");
    }

    #[test]
    fn cuts_what_is_too_long() {
        let cut = clean(&"ä".repeat(LONGEST));
        assert!(cut.len() <= LONGEST + 4 && cut.ends_with('…'));
        assert_eq!(super::cut("äöü", 3), "äöü");
        assert_eq!(super::cut("äöü", 2), "äö…");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_steers_is_left(text in "(?s).*") {
            let out = clean(&text);
            proptest::prop_assert!(!out.chars().any(|c| (c.is_control() && c != '\n' && c != '\t') || is_format_char(c)));
        }
    }
}
