//! Compressed images: the format by its first bytes, and decoders with bounded memory.

use std::io::{self, BufReader, Read};

use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use sdbuild_core::compression::Compression;

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
