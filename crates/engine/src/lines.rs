//! Splits a stream of chunks into lines of bounded length.

/// A longer line is split: a build log may contain anything. A message of Nix, which is read as a whole, quotes a line of a file, and
/// has another one, as long, with the mark of the place.
const MAX_LINE_BYTES: usize = 4 << 20;

/// Collects bytes until a line is complete.
#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Adds `bytes` and returns the lines that they complete, without line ends, with invalid UTF-8 replaced.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut piece = piece;
            while self.pending.len() + piece.len() > MAX_LINE_BYTES {
                let room = MAX_LINE_BYTES - self.pending.len();
                let (head, tail) = piece.split_at(room.min(piece.len()));
                self.pending.extend_from_slice(head);
                complete.push(self.take());
                piece = tail;
            }
            self.pending.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                complete.push(self.take());
            }
        }
        complete
    }

    /// The last line, if the stream ended without a line end.
    pub fn finish(&mut self) -> Option<String> {
        if self.pending.is_empty() {
            None
        } else {
            Some(self.take())
        }
    }

    fn take(&mut self) -> String {
        let bytes = std::mem::take(&mut self.pending);
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        String::from_utf8_lossy(line).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_may_span_chunks() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"rea"), Vec::<String>::new());
        assert_eq!(lines.push(b"dy\nheld a\r\nx"), ["ready", "held a"]);
        assert_eq!(lines.finish().as_deref(), Some("x"));
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn long_lines_are_split() {
        let mut lines = Lines::default();
        let pieces = lines.push(&vec![b'x'; 3 * MAX_LINE_BYTES + 5]);
        assert_eq!(
            pieces.iter().map(String::len).collect::<Vec<_>>(),
            [MAX_LINE_BYTES; 3]
        );
        assert_eq!(lines.finish().map(|rest| rest.len()), Some(5));
    }

    proptest! {
        #[test]
        fn the_chunking_does_not_matter(text in "[a-z\n]{0,200}", cut in 0usize..200) {
            let whole = Lines::default().push(text.as_bytes());
            let (first, second) = text.as_bytes().split_at(cut.min(text.len()));
            let mut lines = Lines::default();
            let mut parts = lines.push(first);
            parts.extend(lines.push(second));
            prop_assert_eq!(whole, parts);
        }
    }
}
