//! Compressors that use as many cores as memory allows. The output depends on format and level alone, never on
//! the number of cores.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::thread;

use zstd::zstd_safe::CParameter;

use super::gzip::Gzip;
use super::xz::Xz;
use sdbuild_core::compression::{Compression, CompressionOptions};

/// A zstd window of 2 MiB, as levels up to 8 have. Larger ones, as stronger levels have, need several times the
/// memory and save half a percent of an image.
const ZSTD_WINDOW_LOG: u32 = 21;
/// The bytes that one worker of zstd takes at a time: the output depends on it, and so does memory.
const ZSTD_JOB_BYTES: u32 = 4 << 20;
/// Peak memory measured with this window and these jobs: 92 MB for four workers at level 9, and 60 MB for each
/// worker at level 19.
const ZSTD_MAX_WORKERS: u32 = 4;
/// The lowest level of zstd that gets few workers.
const ZSTD_STRONG_LEVEL: u32 = 10;
/// Workers of what takes much memory for each.
const FEW_WORKERS: u32 = 2;

/// How many threads compress. Where each takes much memory there is one if the image is decompressed at the same time:
/// the decoder's window may be as large as an encoder's share.
pub(super) fn worker_count(options: CompressionOptions, decompressing: bool) -> u32 {
    let few = if decompressing { 1 } else { FEW_WORKERS };
    let max = match options.format {
        Compression::None => 1,
        Compression::Zstd if options.effective_level() < ZSTD_STRONG_LEVEL => ZSTD_MAX_WORKERS,
        Compression::Zstd | Compression::Xz => few,
        Compression::Gzip => u32::MAX,
    };
    core_count().min(max)
}

/// A compressor that is written to. One that is dropped without [`Encode::finish`] leaves an incomplete file.
pub(super) trait Encode<W>: Write {
    /// Writes what is left and returns the writer below.
    fn finish(self: Box<Self>) -> io::Result<W>;
}

impl<W: Write> Encode<W> for zstd::Encoder<'_, W> {
    fn finish(self: Box<Self>) -> io::Result<W> {
        zstd::Encoder::finish(*self)
    }
}

impl<W: Write> Encode<W> for Xz<W> {
    fn finish(self: Box<Self>) -> io::Result<W> {
        Xz::finish(*self)
    }
}

impl<W: Write> Encode<W> for Gzip<W> {
    fn finish(self: Box<Self>) -> io::Result<W> {
        Gzip::finish(*self)
    }
}

/// No compression.
struct Identity<W>(W);

impl<W: Write> Write for Identity<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Encode<W> for Identity<W> {
    fn finish(self: Box<Self>) -> io::Result<W> {
        Ok(self.0)
    }
}

/// The compressor for `options`, which writes to `inner`. `raw_size` is the length of the whole input, which zstd
/// writes into its frame; another length of the input is an error then. There is one worker at least.
pub(super) fn encoder<'a, W: Write + 'a>(
    options: CompressionOptions,
    raw_size: Option<u64>,
    workers: u32,
    inner: W,
) -> io::Result<Box<dyn Encode<W> + 'a>> {
    let (level, workers) = (options.effective_level(), workers.max(1));
    Ok(match options.format {
        Compression::None => Box::new(Identity(inner)),
        Compression::Zstd => Box::new(zstd_encoder(level, raw_size, workers, inner)?),
        Compression::Xz => Box::new(Xz::new(level, workers, inner)?),
        Compression::Gzip => Box::new(Gzip::new(level, workers, inner)),
    })
}

fn zstd_encoder<W: Write>(
    level: u32,
    raw_size: Option<u64>,
    workers: u32,
    inner: W,
) -> io::Result<zstd::Encoder<'static, W>> {
    let level = i32::try_from(level).map_err(io::Error::other)?;
    let mut encoder = zstd::Encoder::new(inner, level)?;
    // Never 0, which means no worker thread at all: the output would differ from that of one or many.
    encoder.multithread(workers)?;
    encoder.window_log(ZSTD_WINDOW_LOG)?;
    encoder.set_parameter(CParameter::JobSize(ZSTD_JOB_BYTES))?;
    encoder.include_checksum(true)?;
    encoder.include_contentsize(true)?;
    encoder.set_pledged_src_size(raw_size)?;
    Ok(encoder)
}

fn core_count() -> u32 {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use proptest::prelude::*;
    use sdbuild_image::decoder;

    fn compressed(options: CompressionOptions, workers: u32, pieces: &[&[u8]]) -> Vec<u8> {
        let size = pieces.iter().map(|piece| piece.len() as u64).sum();
        let mut encoder = encoder(options, Some(size), workers, Vec::new()).unwrap();
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
    fn zstd_frame_has_its_size_and_a_wrong_one_fails() {
        let options = CompressionOptions {
            format: Compression::Zstd,
            level: None,
        };
        let frame = compressed(options, 1, &[&vec![7; 100_000]]);
        let size = zstd::zstd_safe::get_frame_content_size(&frame).unwrap();
        assert_eq!(size, Some(100_000));
        let mut encoder = encoder(options, Some(3), 1, Vec::new()).unwrap();
        let result = encoder.write_all(b"four").and_then(|()| encoder.finish());
        assert!(result.is_err());
    }

    /// Several jobs of zstd, blocks of xz and of gzip.
    #[test]
    fn output_does_not_depend_on_the_number_of_workers() {
        let byte = |at: u32| (at.wrapping_mul(at) >> 13).to_le_bytes()[0];
        let raw: Vec<u8> = (0..14 << 20).map(byte).collect();
        for options in all() {
            let alone = compressed(options, 1, &[&raw]);
            for workers in [0, 3] {
                let several = compressed(options, workers, &[&raw]);
                assert!(alone == several, "{options:?} with {workers}");
            }
        }
    }

    #[test]
    fn dropped_compressor_leaves_an_incomplete_file() {
        let raw = vec![7; 3 << 20];
        for options in all().filter(|options| options.format != Compression::None) {
            let mut file = Vec::new();
            let mut encoder = encoder(options, Some(raw.len() as u64), 2, &mut file).unwrap();
            encoder.write_all(&raw).unwrap();
            drop(encoder);
            let mut back = Vec::new();
            let mut decoder = decoder(options.format, &file[..]).unwrap();
            let is_whole = decoder.read_to_end(&mut back).is_ok() && back == raw;
            assert!(!is_whole, "{options:?}");
        }
    }

    #[test]
    fn workers_that_need_much_memory_are_few() {
        let cores = core_count();
        for (format, level, max, beside_decoder) in [
            (Compression::Zstd, None, 4, 4),
            (Compression::Zstd, Some(9), 4, 4),
            (Compression::Zstd, Some(10), 2, 1),
            (Compression::Zstd, Some(19), 2, 1),
            (Compression::Xz, Some(0), 2, 1),
            (Compression::Xz, None, 2, 1),
            (Compression::Gzip, None, cores, cores),
        ] {
            let options = CompressionOptions { format, level };
            let counts = [false, true].map(|decompressing| worker_count(options, decompressing));
            let expected = [max, beside_decoder].map(|count| cores.min(count));
            assert_eq!(counts, expected, "{options:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn decompressed_output_is_the_input(
            parts in proptest::collection::vec((any::<u8>(), 0usize..300_000), 0..12),
        ) {
            let pieces: Vec<Vec<u8>> = parts.iter().map(|(byte, n)| vec![*byte; *n]).collect();
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            for options in all() {
                let mut out = Vec::new();
                let compressed = compressed(options, 2, &pieces);
                decoder(options.format, compressed.as_slice()).unwrap().read_to_end(&mut out).unwrap();
                prop_assert!(out == pieces.concat(), "{options:?}");
            }
        }
    }
}
