//! Compressed images, made on as many cores as memory allows. What comes out depends on format and
//! level alone, never on the machine's cores.

use std::io::{self, Write};
use std::num::{NonZeroU64, NonZeroUsize};
use std::thread;

use lzma_rust2::{XzOptions, XzWriterMt};
use zstd::zstd_safe::CParameter;

use super::gzip::Gzip;
use crate::common::compression::{Compression, CompressionOptions};

/// A zstd window of 2 MiB is that of levels up to 8; stronger levels with their own ones need several
/// times the memory and save half a percent of an image.
const ZSTD_WINDOW_LOG: u32 = 21;
/// What one worker of zstd takes at a time, in bytes: the output depends on it, and so does memory.
const ZSTD_JOB: u32 = 4 << 20;
/// Peak memory measured with this window and jobs: 92 MB for four workers at level 9, and 60 MB for each
/// worker at level 19.
const ZSTD_WORKERS: u32 = 4;
const ZSTD_STRONG: u32 = 10;
/// xz's dictionary, which decides its memory: 75 MB for each worker at level 6.
const XZ_DICTIONARY: u32 = 4 << 20;
/// Three dictionaries to a block, as xz itself does.
const XZ_BLOCK: u64 = 3 * XZ_DICTIONARY as u64;
/// Workers of what takes much memory for each.
const FEW_WORKERS: u32 = 2;

impl CompressionOptions {
    /// The level that counts: what people use when they name none.
    fn level(self) -> u32 {
        let usual = if self.format == Compression::Zstd {
            3
        } else {
            6
        };
        self.level.unwrap_or(usual)
    }

    /// How many threads compress. Where each takes much memory there is one when the image is unpacked at
    /// the same time: the decoder's window may be as large as an encoder's share.
    pub(super) fn workers(self, unpacking: bool) -> u32 {
        let few = if unpacking { 1 } else { FEW_WORKERS };
        let most = match self.format {
            Compression::None => 1,
            Compression::Zstd if self.level() < ZSTD_STRONG => ZSTD_WORKERS,
            Compression::Zstd | Compression::Xz => few,
            Compression::Gzip => u32::MAX,
        };
        cores().min(most)
    }
}

/// What an image's name ends in when it is compressed by `format`.
pub(super) fn suffix(format: Compression) -> &'static str {
    match format {
        Compression::None => "",
        Compression::Zstd => ".zst",
        Compression::Xz => ".xz",
        Compression::Gzip => ".gz",
    }
}

/// Compresses what is written to it. Dropped before [`Encoder::finish`] it leaves half a file.
pub(super) enum Encoder<W: Write> {
    Zstd(zstd::Encoder<'static, W>),
    Xz(Box<XzWriterMt<W>>),
    Gzip(Gzip<W>),
    /// No compression: what goes in comes out.
    None(W),
}

impl<W: Write> Encoder<W> {
    /// `size` is the whole input's length, which zstd writes to its frame; other lengths are errors then.
    /// There is one worker at least, and their number does not change the output.
    pub(super) fn new(
        how: CompressionOptions,
        size: Option<u64>,
        workers: u32,
        to: W,
    ) -> io::Result<Self> {
        let (level, workers) = (how.level(), workers.max(1));
        Ok(match how.format {
            Compression::None => Self::None(to),
            Compression::Zstd => Self::Zstd(zstd_encoder((level, workers), size, to)?),
            Compression::Xz => Self::Xz(Box::new(XzWriterMt::new(to, xz_options(level), workers)?)),
            Compression::Gzip => Self::Gzip(Gzip::new(level, workers, to)),
        })
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::None(to) => Ok(to),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(to) => to.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Xz(encoder) => encoder.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(to) => to.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Xz(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }
}

fn zstd_encoder<W: Write>(
    (level, workers): (u32, u32),
    size: Option<u64>,
    to: W,
) -> io::Result<zstd::Encoder<'static, W>> {
    let level = i32::try_from(level).map_err(io::Error::other)?;
    let mut encoder = zstd::Encoder::new(to, level)?;
    // Never 0, which means no worker at all: its output differs from that of one or many.
    encoder.multithread(workers)?;
    encoder.window_log(ZSTD_WINDOW_LOG)?;
    encoder.set_parameter(CParameter::JobSize(ZSTD_JOB))?;
    encoder.include_checksum(true)?;
    encoder.include_contentsize(true)?;
    encoder.set_pledged_src_size(size)?;
    Ok(encoder)
}

fn xz_options(level: u32) -> XzOptions {
    let mut options = XzOptions::with_preset(level);
    let lzma = &mut options.lzma_options;
    lzma.dict_size = lzma.dict_size.min(XZ_DICTIONARY);
    options.block_size = NonZeroU64::new(XZ_BLOCK);
    options
}

fn cores() -> u32 {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::image::decoder;
    use proptest::prelude::*;

    fn packed(how: CompressionOptions, workers: u32, pieces: &[&[u8]]) -> Vec<u8> {
        let size = pieces.iter().map(|piece| piece.len() as u64).sum();
        let mut encoder = Encoder::new(how, Some(size), workers, Vec::new()).unwrap();
        for piece in pieces {
            encoder.write_all(piece).unwrap();
        }
        encoder.finish().unwrap()
    }

    fn all() -> impl Iterator<Item = CompressionOptions> {
        [
            (Compression::None, None),
            (Compression::Zstd, None),
            (Compression::Zstd, Some(12)),
            (Compression::Xz, Some(0)),
            (Compression::Gzip, None),
            (Compression::Gzip, Some(1)),
        ]
        .into_iter()
        .map(|(format, level)| CompressionOptions { format, level })
    }

    #[test]
    fn a_zstd_frame_carries_its_size_and_a_wrong_one_is_an_error() {
        let how = CompressionOptions {
            format: Compression::Zstd,
            level: None,
        };
        let frame = packed(how, 1, &[&vec![7; 100_000]]);
        let size = zstd::zstd_safe::get_frame_content_size(&frame).unwrap();
        assert_eq!(size, Some(100_000));
        let mut encoder = Encoder::new(how, Some(3), 1, Vec::new()).unwrap();
        let ended = encoder.write_all(b"four").and_then(|()| encoder.finish());
        assert!(ended.is_err());
    }

    /// Several jobs of zstd, blocks of xz and of gzip.
    #[test]
    fn the_number_of_workers_does_not_change_a_byte() {
        let byte = |at: u32| (at.wrapping_mul(at) >> 13).to_le_bytes()[0];
        let raw: Vec<u8> = (0..(XZ_DICTIONARY * 3 + (2 << 20))).map(byte).collect();
        for how in all() {
            let alone = packed(how, 1, &[&raw]);
            for workers in [0, 3] {
                let several = packed(how, workers, &[&raw]);
                assert!(alone == several, "{how:?} with {workers}");
            }
        }
    }

    #[test]
    fn where_a_worker_takes_much_memory_there_are_few_and_one_beside_a_decoder() {
        let cores = cores();
        for (format, level, most, beside) in [
            (Compression::Zstd, None, 4, 4),
            (Compression::Zstd, Some(9), 4, 4),
            (Compression::Zstd, Some(10), 2, 1),
            (Compression::Zstd, Some(19), 2, 1),
            (Compression::Xz, Some(0), 2, 1),
            (Compression::Xz, None, 2, 1),
            (Compression::Gzip, None, cores, cores),
        ] {
            let how = CompressionOptions { format, level };
            assert_eq!(how.workers(false), cores.min(most), "{how:?}");
            assert_eq!(how.workers(true), cores.min(beside), "{how:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn what_goes_in_comes_out(
            parts in proptest::collection::vec((any::<u8>(), 0usize..300_000), 0..12),
        ) {
            let pieces: Vec<Vec<u8>> = parts.iter().map(|(byte, n)| vec![*byte; *n]).collect();
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            for how in all() {
                let mut out = Vec::new();
                let packed = packed(how, 2, &pieces);
                decoder(how.format, packed.as_slice()).unwrap().read_to_end(&mut out).unwrap();
                prop_assert!(out == pieces.concat(), "{how:?}");
            }
        }
    }
}
