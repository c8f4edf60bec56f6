//! What a machine wrote on its serial console, as clean lines: pure and bounded.

use std::collections::VecDeque;

/// Lines kept: a kernel's boot and what a stuck machine repeats after it.
const LINES: usize = 4000;
/// The longest line; a longer one goes on in the next.
const LONGEST: usize = 2000;

/// The console so far. The line that is not finished (a prompt, mostly) counts as one.
#[derive(Debug, Default)]
pub(super) struct Console {
    lines: VecDeque<String>,
    partial: Vec<u8>,
}

impl Console {
    /// Takes in what was read; the lines that it finished.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut finished = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
            if *byte == b'\n' || self.partial.len() >= LONGEST {
                finished.push(clean(&std::mem::take(&mut self.partial)));
            }
        }
        self.lines.extend(finished.iter().cloned());
        let surplus = self.lines.len().saturating_sub(LINES);
        self.lines.drain(..surplus);
        finished
    }

    /// Every line.
    pub(super) fn lines(&self) -> Vec<String> {
        let last = Some(self.unfinished()).filter(|last| !last.trim().is_empty());
        self.lines.iter().cloned().chain(last).collect()
    }

    /// The line that is not finished: the prompt of who waits is one, for as long as they wait.
    pub(super) fn unfinished(&self) -> String {
        clean(&self.partial)
    }

    /// The last `n` lines that are not empty.
    pub(super) fn tail(&self, n: usize) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| !line.trim().is_empty());
        lines.split_off(lines.len().saturating_sub(n))
    }
}

/// A line without escape sequences, carriage returns and other control characters.
fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_sequence(&mut chars),
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Skips what follows an escape: a CSI sequence, an OSC string, or one character.
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
        // Ends with BEL or with ESC and a backslash.
        Some(']') => {
            while let Some(c) = chars.next() {
                if c == '\x07' || (c == '\x1b' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_whatever_pieces() {
        let bytes = b"one\r\ntwo\r\r\n\r\n=> ";
        for size in 1..bytes.len() {
            let mut console = Console::default();
            for piece in bytes.chunks(size) {
                console.feed(piece);
            }
            assert_eq!(console.lines(), ["one", "two", "", "=> "]);
            assert_eq!(console.tail(2), ["two", "=> "]);
            assert_eq!(console.unfinished(), "=> ");
        }
    }

    #[test]
    fn escape_sequences_leave_nothing_behind() {
        let text = "\x1b7\x1b[r\x1b[999;999H\x1b[6n\x1b8No EFI system partition";
        assert_eq!(clean(text.as_bytes()), "No EFI system partition");
        assert_eq!(
            clean(b"\x1b]0;title\x07a\x1b]0;x\x1b\\b 2 \x08\x08 1\xff"),
            "ab 2  1\u{fffd}"
        );
        assert_eq!(clean(b"\x1b["), "");
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut console = Console::default();
        console.feed(&vec![b'x'; 3 * LONGEST]);
        assert_eq!(console.lines().len(), 3);
        console.feed(&vec![b'\n'; 3 * LINES]);
        assert_eq!(console.lines().len(), LINES);
    }
}
