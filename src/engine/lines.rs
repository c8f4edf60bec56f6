//! Frames of a stream are chunks, not lines: this puts lines together and bounds their length.

/// A line longer than this is handed on in pieces: a build log may hold anything.
const LONGEST: usize = 64 * 1024;

/// Collects bytes until a line is whole.
#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Takes `bytes`, returns the lines that they complete, without line ends, foreign bytes replaced.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut piece = piece;
            while self.pending.len() + piece.len() > LONGEST {
                let (now, later) = piece.split_at((LONGEST - self.pending.len()).min(piece.len()));
                self.pending.extend_from_slice(now);
                whole.push(self.take());
                piece = later;
            }
            self.pending.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                whole.push(self.take());
            }
        }
        whole
    }

    /// What is left when the stream ends without a line end.
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
    fn lines_cross_chunks() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"rea"), Vec::<String>::new());
        assert_eq!(lines.push(b"dy\nheld a\r\nx"), ["ready", "held a"]);
        assert_eq!(lines.finish().as_deref(), Some("x"));
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn endless_lines_come_in_pieces() {
        let mut lines = Lines::default();
        let pieces = lines.push(&vec![b'x'; 3 * LONGEST + 5]);
        assert_eq!(
            pieces.iter().map(String::len).collect::<Vec<_>>(),
            [LONGEST; 3]
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
