//! The decompressed length that a compressed file states, without decompressing it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;

use super::decoder::zstd_content_size;
use sdbuild_core::compression::Compression;
use sdbuild_core::to_usize::to_usize;

/// Bytes of an xz file that are read to find its length: the index of the largest image, in the smallest blocks that xz
/// makes by itself, has a tenth.
const MAX_INDEX_BYTES: u64 = 4 << 20;

/// The least decompressed length of the image in `file`, which has `size` bytes and begins with `header`: the exact one
/// unless it is compressed; 0 when the compressed data do not state one. Data that are damaged may state any.
pub(super) fn stated_size(file: &File, size: u64, compression: Compression, header: &[u8]) -> u64 {
    match compression {
        Compression::None => size,
        Compression::Zstd => zstd_content_size(header).unwrap_or(0),
        Compression::Xz => xz_size(file, size).unwrap_or(0),
        // What gzip states is less sure.
        Compression::Gzip => 0,
    }
}

/// The length in the index of the last stream of xz; there are few files of several.
fn xz_size(file: &File, size: u64) -> io::Result<u64> {
    // It is read byte by byte.
    liblzma::uncompressed_size(BufReader::new(IndexReader {
        file,
        size,
        position: 0,
        remaining: MAX_INDEX_BYTES,
    }))
}

/// The length of the last member modulo 4 GiB, which gzip's trailer has: never more than the whole length. The end of a
/// file that is incomplete states any.
pub(super) fn gzip_size(file: &File, size: u64) -> io::Result<u64> {
    let mut trailer = [0; 4];
    file.read_exact_at(&mut trailer, size.saturating_sub(4))?;
    Ok(u32::from_le_bytes(trailer).into())
}

/// Reads a limited number of bytes at any positions; the file's cursor is not moved.
struct IndexReader<'a> {
    file: &'a File,
    size: u64,
    position: u64,
    remaining: u64,
}

impl Read for IndexReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = to_usize(self.remaining);
        let length = buffer.len().min(limit);
        let space = buffer.get_mut(..length).unwrap_or_default();
        let count = self.file.read_at(space, self.position)?;
        self.position = self.position.saturating_add(count as u64);
        self.remaining = self.remaining.saturating_sub(count as u64);
        Ok(count)
    }
}

impl Seek for IndexReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
