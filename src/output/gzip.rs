//! gzip on several cores, as pigz does it: blocks are deflated apart, each ends on a whole byte, and
//! one after the other they are one gzip file. (gzp, the crate for it, drags in 12 others and old
//! versions of two.)

use std::io::{self, Write};
use std::thread;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Large enough that what a new block forgets costs less than a hundredth.
const BLOCK: usize = 1 << 20;
/// Magic, deflate, no flags, no time, no hint, unknown system (RFC 1952): the same bytes every time.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last block without anything in it.
const LAST: [u8; 2] = [3, 0];
/// Compressors beyond these would be faster than what feeds them.
const MOST_WORKERS: u32 = 16;

/// Compresses what is written to it.
pub(super) struct Gzip<W: Write> {
    to: W,
    level: Compression,
    /// Blocks that are compressed at the same time.
    room: usize,
    waiting: Vec<u8>,
    crc: Crc,
    begun: bool,
}

/// A compressed block and the checksum of what is in it.
type Done = io::Result<(Vec<u8>, Crc)>;

impl<W: Write> Gzip<W> {
    pub(super) fn new(level: u32, workers: u32, to: W) -> Self {
        let room = BLOCK * workers.clamp(1, MOST_WORKERS) as usize;
        Self {
            to,
            level: Compression::new(level),
            room,
            waiting: Vec::with_capacity(room),
            crc: Crc::new(),
            begun: false,
        }
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.compress()?;
        self.to.write_all(&LAST)?;
        self.to.write_all(&self.crc.sum().to_le_bytes())?;
        // RFC 1952: the length modulo 2^32
        self.to.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.to)
    }

    /// Compresses all that waits, each block on a thread of its own.
    fn compress(&mut self) -> io::Result<()> {
        if !self.begun {
            self.to.write_all(&HEADER)?;
            self.begun = true;
        }
        let level = self.level;
        let blocks: Vec<Done> = thread::scope(|scope| {
            let start = |block| scope.spawn(move || deflate(block, level));
            let running: Vec<_> = self.waiting.chunks(BLOCK).map(start).collect();
            let lost = |_| Err(io::Error::other("a compressor failed"));
            let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
            ended.map(|one| one.unwrap_or_else(lost)).collect()
        });
        for block in blocks {
            let (bytes, crc) = block?;
            self.to.write_all(&bytes)?;
            self.crc.combine(&crc);
        }
        self.waiting.clear();
        Ok(())
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.room - self.waiting.len());
        self.waiting
            .extend_from_slice(bytes.get(..n).unwrap_or_default());
        if self.waiting.len() >= self.room {
            self.compress()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// One block that is not the last, up to a whole byte.
fn deflate(block: &[u8], level: Compression) -> Done {
    let mut compress = Compress::new(level, false);
    let mut out = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let read = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let rest = block.get(read..).unwrap_or_default();
        compress.compress_vec(rest, &mut out, FlushCompress::Sync)?;
        let all = compress.total_in() == block.len() as u64;
        // room that is left over tells that nothing is held back
        if all && out.len() < out.capacity() {
            break;
        }
        out.reserve(block.len() / 4 + 1024);
    }
    let mut crc = Crc::new();
    crc.update(block);
    Ok((out, crc))
}
