//! Compressed images: which kind by their first bytes, and a reader with bounded memory.

use std::io::{self, BufReader, Read};

use crate::common::compression::Compression;

/// Files are read in pieces of this size.
pub(super) const CHUNK: usize = 256 * 1024;
/// The largest window of a zstd frame: 64 MiB, as xz's strongest level needs too.
const ZSTD_WINDOW_LOG: u32 = 26;
const XZ_MEMORY_KIB: u32 = 80 * 1024;

/// What the first bytes say.
pub(crate) fn compression(start: &[u8]) -> Compression {
    match start {
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        [0x1f, 0x8b, 8, ..] => Compression::Gzip,
        _ => Compression::None,
    }
}

/// Whether a decoder gave up for the memory that the data ask for. Neither library has a kind for it.
pub(crate) fn wants_memory(error: &io::Error) -> bool {
    let text = error.to_string();
    error.kind() == io::ErrorKind::OutOfMemory
        || ["too much memory", "needed memory too big"]
            .iter()
            .any(|words| text.contains(words))
}

/// What `from` is when it is decompressed.
pub(crate) fn decoder<'a>(
    compression: Compression,
    from: impl Read + 'a,
) -> io::Result<Box<dyn Read + 'a>> {
    let from = BufReader::with_capacity(CHUNK, from);
    Ok(match compression {
        Compression::None => Box::new(from),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
            from,
            true,
            XZ_MEMORY_KIB,
        )),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(from)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}
