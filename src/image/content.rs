//! An image as a disk that can be read at any position, with the facts about its file.

use std::path::{Path, PathBuf};

use super::disk::Section;
use super::error::Error;
use super::open::{ImageFile, ImageKind};
use super::unpack::UnpackedImage;
use crate::common::compression::Compression;
use crate::common::context::Context;
use crate::common::event::Phase;
use crate::common::hash::Sha256Hash;

/// Options for opening an image.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The directory for a decompressed image, which is a file without a name.
    pub spool: PathBuf,
    /// Whether the file and the image are hashed.
    pub hash: bool,
}

/// Facts about an image file.
#[derive(Clone, Debug)]
pub struct ImageFacts {
    /// Compression of the file.
    pub compression: Compression,
    /// The length of the file in bytes.
    pub size: u64,
    /// SHA-256 of the file, when requested.
    pub sha256: Option<Sha256Hash>,
    /// The length of the image in bytes.
    pub raw_size: u64,
    /// SHA-256 of the image, when requested.
    pub raw_sha256: Option<Sha256Hash>,
}

/// An image that can be read.
#[derive(Debug)]
pub struct OpenedImage {
    /// The bytes of the image.
    pub disk: Section,
    /// Facts about its file.
    pub facts: ImageFacts,
}

/// Opens the image at `path`, a file or a disk. Blocks its thread while a file is hashed or decompressed
/// (`Phase::ReadImage`).
pub fn open(path: &Path, options: &OpenOptions, context: &Context) -> Result<OpenedImage, Error> {
    let image = ImageFile::open(path, ImageKind::FileOrDisk)?;
    if image.compression == Compression::None {
        open_plain(image, options.hash, context)
    } else {
        open_compressed(&image, options, context)
    }
}

fn open_plain(image: ImageFile, hash: bool, context: &Context) -> Result<OpenedImage, Error> {
    let Context { cancel, events } = context;
    let progress = |done| events.bytes(Phase::ReadImage, done, Some(image.size));
    let hashed = hash
        .then(|| events.blocking_phase(Phase::ReadImage, || image.sha256(cancel, &progress)))
        .transpose()?;
    let facts = ImageFacts {
        compression: image.compression,
        size: image.size,
        sha256: hashed,
        raw_size: image.size,
        raw_sha256: hashed,
    };
    Ok(OpenedImage {
        disk: Section::whole(image.into_file(), facts.size, cancel),
        facts,
    })
}

fn open_compressed(
    image: &ImageFile,
    options: &OpenOptions,
    context: &Context,
) -> Result<OpenedImage, Error> {
    let Context { cancel, events } = context;
    let progress = |done| events.bytes(Phase::ReadImage, done, Some(image.size));
    let UnpackedImage { file, size, hashes } = events.blocking_phase(Phase::ReadImage, || {
        image.unpack(&options.spool, options.hash, cancel, &progress)
    })?;
    let (sha256, raw_sha256) = hashes.map(|hashes| (hashes.file, hashes.raw)).unzip();
    Ok(OpenedImage {
        facts: ImageFacts {
            compression: image.compression,
            size: image.size,
            sha256,
            raw_size: size,
            raw_sha256,
        },
        disk: Section::whole(file, size, cancel),
    })
}
