//! An image file as the blocks of a snapshot. Blocks of zeros are left out: a snapshot reads as zeros where nothing was written.

use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc::Sender;

use crate::aws::BLOCK_BYTES;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_image::{Error, ImageFile, ImageKind};

/// A block that is not all zeros.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Its place in the disk, in blocks.
    pub(super) index: u64,
    /// Its bytes; the last one of an image is filled up with zeros.
    pub(super) data: Bytes,
    /// The hash of `data`.
    pub(super) hash: Sha256Hash,
}

/// What a whole image comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFacts {
    /// The SHA-256 of the disk.
    pub sha256: Sha256Hash,
    /// Its length in bytes.
    pub size: u64,
    /// Blocks that are not all zeros.
    pub blocks: u64,
}

/// Reads the image at `path` once (`Phase::ReadImage`). Blocks its thread.
pub(super) fn facts(path: &Path, context: &Context) -> Result<DiskFacts, Error> {
    let image = ImageFile::open(path, ImageKind::File)?;
    let progress = |done| {
        context
            .events
            .bytes(Phase::ReadImage, done, Some(image.size));
    };
    let mut reader = image.reader(&context.cancel, &progress)?;
    let (mut hasher, mut size, mut blocks) = (Hasher::new(), 0_u64, 0);
    let mut buffer = vec![0; BLOCK_BYTES];
    loop {
        let length = reader.fill(&mut buffer)?;
        let filled = buffer.get(..length).unwrap_or_default();
        hasher.update(filled);
        size = size.saturating_add(length as u64);
        blocks += u64::from(!is_zero(filled));
        if length < BLOCK_BYTES {
            break;
        }
    }
    let sha256 = hasher.finish().sha256;
    Ok(DiskFacts {
        sha256,
        size,
        blocks,
    })
}

/// Sends the blocks of the image at `path` that are not all zeros, in order, until the receiver is closed, and returns the hash of what
/// was read. Blocks its thread.
pub(super) fn send(
    path: &Path,
    to: &Sender<Block>,
    context: &Context,
) -> Result<Sha256Hash, Error> {
    let image = ImageFile::open(path, ImageKind::File)?;
    let mut reader = image.reader(&context.cancel, &|_| ())?;
    let mut hasher = Hasher::new();
    for index in 0.. {
        let mut buffer = vec![0; BLOCK_BYTES];
        let length = reader.fill(&mut buffer)?;
        hasher.update(buffer.get(..length).unwrap_or_default());
        if !is_zero(&buffer) {
            let block = Block {
                index,
                hash: Sha256Hash::of(&buffer),
                data: Bytes::from(buffer),
            };
            if to.blocking_send(block).is_err() {
                break;
            }
        }
        if length < BLOCK_BYTES {
            break;
        }
    }
    Ok(hasher.finish().sha256)
}

/// Whether a block, or a shorter rest, has nothing but zeros. Comparing is many times as fast as looking at each byte, and as many
/// zeros as a block has would be half a megabyte of the program.
fn is_zero(block: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    block
        .chunks(ZEROS.len())
        .all(|chunk| ZEROS.starts_with(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_zero_to_its_last_byte() {
        let mut block = vec![0; BLOCK_BYTES];
        for length in [0, 100, 4096, 5000, BLOCK_BYTES] {
            assert!(is_zero(&block[..length]));
        }
        block[BLOCK_BYTES - 1] = 1;
        assert!(!is_zero(&block) && is_zero(&block[..BLOCK_BYTES - 1]));
    }
}
