//! Compressors that use as many cores as memory allows. The output depends on format and level alone, never on
//! the number of cores.

use std::io::Write;
use std::num::NonZeroUsize;
use std::{io, thread};

use flate2::{Compress, Crc, FlushCompress};
use liblzma::stream::{Action, Check, Filters, LzmaOptions, MtStreamBuilder, Status, Stream};
use zstd::zstd_safe::CParameter;

use sdbuild_core::compression::{Compression, CompressionOptions};
use sdbuild_core::to_usize::to_usize;

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

/// Large enough that starting each block without a dictionary costs less than a hundredth.
const GZIP_BLOCK_BYTES: usize = 1 << 20;
/// Magic, deflate, no flags, no time, no hint, unknown system (RFC 1952): the same bytes every time.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The deflate stream ends with a final block that is empty.
const GZIP_FINAL_BLOCK: [u8; 2] = [3, 0];
/// More compressors would be faster than what feeds them.
const GZIP_MAX_WORKERS: u32 = 16;

/// gzip on several cores, as pigz does it: blocks are deflated independently, each ends at a byte boundary, and one after the other
/// they are one gzip file. gzp 2.0 would add 12 crates, two of them in old versions.
pub(super) struct Gzip<W: Write> {
    inner: W,
    level: flate2::Compression,
    /// How many bytes are compressed at the same time: a block for each worker.
    batch_bytes: usize,
    batch: Vec<u8>,
    crc: Crc,
    header_written: bool,
}

/// A compressed block and the checksum of its content.
type DeflatedBlock = io::Result<(Vec<u8>, Crc)>;

impl<W: Write> Gzip<W> {
    pub(super) fn new(level: u32, workers: u32, inner: W) -> Self {
        let batch_bytes = GZIP_BLOCK_BYTES * workers.clamp(1, GZIP_MAX_WORKERS) as usize;
        Self {
            inner,
            level: flate2::Compression::new(level),
            batch_bytes,
            batch: Vec::with_capacity(batch_bytes),
            crc: Crc::new(),
            header_written: false,
        }
    }

    /// Writes what is left and the trailer.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.compress_batch()?;
        self.inner.write_all(&GZIP_FINAL_BLOCK)?;
        self.inner.write_all(&self.crc.sum().to_le_bytes())?;
        // The length modulo 2^32 (RFC 1952).
        self.inner.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.inner)
    }

    /// Compresses the batch, each block on a thread of its own.
    fn compress_batch(&mut self) -> io::Result<()> {
        if !self.header_written {
            self.inner.write_all(&GZIP_HEADER)?;
            self.header_written = true;
        }
        let level = self.level;
        let blocks: Vec<DeflatedBlock> = thread::scope(|scope| {
            let start = |block| scope.spawn(move || deflate(block, level));
            let threads: Vec<_> = self.batch.chunks(GZIP_BLOCK_BYTES).map(start).collect();
            let panicked = |_| Err(io::Error::other("a compressor panicked"));
            let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
            joined.map(|block| block.unwrap_or_else(panicked)).collect()
        });
        for block in blocks {
            let (bytes, crc) = block?;
            self.inner.write_all(&bytes)?;
            self.crc.combine(&crc);
        }
        self.batch.clear();
        Ok(())
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.batch_bytes - self.batch.len());
        self.batch
            .extend_from_slice(bytes.get(..n).unwrap_or(bytes));
        if self.batch.len() >= self.batch_bytes {
            self.compress_batch()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Compresses one block, which is not the final one, up to a byte boundary.
fn deflate(mut block: &[u8], level: flate2::Compression) -> DeflatedBlock {
    let room = block.len() / 4 + 1024;
    let mut crc = Crc::new();
    crc.update(block);
    let mut compress = Compress::new(level, false);
    let mut out = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let before = compress.total_in();
        compress.compress_vec(block, &mut out, FlushCompress::Sync)?;
        let read = to_usize(compress.total_in() - before);
        block = block.get(read..).unwrap_or(&[]);
        // Capacity that is left over shows that the compressor holds nothing back.
        if block.is_empty() && out.len() < out.capacity() {
            return Ok((out, crc));
        }
        out.reserve(room);
    }
}

/// The largest dictionary, which decides how much memory a worker takes: 72 MB at level 6.
const MAX_DICTIONARY_BYTES: u32 = 4 << 20;
/// The highest preset that has no larger dictionary.
const MAX_SMALL_PRESET: u32 = 4;
/// What one worker compresses at a time: a dictionary, because the memory of each worker grows with it. xz itself takes three dictionaries,
/// which makes images 0.6 % smaller.
const XZ_BLOCK_BYTES: u64 = MAX_DICTIONARY_BYTES as u64;
/// Bytes that are written at once.
const OUTPUT_BYTES: usize = 128 << 10;

/// xz on several cores. `liblzma`'s own encoder finishes its stream when it is dropped: an interrupt would wait for the compression of
/// all that it holds, and what it leaves would look complete.
pub(super) struct Xz<W> {
    stream: Stream,
    output: Vec<u8>,
    inner: W,
}

impl<W: Write> Xz<W> {
    pub(super) fn new(level: u32, workers: u32, inner: W) -> io::Result<Self> {
        let mut options = LzmaOptions::new_preset(level)?;
        if level > MAX_SMALL_PRESET {
            options.dict_size(MAX_DICTIONARY_BYTES);
        }
        let mut filters = Filters::new();
        filters.lzma2(&options);
        let mut builder = MtStreamBuilder::new();
        builder.threads(workers).block_size(XZ_BLOCK_BYTES);
        let stream = builder.filters(filters).check(Check::Crc64).encoder()?;
        Ok(Self {
            stream,
            output: Vec::with_capacity(OUTPUT_BYTES),
            inner,
        })
    }

    /// Writes what is left and the index.
    pub(super) fn finish(mut self) -> io::Result<W> {
        while self.process(&[], Action::Finish)?.1 != Status::StreamEnd {}
        Ok(self.inner)
    }

    /// Compresses a part of `bytes` and writes what is ready; returns how many bytes that part has.
    fn process(&mut self, bytes: &[u8], action: Action) -> io::Result<(usize, Status)> {
        let before = self.stream.total_in();
        self.output.clear();
        let status = self.stream.process_vec(bytes, &mut self.output, action)?;
        self.inner.write_all(&self.output)?;
        let taken = to_usize(self.stream.total_in() - before);
        Ok((taken, status))
    }
}

impl<W: Write> Write for Xz<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let (taken, _) = self.process(bytes, Action::Run)?;
            // It may have to write before it takes more.
            if taken > 0 || bytes.is_empty() {
                return Ok(taken);
            }
        }
    }

    /// What is not a whole block stays: how often this is called must not change the output.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
