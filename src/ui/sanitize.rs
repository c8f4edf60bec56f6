//! Makes foreign text safe for a terminal: output of Nix and the engine, file and package names.

use std::borrow::Cow;
use std::fmt::Write as _;

use sdbuild_core::invisible_chars::is_format_char;
use sdbuild_core::text::truncate;

/// Characters of a text that are shown; the log file has the whole text.
const MAX_TEXT_CHARS: usize = 8 * 1024;

/// `text` with every control character and bidirectional formatting character escaped, truncated to a bounded length.
/// Newlines are kept.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let text = truncate(text, MAX_TEXT_CHARS);
    if !text.chars().any(is_unsafe) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            c if is_unsafe(c) => {
                write!(out, "\\u{{{:x}}}", u32::from(c)).ok();
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Sanitizes `text` on one line: newlines become U+FFFD.
pub fn sanitize_line(text: &str) -> String {
    sanitize(&text.replace('\n', "\u{fffd}")).into_owned()
}

/// Sanitizes `text` and indents every line but the first. Only sdbuild starts lines at column 0, so foreign text cannot
/// imitate a hint or a message.
pub(super) fn message(text: &str) -> String {
    sanitize(text).replace('\n', "\n  ")
}

/// Whether `c` is a control character other than newline, or reorders or hides the text around it.
pub(super) fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\n') || is_format_char(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_unchanged() {
        assert!(matches!(sanitize("größer, ½ → ok\nnext"), Cow::Borrowed(_)));
    }

    #[test]
    fn terminal_attacks_are_escaped() {
        assert_eq!(sanitize("\x1b]0;title\x07"), "\\u{1b}]0;title\\u{7}");
        assert_eq!(sanitize("over\rwritten"), "over\\u{d}written");
        assert_eq!(sanitize("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
        assert_eq!(sanitize("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(sanitize("a\u{ad}\u{e0041}"), "a\\u{ad}\\u{e0041}");
    }

    #[test]
    fn long_text_is_truncated() {
        let text = sanitize(&"x".repeat(1 << 20)).into_owned();
        assert!(text.len() < MAX_TEXT_CHARS + 8, "{}", text.len());
    }

    proptest::proptest! {
        #[test]
        fn no_unsafe_character_passes(text in "(?s).{0,400}") {
            let shown = sanitize(&text).into_owned();
            proptest::prop_assert!(!shown.chars().any(is_unsafe), "{shown:?}");
        }
    }
}
