//! What a machine wrote on its serial console, as lines without control sequences. Bounded.

use std::collections::VecDeque;

use crate::common::text::strip_control;

/// Lines that are kept: the boot of a kernel, and what a stuck machine repeats after it.
const MAX_LINES: usize = 4000;
/// Bytes of a line; a longer one is split.
const MAX_LINE_BYTES: usize = 2000;

/// The console so far.
#[derive(Debug, Default)]
pub(super) struct Console {
    lines: VecDeque<String>,
    /// The line that has no end yet.
    partial: Vec<u8>,
}

impl Console {
    /// Appends `bytes`; returns the lines that they finished.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut finished = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
            if *byte == b'\n' || self.partial.len() >= MAX_LINE_BYTES {
                finished.push(clean(&std::mem::take(&mut self.partial)));
            }
        }
        self.lines.extend(finished.iter().cloned());
        let surplus = self.lines.len().saturating_sub(MAX_LINES);
        self.lines.drain(..surplus);
        finished
    }

    /// All lines, the unfinished one included.
    pub(super) fn lines(&self) -> Vec<String> {
        let last = Some(self.unfinished()).filter(|last| !last.trim().is_empty());
        self.lines.iter().cloned().chain(last).collect()
    }

    /// The line that has no end yet, as a prompt has none while it waits for input.
    pub(super) fn unfinished(&self) -> String {
        clean(&self.partial)
    }

    /// The last `count` lines that are not empty.
    pub(super) fn tail(&self, count: usize) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| !line.trim().is_empty());
        lines.split_off(lines.len().saturating_sub(count))
    }
}

fn clean(line: &[u8]) -> String {
    strip_control(&String::from_utf8_lossy(line)).replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_assembled_from_pieces_of_any_size() {
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
    fn control_sequences_are_removed() {
        let text = "\x1b7\x1b[r\x1b[999;999H\x1b[6n\x1b8No EFI system partition";
        assert_eq!(clean(text.as_bytes()), "No EFI system partition");
        assert_eq!(
            clean(b"\x1b]0;title\x07a\x1b]0;x\x1b\\b\t2 \x08\x08 1\xff"),
            "ab 2  1\u{fffd}"
        );
        assert_eq!(clean(b"\x1b["), "");
    }

    #[test]
    fn flood_is_bounded() {
        let mut console = Console::default();
        console.feed(&vec![b'x'; 3 * MAX_LINE_BYTES]);
        assert_eq!(console.lines().len(), 3);
        console.feed(&vec![b'\n'; 3 * MAX_LINES]);
        assert_eq!(console.lines().len(), MAX_LINES);
    }
}
