//! Where a buffer holds data and where zeros. Pure.

use super::buffer::ALIGN;
use crate::blockmap::is_blank;

/// Fewer zeros than this are written like data: a seek costs a card more.
const SHORTEST_GAP: usize = 64 << 10;

/// Stretches of data and long stretches of zeros: from, to, whether it is data.
pub(super) fn runs(bytes: &[u8]) -> Vec<(usize, usize, bool)> {
    let align = usize::try_from(ALIGN).unwrap_or(1);
    let mut runs: Vec<(usize, usize, bool)> = Vec::new();
    let mut at = 0;
    for block in bytes.chunks(align) {
        let end = at + block.len();
        let is_data = !is_blank(block);
        match runs.last_mut() {
            Some((_, to, kind)) if *kind == is_data => *to = end,
            _ => runs.push((at, end, is_data)),
        }
        at = end;
    }
    let mut joined: Vec<(usize, usize, bool)> = Vec::new();
    let last = runs.len().saturating_sub(1);
    for (n, (from, to, is_data)) in runs.into_iter().enumerate() {
        // Zeros at an edge may go on in the next buffer.
        let inner = n > 0 && n < last;
        let is_data = is_data || (inner && to.saturating_sub(from) < SHORTEST_GAP);
        match joined.last_mut() {
            Some((_, end, kind)) if *kind == is_data => *end = to,
            _ => joined.push((from, to, is_data)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn long_runs_of_zeros_are_parted_from_data() {
        const KIB: usize = 1024;
        let mut bytes = vec![0; 400 * KIB];
        for at in [8 * KIB, 68 * KIB, 200 * KIB] {
            bytes[at] = 1;
        }
        let found: Vec<_> = runs(&bytes)
            .into_iter()
            .map(|(a, b, d)| (a / KIB, b / KIB, d))
            .collect();
        let expected = [
            (0, 8, false),
            (8, 72, true),
            (72, 200, false),
            (200, 204, true),
            (204, 400, false),
        ];
        assert_eq!(found, expected);
        assert!(runs(&[]).is_empty());
    }
}
