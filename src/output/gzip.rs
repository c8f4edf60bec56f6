//! gzip on several cores, as pigz does it: blocks are deflated independently, each ends at a byte boundary, and
//! one after the other they are one gzip file. gzp 2.0 was considered: it adds 12 crates, two of them in old
//! versions.

use std::io::{self, Write};
use std::thread;

use flate2::{Compress, Compression, Crc, FlushCompress};

use sdbuild_core::to_usize::to_usize;

/// Large enough that starting each block without a dictionary costs less than a hundredth.
const BLOCK_BYTES: usize = 1 << 20;
/// Magic, deflate, no flags, no time, no hint, unknown system (RFC 1952): the same bytes every time.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The deflate stream ends with a final block that is empty.
const FINAL_BLOCK: [u8; 2] = [3, 0];
/// More compressors would be faster than what feeds them.
const MAX_WORKERS: u32 = 16;

/// Compresses what is written to it.
pub(super) struct Gzip<W: Write> {
    inner: W,
    level: Compression,
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
        let batch_bytes = BLOCK_BYTES * workers.clamp(1, MAX_WORKERS) as usize;
        Self {
            inner,
            level: Compression::new(level),
            batch_bytes,
            batch: Vec::with_capacity(batch_bytes),
            crc: Crc::new(),
            header_written: false,
        }
    }

    /// Writes what is left and the trailer.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.compress_batch()?;
        self.inner.write_all(&FINAL_BLOCK)?;
        self.inner.write_all(&self.crc.sum().to_le_bytes())?;
        // The length modulo 2^32 (RFC 1952).
        self.inner.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.inner)
    }

    /// Compresses the batch, each block on a thread of its own.
    fn compress_batch(&mut self) -> io::Result<()> {
        if !self.header_written {
            self.inner.write_all(&HEADER)?;
            self.header_written = true;
        }
        let level = self.level;
        let blocks: Vec<DeflatedBlock> = thread::scope(|scope| {
            let start = |block| scope.spawn(move || deflate(block, level));
            let threads: Vec<_> = self.batch.chunks(BLOCK_BYTES).map(start).collect();
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
fn deflate(mut block: &[u8], level: Compression) -> DeflatedBlock {
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
