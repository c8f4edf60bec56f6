//! The image as it is to be written: its kind and its length.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::sidecars::{ImageInfo, Sidecars};
use crate::blockmap::BlockMap;
use crate::common::cancel::Cancel;
use crate::common::compression::Compression;
use crate::common::event::{Event, Events, Phase};
use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::image::checksum::{ChecksumTarget, Expected};
use crate::image::{compression, decoder};

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
    /// The image's length; for a compressed image with neither block map nor manifest the least that it
    /// can be, which is 0 when its format does not say.
    pub size: u64,
    pub(super) map: Option<BlockMap>,
    pub(super) expected: Option<Expected>,
}

impl Source {
    /// Opens the image and reads what lies beside it: `<image>.bmap`, `<image>.sha256` and
    /// `<image>.json`.
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
        let beside = Sidecars::read(
            given,
            ImageInfo {
                compression,
                stored,
                least,
            },
        )?;
        Ok(Self {
            expected: beside.expected,
            size: beside.size,
            map: beside.map,
            path,
            file,
            stored,
            compression,
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
        let Some(expected) = self
            .expected
            .as_ref()
            .filter(|e| e.of == ChecksumTarget::File)
        else {
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
