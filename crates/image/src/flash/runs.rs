//! Splits a buffer into runs of data and of zeros.

use super::buffer::ALIGN;
use crate::blockmap::is_blank;
use sdbuild_core::to_usize::to_usize;

/// Bytes of the shortest run of zeros that is not written like data: a seek costs a card more.
const MIN_GAP_BYTES: usize = 64 << 10;

/// A part of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it has data; otherwise all bytes are zero.
    pub(super) is_data: bool,
}

/// The runs of data and the long runs of zeros in `bytes`, in order and without gaps.
pub(super) fn runs(bytes: &[u8]) -> Vec<Run> {
    let mut exact: Vec<Run> = Vec::new();
    let mut start = 0;
    for block in bytes.chunks(to_usize(ALIGN)) {
        let end = start + block.len();
        let is_data = !is_blank(block);
        append(
            &mut exact,
            Run {
                start,
                end,
                is_data,
            },
        );
        start = end;
    }
    let mut joined = Vec::new();
    let last = exact.len().saturating_sub(1);
    for (index, mut run) in exact.into_iter().enumerate() {
        // A run of zeros at an edge may continue in the next buffer.
        let is_inner = index > 0 && index < last;
        run.is_data |= is_inner && run.end.saturating_sub(run.start) < MIN_GAP_BYTES;
        append(&mut joined, run);
    }
    joined
}

/// Appends a run, joined with the last one of the same kind.
fn append(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.is_data == run.is_data => last.end = run.end,
        _ => runs.push(run),
    }
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn long_runs_of_zeros_are_separated_from_data() {
        const KIB: usize = 1024;
        let mut bytes = vec![0; 400 * KIB];
        for at in [8 * KIB, 68 * KIB, 200 * KIB] {
            bytes[at] = 1;
        }
        let found: Vec<_> = runs(&bytes)
            .into_iter()
            .map(|run| (run.start / KIB, run.end / KIB, run.is_data))
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
