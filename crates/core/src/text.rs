//! Untrusted text: terminal control sequences removed, length limited.
//!
//! Considered: strip-ansi-escapes 0.2 keeps bidi controls, which can reorder what a terminal shows;
//! `console::strip_ansi_codes` keeps other control characters.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

use crate::invisible_chars::is_format_char;

/// `text` without escape sequences, control characters and [format characters](is_format_char);
/// newlines and tabs stay.
pub fn strip_control(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape_sequence(&mut chars),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || is_format_char(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// `text`, or its first `max_chars` characters and `…`.
pub fn truncate(text: &str, max_chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.split_at(end).0)),
        None => Cow::Borrowed(text),
    }
}

/// The `words` of a sentence: `a, b and c`; empty if there are none.
pub fn listed(words: &[impl AsRef<str>]) -> String {
    joined(words, "and")
}

/// The `words` of which one is meant: `a, b or c`; empty if there are none.
pub fn alternatives(words: &[impl AsRef<str>]) -> String {
    joined(words, "or")
}

/// The `words`, with `conjunction` in front of the last one.
fn joined(words: &[impl AsRef<str>], conjunction: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} {conjunction} {last}", others.join(", ")),
    }
}

/// `text` without the numbers of the system's errors, which say nothing to a user: `No such file or directory (os error 2)`.
pub fn without_os_errors(text: &str) -> Cow<'_, str> {
    const BEGIN: &str = " (os error ";
    if !text.contains(BEGIN) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(BEGIN);
    let first = parts.next().unwrap_or_default().to_owned();
    Cow::Owned(parts.fold(first, |plain, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        match rest.strip_prefix(')') {
            Some(rest) if rest.len() + 1 < part.len() => plain + rest,
            _ => plain + BEGIN + part,
        }
    }))
}

/// Skips the rest of an escape sequence (ECMA-48, ECMA-35) after its ESC. A malformed sequence ends
/// before the first character that cannot belong to it, so that no text is lost.
fn skip_escape_sequence(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            // Parameters and intermediates, then one final byte.
            while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
            chars.next_if(|c| matches!(c, '@'..='~'));
        }
        // OSC, DCS, APC, PM, SOS.
        Some(']' | 'P' | '_' | '^' | 'X') => skip_control_string(chars),
        _ => {
            // Intermediates as in `ESC ( B`, then one final byte.
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
    }
}

/// Skips up to BEL or ST, or to the end of the line.
fn skip_control_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// Line `number` of `text`, counted from 1.
pub fn line_of(text: &str, number: u64) -> Option<&str> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    text.lines().nth(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_several_follows_an_and() {
        for (words, text) in [
            (vec![], ""),
            (vec!["a"], "a"),
            (vec!["a", "b"], "a and b"),
            (vec!["a", "b", "c"], "a, b and c"),
        ] {
            assert_eq!(listed(&words), text);
        }
    }

    #[test]
    fn numbers_of_errors_are_left_out() {
        for (text, plain) in [
            (
                "read x: No such file or directory (os error 2)",
                "read x: No such file or directory",
            ),
            (
                "a (os error 13), b (os error 111) (3 tries)",
                "a, b (3 tries)",
            ),
            (
                "a (os error x) (os error ) (os error 2",
                "a (os error x) (os error ) (os error 2",
            ),
            ("", ""),
        ] {
            assert_eq!(without_os_errors(text), plain, "{text}");
        }
    }

    #[test]
    fn removes_terminal_control() {
        for (text, stripped) in [
            ("\u{1b}[31;1merror:\u{1b}[0m x", "error: x"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]8;;http://x\u{1b}\\b", "ab"),
            ("a\u{1b}]0;not ended\nb", "a\nb"),
            ("a\rb\u{8}c\u{9b}2Jd", "abc2Jd"),
            ("\u{202e}abc\u{200b}", "abc"),
            ("\u{61c}a\u{ad}b\u{e0041}c", "abc"),
            ("a\n\tb ä", "a\n\tb ä"),
            ("\u{1b}(Bx\u{1b}", "x"),
            (
                "\u{1b}7\u{1b}[r\u{1b}[999;999H\u{1b}[6n\u{1b}8No EFI",
                "No EFI",
            ),
            ("\u{1b}[", ""),
        ] {
            assert_eq!(strip_control(text), stripped, "{text:?}");
        }
    }

    #[test]
    fn truncates_at_a_character_boundary() {
        assert_eq!(truncate("äöü", 3), "äöü");
        assert_eq!(truncate("äöü", 2), "äö…");
        assert_eq!(truncate("", 0), "");
    }

    proptest::proptest! {
        #[test]
        fn stripped_text_controls_no_terminal(text in "(?s).*") {
            let out = strip_control(&text);
            proptest::prop_assert!(!out.chars().any(|c| (c.is_control() && c != '\n' && c != '\t') || is_format_char(c)));
        }
    }
}
