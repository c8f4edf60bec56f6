//! The start and the end of a streamed image: where partition tables are.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use super::pieces::PIECE_BYTES;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::to_usize::to_usize;
use sdbuild_image::disk::{ReadAt as Disk, Section};
use sdbuild_image::table;
use sdbuild_image::table::Table;

/// The tail is two pieces, since the last one may be short.
const TAIL_PIECES: usize = 2;

/// The first and the last bytes of an image, a megabyte of each at least, and its length.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadTail {
    len: u64,
    head: Bytes,
    /// The last pieces, each with its offset in the image.
    tail: VecDeque<(u64, Bytes)>,
}

impl HeadTail {
    /// Appends the next piece.
    pub(super) fn push(&mut self, piece: &Bytes) {
        if self.len == 0 {
            self.head = piece.slice(..piece.len().min(PIECE_BYTES));
        }
        if self.tail.len() >= TAIL_PIECES {
            self.tail.pop_front();
        }
        self.tail.push_back((self.len, piece.clone()));
        self.len = self.len.saturating_add(piece.len() as u64);
    }

    /// The length of the image in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The partition table; `None` if it cannot be read from the start and the end of the image.
    pub(super) fn table(&self, cancel: &Cancel) -> Option<Table> {
        table::read(&Section::whole(self.clone(), self.len, cancel)).ok()
    }
}

impl Disk for HeadTail {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let head = (0, self.head.clone());
        let rest = std::iter::once(&head)
            .chain(&self.tail)
            .find_map(|(start, bytes)| {
                let from = to_usize(at.checked_sub(*start)?);
                bytes.get(from..).filter(|rest| !rest.is_empty())
            });
        let mut rest = rest
            .ok_or_else(|| io::Error::other("only the start and the end of the image are kept"))?;
        io::Read::read(&mut rest, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_start_and_end_can_be_read() {
        let mut head_tail = HeadTail::default();
        for n in 0..5u8 {
            head_tail.push(&Bytes::from(vec![n; PIECE_BYTES]));
        }
        head_tail.push(&Bytes::from_static(&[9; 700]));
        let (piece, mut buffer) = (PIECE_BYTES as u64, [0; 512]);
        let mut at = |at| head_tail.read_at(&mut buffer, at).map(|n| (n, buffer[0]));
        assert_eq!(at(0).unwrap(), (512, 0));
        assert!(at(piece).is_err());
        assert_eq!(at(4 * piece + 600).unwrap(), (512, 4));
        assert_eq!(at(5 * piece + 600).unwrap(), (100, 9));
        assert_eq!(head_tail.len(), 5 * piece + 700);
    }

    #[test]
    fn partition_table_is_found() {
        let mut sector = vec![0u8; PIECE_BYTES];
        sector[510..512].copy_from_slice(&[0x55, 0xaa]);
        sector[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0, 0]);
        let mut head_tail = HeadTail::default();
        head_tail.push(&Bytes::from(sector));
        let table = head_tail.table(&Cancel::new()).unwrap();
        assert_eq!(table.partitions[0].start, 8 * 512);
    }
}
