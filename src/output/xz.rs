//! xz on several cores. `liblzma`'s own encoder finishes its stream when it is dropped: an interrupt would wait for the
//! compression of all that it holds, and what it leaves would look complete.

use std::io::{self, Write};

use liblzma::stream::{Action, Check, Filters, LzmaOptions, MtStreamBuilder, Status, Stream};

use sdbuild_core::to_usize::to_usize;

/// The largest dictionary, which decides how much memory a worker takes: 72 MB at level 6.
const MAX_DICTIONARY_BYTES: u32 = 4 << 20;
/// The highest preset that has no larger dictionary.
const MAX_SMALL_PRESET: u32 = 4;
/// What one worker compresses at a time: a dictionary, because the memory of each worker grows with it. xz itself takes three dictionaries,
/// which makes images 0.6 % smaller.
const BLOCK_BYTES: u64 = MAX_DICTIONARY_BYTES as u64;
/// Bytes that are written at once.
const OUTPUT_BYTES: usize = 128 << 10;

/// Compresses what is written to it.
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
        builder.threads(workers).block_size(BLOCK_BYTES);
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
