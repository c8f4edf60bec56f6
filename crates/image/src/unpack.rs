//! Decompresses an image into a sparse file without a name, which is gone with the process however it
//! ends.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::error::Error;
use super::open::{CHUNK_BYTES, FileReader, ImageFile, ImageReader, ReadProgress};
use crate::sparse_writer::SparseWriter;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::disk_space::free_space;
use sdbuild_core::hash::{Hasher, Sha256Hash};

/// Disk space in bytes that is left free where the image is decompressed.
const RESERVED_BYTES: u64 = 256 << 20;

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

/// SHA-256 hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHashes {
    /// Hash of the image file as stored.
    pub file: Sha256Hash,
    /// Hash of the decompressed image.
    pub raw: Sha256Hash,
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
        fs::create_dir_all(spool)?;
        let file = tempfile::tempfile_in(spool)?;
        let space = free_space(spool).map_or(u64::MAX, |free| free.saturating_sub(RESERVED_BYTES));
        let mut sparse = SparseWriter::new(limited(&file, space));
        let mut image = ImageReader::new(self.compression, &mut compressed, cancel)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = image.fill(&mut chunk)?;
            chunk.truncate(length);
            if let Some(hasher) = &mut raw_hasher {
                hasher.update(&chunk);
            }
            sparse
                .write(&chunk)
                .map_err(|error| write_error(error, spool))?;
            if length < CHUNK_BYTES {
                break;
            }
        }
        drop(image);
        if hash {
            compressed.read_rest()?;
        }
        let size = sparse.finish().map_err(|error| write_error(error, spool))?;
        if size == 0 {
            return Err(Error::refused("it decompresses to nothing"));
        }
        file.set_len(size)?;
        Ok(UnpackedImage {
            file,
            size,
            hashes: file_hasher.zip(raw_hasher).map(|(file, raw)| ImageHashes {
                file: file.finish().sha256,
                raw: raw.finish().sha256,
            }),
        })
    }
}

/// Writes to `file`, of which at most `space` bytes may be stored.
fn limited(file: &File, mut space: u64) -> impl FnMut(&[u8], u64) -> io::Result<()> {
    move |bytes, at| {
        let rest = space.checked_sub(bytes.len() as u64);
        space = rest.ok_or(io::ErrorKind::StorageFull)?;
        file.write_all_at(bytes, at)
    }
}

fn write_error(error: io::Error, dir: &Path) -> Error {
    if error.kind() == io::ErrorKind::StorageFull {
        let dir = dir.display();
        Error::Space(format!(
            "there is not enough space in {dir} to decompress it"
        ))
    } else {
        Error::Io(error)
    }
}
