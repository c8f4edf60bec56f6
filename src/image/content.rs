//! From a file to a disk that can be read at any place: hashed in one pass, decompressed on the way
//! into a file without a name, which is gone with the process however it ends.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::decode::{CHUNK, compression, decoder, wants_memory};
use super::disk::Section;
use super::error::Error;
use crate::common::cancel::Cancel;
use crate::common::compression::Compression;
use crate::common::event::{Event, Events, Phase};

/// The largest image that is decompressed: the largest cards hold a little more, no system does.
const LARGEST: u64 = 256 << 30;
/// What stays free where the decompressed image goes.
const RESERVE: u64 = 256 << 20;

/// What is wanted, and where a decompressed image may lie meanwhile.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The directory for it.
    pub spool: PathBuf,
    /// Whether hashes are wanted.
    pub hash: bool,
}

/// The file's own facts.
#[derive(Clone, Debug)]
pub struct ImageFacts {
    /// How it is compressed.
    pub compression: Compression,
    /// The file's length.
    pub size: u64,
    /// SHA-256 of the file, when hashes were wanted.
    pub sha256: Option<String>,
    /// The image's length.
    pub raw_size: u64,
    /// SHA-256 of the image, when hashes were wanted.
    pub raw_sha256: Option<String>,
}

/// An image that can be read.
#[derive(Debug)]
pub struct OpenedImage {
    /// Its bytes.
    pub disk: Section,
    /// What is known of the file.
    pub facts: ImageFacts,
}

/// Opens the image at `path`; blocks for as long as it takes to read a large file.
pub fn open(
    path: &Path,
    how: &OpenOptions,
    watch: (&Cancel, &Events),
) -> Result<OpenedImage, Error> {
    let (file, size) = file(path)?;
    if size == 0 {
        return Err(Error::refused("the file is empty"));
    }
    let mut start = [0; 8];
    let n = file.read_at(&mut start, 0)?;
    let compression = compression(start.get(..n).unwrap_or_default());
    let mut source = Source {
        file: &file,
        hash: how.hash.then(Sha256::new),
        done: 0,
        size,
        watch,
        failed: None,
    };
    let mut unpacked = None;
    match compression {
        Compression::None if how.hash => source.told(Source::drain)?,
        Compression::None => {}
        Compression::Zstd | Compression::Xz | Compression::Gzip => {
            unpacked = Some(source.told(|source| unpack(source, compression, how))?);
        }
    }
    let sha256 = source.hash.take().map(hex);
    let (spool, raw_size, raw_sha256) = match unpacked {
        Some((spool, raw_size, raw_sha256)) => (Some(spool), raw_size, raw_sha256),
        None => (None, size, None),
    };
    let disk = Section::whole(spool.unwrap_or(file), raw_size, watch.0);
    let facts = ImageFacts {
        compression,
        size,
        raw_sha256: raw_sha256.or_else(|| sha256.clone()),
        sha256,
        raw_size,
    };
    Ok(OpenedImage { disk, facts })
}

/// A regular file or a block device with its length; anything else would block or lead astray.
fn file(path: &Path) -> Result<(File, u64), Error> {
    let found = match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(Error::refused("there is no such file"));
        }
        found => found?,
    };
    let kind = found.file_type();
    if kind.is_dir() {
        return Err(Error::refused("it is a directory"));
    }
    if !kind.is_file() && !kind.is_block_device() {
        return Err(Error::refused("it is neither a file nor a disk"));
    }
    let mut file = File::open(path)?;
    let size = io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
    Ok((file, size))
}

/// The file from start to end: hashed, counted, told, and ended when nobody wants it any more.
struct Source<'a> {
    file: &'a File,
    hash: Option<Sha256>,
    done: u64,
    size: u64,
    watch: (&'a Cancel, &'a Events),
    /// Why reading failed, to tell a bad disk from bad data.
    failed: Option<Error>,
}

impl Source<'_> {
    /// Does `work` as a phase that people see.
    fn told<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let (start, events) = (Instant::now(), self.watch.1);
        events.emit(Event::Started(Phase::ReadImage));
        let done = work(self)?;
        events.emit(Event::Finished(Phase::ReadImage, start.elapsed()));
        Ok(done)
    }

    fn fetch(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let (cancel, events) = self.watch;
        if cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let n = self.file.read_at(buffer, self.done)?;
        if let Some(hash) = &mut self.hash {
            hash.update(buffer.get(..n).unwrap_or_default());
        }
        self.done = self.done.saturating_add(n as u64);
        events.bytes(Phase::ReadImage, self.done, Some(self.size));
        Ok(n)
    }

    /// Reads what is left, for its hash.
    fn drain(&mut self) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK];
        while self.fetch(&mut buffer)? > 0 {}
        Ok(())
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fetch(buffer).map_err(|error| {
            let told = io::Error::other(error.to_string());
            self.failed = Some(error);
            told
        })
    }
}

/// Decompresses all of `source` into a file without a name; its length and hash.
fn unpack(
    source: &mut Source<'_>,
    compression: Compression,
    how: &OpenOptions,
) -> Result<(File, u64, Option<String>), Error> {
    let mut spool = Spool::create(&how.spool)?;
    let mut hash = how.hash.then(Sha256::new);
    let mut buffer = vec![0; CHUNK];
    let broken = |source: &mut Source<'_>, error: &io::Error| {
        let kind = format!("{compression:?}").to_lowercase();
        let why = if wants_memory(error) {
            Error::unsupported(format!(
                "it takes more than 80 MiB of memory to decompress: decompress it with {kind} first"
            ))
        } else {
            Error::damaged(format!("the {kind} data are damaged: {error}"))
        };
        source.failed.take().unwrap_or(why)
    };
    let mut decoder = decoder(compression, &mut *source)?;
    loop {
        let n = match decoder.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                drop(decoder);
                return Err(broken(source, &e));
            }
        };
        let Some(bytes) = buffer.get(..n).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        if let Some(hash) = &mut hash {
            hash.update(bytes);
        }
        spool.write(bytes)?;
    }
    drop(decoder);
    // A decoder that knows its end need not ask for the file's: the file's hash wants all of it.
    source.drain()?;
    let raw = hash.map(hex);
    spool.finish().map(|(file, size)| (file, size, raw))
}

/// A file without a name in which zeros are holes.
struct Spool {
    file: File,
    at: u64,
    stored: u64,
    room: u64,
    dir: PathBuf,
}

impl Spool {
    fn create(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir)?;
        let file = tempfile::tempfile_in(dir)?;
        let free = nix::sys::statvfs::statvfs(dir).map_err(io::Error::from)?;
        #[expect(clippy::useless_conversion, reason = "narrower on other machines")]
        let free = u64::from(free.blocks_available()).saturating_mul(free.fragment_size().into());
        Ok(Self {
            file,
            at: 0,
            stored: 0,
            room: free.saturating_sub(RESERVE),
            dir: dir.to_owned(),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        for piece in bytes.chunks(4096) {
            if piece.iter().any(|b| *b != 0) {
                self.stored = self.stored.saturating_add(piece.len() as u64);
                if self.stored > self.room {
                    let dir = self.dir.display();
                    return Err(Error::Space(format!(
                        "there is not enough space in {dir} to decompress it"
                    )));
                }
                self.file.write_all_at(piece, self.at)?;
            }
            self.at = self.at.saturating_add(piece.len() as u64);
        }
        if self.at > LARGEST {
            let what = format!("it decompresses to more than {LARGEST} bytes");
            return Err(Error::refused(what));
        }
        Ok(())
    }

    fn finish(self) -> Result<(File, u64), Error> {
        if self.at == 0 {
            return Err(Error::refused("it decompresses to nothing"));
        }
        self.file.set_len(self.at)?;
        Ok((self.file, self.at))
    }
}

fn hex(hash: Sha256) -> String {
    hex::encode(hash.finalize())
}
