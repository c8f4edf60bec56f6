//! Compressed images: the format by its first bytes, decoders with bounded memory, and the length that a file states without decompressing it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;

use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use sdbuild_core::compression::Compression;
use sdbuild_core::to_usize::to_usize;

/// Bytes that a decoder reads from the file at once.
const DECODER_BUFFER_BYTES: usize = 256 * 1024;
/// The largest window of a zstd frame, as a power of two: 64 MiB, which is what xz's strongest preset needs too.
const ZSTD_MAX_WINDOW_LOG: u32 = 26;
/// The memory limit of the xz decoder: its 64 MiB dictionary and its buffers.
const XZ_MEMORY_LIMIT_BYTES: u64 = 80 << 20;

/// The format of a file that begins with `first_bytes`, of which six are enough.
pub(super) fn detect(first_bytes: &[u8]) -> Compression {
    match first_bytes {
        // A zstd frame, or a skippable one before it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        [0x1f, 0x8b, 8, ..] => Compression::Gzip,
        _ => Compression::None,
    }
}

/// The decompressed length that the header of a zstd frame states, if it does. A file of several frames is longer.
pub fn zstd_content_size(header: &[u8]) -> Option<u64> {
    let size = zstd::zstd_safe::get_frame_content_size(header);
    size.ok().flatten()
}

/// Whether a decoder failed because the data need more memory than the limit. zstd has no error kind for that, so its
/// message is compared.
pub(super) fn exceeds_memory_limit(error: &io::Error) -> bool {
    let of_xz = error.get_ref().and_then(|inner| inner.downcast_ref());
    error.kind() == io::ErrorKind::OutOfMemory
        || of_xz == Some(&liblzma::stream::Error::MemLimit)
        || error.to_string().contains("too much memory")
}

/// A reader of the decompressed bytes of `compressed`. It takes at most 80 MiB of memory; data that need more
/// are an error.
pub fn decoder<'a>(
    compression: Compression,
    compressed: impl Read + 'a,
) -> io::Result<Box<dyn Read + 'a>> {
    let compressed = BufReader::with_capacity(DECODER_BUFFER_BYTES, compressed);
    Ok(match compression {
        Compression::None => Box::new(compressed),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(compressed)),
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY_LIMIT_BYTES, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(compressed, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(compressed)?;
            decoder.window_log_max(ZSTD_MAX_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

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
