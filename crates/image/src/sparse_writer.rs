//! Splits a stream into blocks, of which only those with data are written: in a new file the others are holes.

use std::io;

/// The block size of common file systems: a smaller run of zeros cannot become a hole.
const BLOCK_BYTES: usize = 4096;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Passes the blocks of a stream that are not all zeros to a function, with their position. Adjacent ones are passed
/// together.
#[derive(Debug)]
pub struct SparseWriter<F> {
    write_at: F,
    /// The position in the stream at which `carry` begins: a multiple of [`BLOCK_BYTES`].
    position: u64,
    /// The start of a block whose rest has not been written yet.
    carry: Vec<u8>,
}

impl<F: FnMut(&[u8], u64) -> io::Result<()>> SparseWriter<F> {
    /// A writer whose data `write_at` receives. What is written to has no data yet.
    pub fn new(write_at: F) -> Self {
        Self {
            write_at,
            position: 0,
            carry: Vec::with_capacity(BLOCK_BYTES),
        }
    }

    /// Appends the next bytes of the stream.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut bytes = bytes;
        if !self.carry.is_empty() {
            let missing = BLOCK_BYTES.saturating_sub(self.carry.len());
            let (rest, next) = bytes.split_at(missing.min(bytes.len()));
            self.carry.extend_from_slice(rest);
            bytes = next;
            if self.carry.len() == BLOCK_BYTES {
                let block = std::mem::take(&mut self.carry);
                self.write_blocks(&block)?;
            }
        }
        let (whole, rest) = bytes.split_at(bytes.len() / BLOCK_BYTES * BLOCK_BYTES);
        self.write_blocks(whole)?;
        self.carry.extend_from_slice(rest);
        Ok(())
    }

    /// Writes what is left. Returns the length of the stream, which is to be the file's: it may end in a hole.
    pub fn finish(mut self) -> io::Result<u64> {
        let rest = std::mem::take(&mut self.carry);
        if rest.iter().any(|byte| *byte != 0) {
            (self.write_at)(&rest, self.position)?;
        }
        Ok(self.position.saturating_add(rest.len() as u64))
    }

    /// Writes whole blocks; adjacent ones that are not zeros in one call.
    fn write_blocks(&mut self, bytes: &[u8]) -> io::Result<()> {
        let is_hole = |block: &[u8]| block == ZEROS;
        for run in bytes
            .as_chunks::<BLOCK_BYTES>()
            .0
            .chunk_by(|a, b| is_hole(a) == is_hole(b))
        {
            let run_bytes = run.as_flattened();
            if !run.first().is_some_and(|block| is_hole(block)) {
                (self.write_at)(run_bytes, self.position)?;
            }
            self.position = self.position.saturating_add(run_bytes.len() as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    use super::*;
    use proptest::prelude::*;

    fn write(chunks: &[&[u8]]) -> (Vec<u8>, u64) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = SparseWriter::new(|bytes, at| file.as_file().write_all_at(bytes, at));
        for chunk in chunks {
            writer.write(chunk).unwrap();
        }
        let length = writer.finish().unwrap();
        file.as_file().set_len(length).unwrap();
        let blocks = file.as_file().metadata().unwrap().blocks();
        (std::fs::read(file.path()).unwrap(), blocks * 512)
    }

    #[test]
    fn zeros_become_holes_for_any_chunk_size() {
        let mut image = vec![0; 1 << 20];
        image[5000] = 1;
        image[700_000] = 2;
        for size in [1, 7, 4096, 4097, 65_536, 1 << 20] {
            let chunks: Vec<_> = image.chunks(size.max(512)).collect();
            let (got, used) = write(&chunks);
            assert_eq!(got, image);
            assert!(used <= 64 << 10, "{used} bytes used");
        }
    }

    #[test]
    fn hole_at_the_end_counts() {
        assert_eq!(write(&[&[0; 10_000]]).0.len(), 10_000);
        assert_eq!(write(&[&[0; 8192]]).0.len(), 8192);
        assert_eq!(write(&[]).0.len(), 0);
    }

    proptest! {
        #[test]
        fn written_file_is_the_input(
            parts in proptest::collection::vec((any::<bool>(), 0usize..9000), 0..8), cut in 1usize..5000,
        ) {
            let image: Vec<u8> = parts.iter().flat_map(|(zero, n)| vec![if *zero { 0 } else { 9 }; *n]).collect();
            let chunks: Vec<_> = image.chunks(cut).collect();
            prop_assert_eq!(write(&chunks).0, image);
        }
    }
}
