//! An image as a disk that can be read at any position, with the facts about its file.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::cluster_disk::disk_in;
use super::disk::Section;
use super::disk_form::DiskForm;
use super::error::Error;
use super::open::{ImageFile, ImageKind};
use super::unpack::UnpackedImage;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::hash::Sha256Hash;

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
    /// The bytes of the disk.
    pub disk: Section,
    /// How the image holds it.
    pub form: DiskForm,
    /// Facts about its file.
    pub facts: ImageFacts,
}

/// Opens the image at `path`, a file or a disk. Blocks its thread while a file is hashed or decompressed
/// (`Phase::ReadImage`).
pub fn open(path: &Path, options: &OpenOptions, context: &Context) -> Result<OpenedImage, Error> {
    let image = ImageFile::open(path, ImageKind::FileOrDisk)?;
    let form = image.disk_form(&context.cancel)?;
    let (facts, file) = if image.compression == Compression::None {
        read_plain(image, options.hash, context)?
    } else {
        unpack(&image, options, context)?
    };
    Ok(OpenedImage {
        disk: disk(file, form, facts.raw_size, &context.cancel)?,
        form,
        facts,
    })
}

/// The disk in the `size` bytes of `file`.
fn disk(file: File, form: DiskForm, size: u64, cancel: &Cancel) -> Result<Section, Error> {
    match form {
        // The metadata of a block device do not have its size.
        DiskForm::Raw | DiskForm::Cd => Ok(Section::whole(file, size, cancel)),
        DiskForm::Qcow2 | DiskForm::Vmdk if file.metadata()?.is_file() => {
            disk_in(file, form, cancel)
        }
        // No machine starts from it.
        DiskForm::Qcow2 | DiskForm::Vmdk => Err(Error::refused(format!(
            "the disk holds a {} file itself, not its content",
            form.qemu_name()
        ))),
    }
}

/// The facts about an image that is not compressed, and its file.
fn read_plain(
    image: ImageFile,
    hash: bool,
    context: &Context,
) -> Result<(ImageFacts, File), Error> {
    let Context { cancel, events } = context;
    let progress = |done| events.bytes(Phase::ReadImage, done, Some(image.size));
    let hashed = hash
        .then(|| context.blocking_phase(Phase::ReadImage, || image.sha256(cancel, &progress)))
        .transpose()?;
    let facts = ImageFacts {
        compression: image.compression,
        size: image.size,
        sha256: hashed,
        raw_size: image.size,
        raw_sha256: hashed,
    };
    Ok((facts, image.into_file()))
}

/// The facts about an image that is compressed, and a file with what it decompresses to.
fn unpack(
    image: &ImageFile,
    options: &OpenOptions,
    context: &Context,
) -> Result<(ImageFacts, File), Error> {
    let Context { cancel, events } = context;
    let progress = |done| events.bytes(Phase::ReadImage, done, Some(image.size));
    let UnpackedImage { file, size, hashes } = context.blocking_phase(Phase::ReadImage, || {
        image.unpack(&options.spool, options.hash, cancel, &progress)
    })?;
    let (sha256, raw_sha256) = hashes.map(|hashes| (hashes.file, hashes.raw)).unzip();
    let facts = ImageFacts {
        compression: image.compression,
        size: image.size,
        sha256,
        raw_size: size,
        raw_sha256,
    };
    Ok((facts, file))
}
