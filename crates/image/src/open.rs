//! Opens an image file: one way for `inspect`, `boot` and `flash`, with the same limits and messages.
//!
//! The file is opened first and examined through its descriptor, so that a pipe or another file that replaces it in between changes nothing. All
//! reads are positional: the file has no cursor to share. A compressed image becomes a sparse file without a name, which is gone with the process
//! however it ends.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::cluster_disk::{DiskForm, disk_in};
use super::decoder::{decoder, detect, exceeds_memory_limit, gzip_size, stated_size};
use super::disk::Section;
use super::error::Error;
use crate::sparse_writer::SparseWriter;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::disk_space::free_space;
use sdbuild_core::event::Phase;
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_core::plain_file;

/// The largest image in bytes after decompression. The largest SD cards hold a little more; no system
/// that is flashed to one does.
pub const MAX_IMAGE_BYTES: u64 = 256 << 30;
/// Bytes per read of an image file.
const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes that are examined to detect the format. A zstd frame header, which is the longest, has 18 at most.
const HEADER_BYTES: usize = 64;

/// Bytes at the start of an image that show its kind: a partition table, or the magic number of any file system.
const START_BYTES: usize = 128 * 1024;

/// What may be opened as an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// A plain file.
    File,
    /// A plain file or a block device.
    FileOrDisk,
}

/// Receives the number of bytes of the image file that were read so far.
pub type ReadProgress<'a> = &'a dyn Fn(u64);

/// An open image file that is not empty, with what its first bytes show.
#[derive(Debug)]
pub struct ImageFile {
    file: File,
    /// The length of the file in bytes.
    pub size: u64,
    /// Compression of the file.
    pub compression: Compression,
    /// The least length of the image in bytes: exact unless the file is compressed, 0 when the compressed
    /// data do not state one.
    pub min_raw_size: u64,
}

impl ImageFile {
    /// Opens the image at `path` without ever waiting for a pipe's writer.
    pub fn open(path: &Path, kind: ImageKind) -> Result<Self, Error> {
        let opened = match kind {
            ImageKind::File => plain_file::open(path),
            ImageKind::FileOrDisk => plain_file::open_or_disk(path),
        };
        let mut file = opened.map_err(|error| open_error(path, error))?;
        // The metadata of a block device do not have its size.
        let size = file.seek(SeekFrom::End(0))?;
        if size == 0 {
            return Err(Error::refused("the file is empty"));
        }
        let mut header = vec![0; HEADER_BYTES];
        let length = file.read_at(&mut header, 0)?;
        header.truncate(length);
        let compression = detect(&header);
        Ok(Self {
            min_raw_size: stated_size(&file, size, compression, &header),
            file,
            size,
            compression,
        })
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The open file.
    pub fn into_file(self) -> File {
        self.file
    }

    /// The least length of the image by the end of a gzip file; any number if the file is incomplete.
    pub fn trailer_size(&self) -> Option<u64> {
        let is_gzip = self.compression == Compression::Gzip;
        is_gzip.then(|| gzip_size(&self.file, self.size).ok())?
    }

    /// The SHA-256 of the file.
    pub fn sha256(&self, cancel: &Cancel, progress: ReadProgress<'_>) -> Result<Sha256Hash, Error> {
        let mut hasher = Hasher::new();
        FileReader::new(self, Some(&mut hasher), cancel, progress).read_rest()?;
        Ok(hasher.finish().sha256)
    }

    /// A reader of the image's bytes, decompressed where the file is compressed.
    pub fn reader<'a>(
        &'a self,
        cancel: &'a Cancel,
        progress: ReadProgress<'a>,
    ) -> Result<ImageReader<'a>, Error> {
        let file = FileReader::new(self, None, cancel, progress);
        ImageReader::new(self.compression, file, cancel)
    }

    /// The first 128 KiB of the image, which are decompressed for it.
    pub(super) fn start(&self, cancel: &Cancel) -> Result<Vec<u8>, Error> {
        let mut start = vec![0; START_BYTES];
        let length = self.reader(cancel, &|_| ())?.fill(&mut start)?;
        start.truncate(length);
        Ok(start)
    }

    /// The start; empty if it is damaged.
    pub(super) fn start_unless_damaged(&self, cancel: &Cancel) -> Result<Vec<u8>, Error> {
        match self.start(cancel) {
            Err(error) if !error.is_fatal() => Ok(Vec::new()),
            start => start,
        }
    }
}

fn open_error(path: &Path, error: io::Error) -> Error {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound, PermissionDenied};
    let kind = error.kind();
    if kind == NotFound {
        Error::refused("there is no such file")
    } else if path.is_dir() {
        Error::refused("it is a directory")
    } else if [PermissionDenied, NotADirectory, InvalidFilename].contains(&kind)
        || plain_file::is_wrong_kind(&error)
    {
        Error::refused(error.to_string())
    } else {
        Error::Io(error)
    }
}

/// Reads an image file from its start, with a position of its own; stops when `cancel` is set.
struct FileReader<'a> {
    file: &'a File,
    position: u64,
    hasher: Option<&'a mut Hasher>,
    cancel: &'a Cancel,
    progress: ReadProgress<'a>,
}

impl<'a> FileReader<'a> {
    pub(super) fn new(
        image: &'a ImageFile,
        hasher: Option<&'a mut Hasher>,
        cancel: &'a Cancel,
        progress: ReadProgress<'a>,
    ) -> Self {
        Self {
            file: &image.file,
            position: 0,
            hasher,
            cancel,
            progress,
        }
    }

    /// Reads the rest of the file. A decoder that found the end of its data leaves the file's last bytes,
    /// which belong to the file's hash.
    fn read_rest(&mut self) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(_) if self.cancel.is_cancelled() => return Err(Error::Interrupted),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            // Not `ErrorKind::Interrupted`, after which callers retry.
            return Err(io::Error::other("interrupted"));
        }
        let length = self.file.read_at(buffer, self.position)?;
        if let (Some(hasher), Some(bytes)) = (&mut self.hasher, buffer.get(..length)) {
            hasher.update(bytes);
        }
        self.position = self.position.saturating_add(length as u64);
        (self.progress)(self.position);
        Ok(length)
    }
}

/// Reads the decompressed bytes of an image, at most [`MAX_IMAGE_BYTES`].
pub struct ImageReader<'a> {
    decoder: Box<dyn Read + 'a>,
    compression: Compression,
    cancel: &'a Cancel,
    position: u64,
}

impl<'a> ImageReader<'a> {
    pub(super) fn new(
        compression: Compression,
        compressed: impl Read + 'a,
        cancel: &'a Cancel,
    ) -> Result<Self, Error> {
        Ok(Self {
            decoder: decoder(compression, compressed)?,
            compression,
            cancel,
            position: 0,
        })
    }

    /// Fills `buffer` with the next bytes; returns how many there were, which are fewer than its length
    /// only at the end of the image.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.decoder.read(rest) {
                Ok(0) => break,
                Ok(length) => filled = filled.saturating_add(length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.classify(error)),
            }
        }
        self.position = self.position.saturating_add(filled as u64);
        if self.position > MAX_IMAGE_BYTES {
            let what = format!("it decompresses to more than {MAX_IMAGE_BYTES} bytes");
            return Err(Error::refused(what));
        }
        Ok(filled)
    }

    /// Tells damaged data from a failed read. Errors of the system have a number, those of a decoder
    /// have not; all decoders pass on the errors of their input unchanged.
    fn classify(&self, error: io::Error) -> Error {
        if self.cancel.is_cancelled() {
            Error::Interrupted
        } else if exceeds_memory_limit(&error) {
            Error::MemoryLimit(self.compression)
        } else if error.raw_os_error().is_some() {
            Error::Io(error)
        } else {
            Error::DamagedData(self.compression, error)
        }
    }
}

impl fmt::Debug for ImageReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageReader({}, {})", self.compression, self.position)
    }
}

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

#[cfg(test)]
mod tests;
