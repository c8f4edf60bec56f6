//! The image as it is to be written: its kind, its length, and what the files beside it say of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use crate::blockmap::{self, BlockMap};
use crate::cancel::Cancel;
use crate::event::{Event, Events, Phase};
use crate::failure::{Failure, OrFail as _};
use crate::image::checksum::{self, Expected, Of};
use crate::image::{Compression, compression, decoder};
use crate::plain_file;

/// Files are read in pieces of this size.
const CHUNK: usize = 1 << 20;
/// How the first 512 bytes end when there is a partition table, MBR or GPT.
const TABLE_MARK: [u8; 2] = [0x55, 0xaa];

/// An image file.
#[derive(Debug)]
pub struct Source {
    /// Its path, absolute and without links.
    pub path: PathBuf,
    pub(super) file: File,
    /// The file's length.
    pub(super) stored: u64,
    pub(super) compression: Compression,
    /// The image's length; for a compressed image without a block map the least that it can be, which
    /// is 0 when its format does not say.
    pub size: u64,
    pub(super) map: Option<BlockMap>,
    pub(super) expected: Option<Expected>,
}

impl Source {
    /// Opens the image and reads what lies beside it: `<image>.bmap` and `<image>.sha256`.
    pub fn open(given: &Path) -> Result<Self, Failure> {
        let file = plain_file::open(given).or_usage("open the image")?;
        let path = given.canonicalize().or_usage("find the image")?;
        let stored = file.metadata().or_environment("read the image")?.len();
        if stored == 0 {
            return Err(Failure::usage("the image is empty"));
        }
        let mut start = vec![0; 64];
        let n = file
            .read_at(&mut start, 0)
            .or_environment("read the image")?;
        start.truncate(n);
        let compression = compression(&start);
        let least = match compression {
            Compression::None => stored,
            Compression::Zstd => zstd_size(&start),
            Compression::Xz | Compression::Gzip => 0,
        };
        let map = find_map(given, compression)?;
        let size = map.as_ref().map_or(least, |(_, map)| map.image_size);
        if let Some((name, _)) = &map
            && (least > size || (compression == Compression::None && least != size))
        {
            let name = name.display();
            let text = format!(
                "{name} is the block map of another image: that has {size} bytes, this one {least}"
            );
            return Err(
                Failure::usage(text).hint("remove it, or put the right one beside the image")
            );
        }
        Ok(Self {
            expected: checksum::expected(given, compression)
                .map_err(|e| e.fail("read its hash"))?,
            map: map.map(|(_, map)| map),
            path,
            file,
            stored,
            compression,
            size,
        })
    }

    /// Whether the image has no partition table. A compressed one is decompressed that far.
    pub fn lacks_table(&self) -> bool {
        let mut start = [0; 512];
        let from = FromStart {
            file: &self.file,
            at: 0,
        };
        let read = decoder(self.compression, from).and_then(|mut d| d.read_exact(&mut start));
        read.is_err() || !start.ends_with(&TABLE_MARK)
    }

    /// Compares the file with the hash beside it, before anything is written. A hash of what is inside
    /// of a compressed file is compared while that is written.
    pub fn check(&self, (cancel, events): (&Cancel, &Events)) -> Result<(), Failure> {
        let Some(expected) = self.expected.as_ref().filter(|e| e.of == Of::File) else {
            return Ok(());
        };
        let started = Instant::now();
        events.emit(Event::Started(Phase::ReadImage));
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        loop {
            if cancel.is_cancelled() {
                return Err(Failure::interrupted());
            }
            let n = self
                .file
                .read_at(&mut buffer, at)
                .or_environment("read the image")?;
            if n == 0 {
                break;
            }
            hash.update(buffer.get(..n).unwrap_or_default());
            at = at.saturating_add(n as u64);
            events.bytes(Phase::ReadImage, at, Some(self.stored));
        }
        events.emit(Event::Finished(Phase::ReadImage, started.elapsed()));
        expected.matches(hash)
    }
}

impl Expected {
    /// Whether `hash` is the one that is expected.
    pub(super) fn matches(&self, hash: Sha256) -> Result<(), Failure> {
        if hex::encode(hash.finalize()) == self.hash {
            return Ok(());
        }
        let text = format!(
            "the image is not the one that {} tells the hash of",
            self.list.display()
        );
        Err(Failure::usage(text).hint("it is damaged or incomplete: fetch or build it again"))
    }
}

/// The block map beside the image: by its whole name, or without the ending of the compression.
fn find_map(
    image: &Path,
    compression: Compression,
) -> Result<Option<(PathBuf, BlockMap)>, Failure> {
    let whole = image.as_os_str().to_owned();
    let stem = image.with_extension("").into_os_string();
    let names = match compression {
        Compression::None => vec![whole],
        Compression::Zstd | Compression::Xz | Compression::Gzip => vec![whole, stem],
    };
    for name in names.into_iter().map(|name| with(name, ".bmap")) {
        let operation = format!("read the block map {}", name.display());
        let text = match plain_file::read_text(&name, blockmap::LONGEST) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            text => text.or_usage(&operation)?,
        };
        let map = BlockMap::parse(&text).or_usage(operation)?;
        return Ok(Some((name, map)));
    }
    Ok(None)
}

fn with(mut name: OsString, ending: &str) -> PathBuf {
    name.push(ending);
    name.into()
}

/// The length that the first frame of zstd promises, if it does.
fn zstd_size(start: &[u8]) -> u64 {
    let size = zstd::zstd_safe::get_frame_content_size(start);
    size.ok().flatten().unwrap_or(0)
}

/// A file from its start, without moving a position that others share.
pub(super) struct FromStart<'a> {
    pub(super) file: &'a File,
    pub(super) at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at = self.at.saturating_add(n as u64);
        Ok(n)
    }
}
