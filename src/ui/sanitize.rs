//! Foreign text made safe for a terminal: Nix, the engine, file and package names.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::common::invisible_chars::is_format_char;
use crate::common::text::truncate;

/// Characters of a text that are shown; the log file has the whole text.
const MAX_TEXT_CHARS: usize = 8 * 1024;

/// `text` with every control and direction-changing character written out, bounded in length.
/// Newlines stay: the callers print line by line.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let text = truncate(text, MAX_TEXT_CHARS);
    if !text.chars().any(is_unsafe) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            c if is_unsafe(c) => write!(out, "\\u{{{:x}}}", u32::from(c)).unwrap_or(()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// [`sanitize`]d, and every line after the first one indented: at column 0 only we begin lines, so
/// that no foreign text passes for a hint or a message of ours.
pub(super) fn message(text: &str) -> String {
    sanitize(text).replace('\n', "\n  ")
}

/// Control characters but newline, and the characters that reorder or hide what stands around them.
pub(super) fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\n') || is_format_char(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        assert!(matches!(sanitize("größer, ½ → ok\nnext"), Cow::Borrowed(_)));
    }

    #[test]
    fn attacks_are_written_out() {
        assert_eq!(sanitize("\x1b]0;title\x07"), "\\u{1b}]0;title\\u{7}");
        assert_eq!(sanitize("over\rwritten"), "over\\u{d}written");
        assert_eq!(sanitize("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
        assert_eq!(sanitize("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(sanitize("a\u{ad}\u{e0041}"), "a\\u{ad}\\u{e0041}");
    }

    #[test]
    fn a_flood_is_cut() {
        let text = sanitize(&"x".repeat(1 << 20)).into_owned();
        assert!(text.len() < MAX_TEXT_CHARS + 8, "{}", text.len());
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_drives_a_terminal_comes_through(text in "(?s).{0,400}") {
            let shown = sanitize(&text).into_owned();
            proptest::prop_assert!(!shown.chars().any(is_unsafe), "{shown:?}");
        }
    }
}
