//! Writes a new file so that blocks of zeros become holes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::writeback::Writeback;

/// The block size of common file systems: a smaller run of zeros cannot become a hole.
const BLOCK_BYTES: usize = 4096;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Writes an empty file from start to end.
#[derive(Debug)]
pub(super) struct SparseWriter<'a> {
    file: &'a File,
    /// The offset in the file at which `carry` begins: a multiple of [`BLOCK_BYTES`].
    position: u64,
    /// The start of a block whose rest has not been written yet.
    carry: Vec<u8>,
    writeback: Writeback<'a>,
}

impl<'a> SparseWriter<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self {
            file,
            position: 0,
            carry: Vec::with_capacity(BLOCK_BYTES),
            writeback: Writeback::new(file),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut bytes = bytes;
        if !self.carry.is_empty() {
            let (rest, next) = bytes.split_at((BLOCK_BYTES - self.carry.len()).min(bytes.len()));
            self.carry.extend_from_slice(rest);
            bytes = next;
            if self.carry.len() == BLOCK_BYTES {
                let block = std::mem::take(&mut self.carry);
                self.write_blocks(&block)?;
            }
        }
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOCK_BYTES);
        self.write_blocks(whole)?;
        self.carry.extend_from_slice(rest);
        self.writeback.start_up_to(self.position);
        Ok(())
    }

    /// Writes what is left and sets the length of the file, which may end in a hole.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.carry);
        self.file.write_all_at(&rest, self.position)?;
        self.file.set_len(self.position + rest.len() as u64)
    }

    /// Writes whole blocks; adjacent ones that are not zeros are written in one call.
    fn write_blocks(&mut self, bytes: &[u8]) -> io::Result<()> {
        let is_hole = |block: &[u8]| block == ZEROS;
        for run in bytes
            .as_chunks::<BLOCK_BYTES>()
            .0
            .chunk_by(|a, b| is_hole(a) == is_hole(b))
        {
            if !run.first().is_some_and(|block| is_hole(block)) {
                self.file.write_all_at(run.as_flattened(), self.position)?;
            }
            self.position += run.as_flattened().len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use proptest::prelude::*;

    fn write(chunks: &[&[u8]]) -> (Vec<u8>, u64) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = SparseWriter::new(file.as_file());
        for chunk in chunks {
            writer.write(chunk).unwrap();
        }
        writer.finish().unwrap();
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
