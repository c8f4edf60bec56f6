//! Decompresses an image into a sparse file without a name, which is gone with the process however it
//! ends.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::open::{CHUNK_BYTES, FileReader, ImageFile, ImageReader, ReadProgress};
use crate::common::cancel::Cancel;
use crate::common::disk_space::free_space;
use crate::common::hash::Hasher;

/// Disk space in bytes that is left free where the image is decompressed.
const RESERVED_BYTES: u64 = 256 << 20;
/// The size of the smallest hole: a block of common file systems.
const HOLE_BYTES: usize = 4096;

/// A decompressed image.
#[derive(Debug)]
pub struct UnpackedImage {
    /// Its bytes, in a file without a name.
    pub file: File,
    /// The length of the image in bytes.
    pub size: u64,
    /// Hashes of the image file and of the image, when requested.
    pub hashes: Option<ImageHashes>,
}

/// SHA-256 hashes in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageHashes {
    /// Of the image file as it is.
    pub file: String,
    /// Of the image, decompressed.
    pub raw: String,
}

impl ImageFile {
    /// Decompresses all of the image into a file in the directory `spool`, which is created if missing;
    /// with `hash` the file and the image are hashed in the same pass. Blocks its thread.
    pub fn unpack(
        &self,
        spool: &Path,
        hash: bool,
        cancel: &Cancel,
        progress: ReadProgress<'_>,
    ) -> Result<UnpackedImage, Error> {
        let mut file_hasher = hash.then(Hasher::new);
        let mut raw_hasher = hash.then(Hasher::new);
        let mut compressed = FileReader::new(self, file_hasher.as_mut(), cancel, progress);
        let mut sparse = SparseFile::create(spool)?;
        let mut image = ImageReader::new(self.compression, &mut compressed, cancel)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = image.fill(&mut chunk)?;
            chunk.truncate(length);
            if let Some(hasher) = &mut raw_hasher {
                hasher.update(&chunk);
            }
            sparse.append(&chunk)?;
            if length < CHUNK_BYTES {
                break;
            }
        }
        drop(image);
        if hash {
            compressed.read_rest()?;
        }
        let (file, size) = sparse.finish()?;
        let text = |hasher: Hasher| hasher.finish().sha256.to_string();
        Ok(UnpackedImage {
            file,
            size,
            hashes: file_hasher.zip(raw_hasher).map(|(file, raw)| ImageHashes {
                file: text(file),
                raw: text(raw),
            }),
        })
    }
}

/// A file without a name that is written from start to end; zeros become holes.
struct SparseFile {
    file: File,
    position: u64,
    /// Bytes that may still be stored.
    space: u64,
    dir: PathBuf,
}

impl SparseFile {
    fn create(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir)?;
        Ok(Self {
            file: tempfile::tempfile_in(dir)?,
            position: 0,
            space: free_space(dir).map_or(u64::MAX, |free| free.saturating_sub(RESERVED_BYTES)),
            dir: dir.to_owned(),
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        for block in bytes.chunks(HOLE_BYTES) {
            let length = block.len() as u64;
            if block.iter().any(|byte| *byte != 0) {
                self.space = self.space.checked_sub(length).ok_or_else(|| {
                    let dir = self.dir.display();
                    Error::Space(format!(
                        "there is not enough space in {dir} to decompress it"
                    ))
                })?;
                self.file.write_all_at(block, self.position)?;
            }
            self.position = self.position.saturating_add(length);
        }
        Ok(())
    }

    /// The file and its length, which may end in a hole.
    fn finish(self) -> Result<(File, u64), Error> {
        if self.position == 0 {
            return Err(Error::refused("it decompresses to nothing"));
        }
        self.file.set_len(self.position)?;
        Ok((self.file, self.position))
    }
}
