//! Unpacks the archive, and nothing but what such an archive has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;

use tar::{Archive, Entry, EntryType};

use super::content::{Content, ImageInLayout};
use super::paths::{BLOBS, INDEX, MARKER, MAX_JSON_BYTES};
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::{HashingReader, Sha256Hash};
use sdbuild_core::plain_tar::{PlainEntry, plain_entries};
use sdbuild_image::{Error, ImageFile, ImageKind, ImageReader};

/// Files of an archive: sdbuild makes at most 102 blobs.
const MAX_FILES: usize = 1000;
/// Docker's own description, which no layout needs.
const OF_DOCKER: &str = "manifest.json";
/// What helps when a file is no such image.
const BUILD: &str = "build one: sdbuild build --format container";

/// What was unpacked.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// Each blob with its length.
    blobs: BTreeMap<Sha256Hash, u64>,
    marker: Option<String>,
    index: Option<String>,
}

/// Unpacks the file `image` into the directory `layout`. Each blob has the hash that is its name.
pub(super) fn unpack(image: &Path, layout: &Path, context: &Context) -> Result<Unpacked, Failure> {
    let read = |error: Error| error.fail("read it").hint(BUILD);
    let file = ImageFile::open(image, ImageKind::File).map_err(read)?;
    let progress = |done| {
        context.events.bytes(Phase::Publish, done, Some(file.size));
    };
    let reader = file.reader(&context.cancel, &progress).map_err(read)?;
    let mut bytes = Bytes {
        reader,
        error: None,
    };
    let mut unpacked = Unpacked::default();
    let done = unpacked.take(Archive::new(&mut bytes), layout);
    match (bytes.error, done) {
        (Some(error), _) => Err(read(error)),
        (None, done) => done.map(|()| unpacked),
    }
}

/// The bytes of the archive, with the reason why there are no more.
struct Bytes<'a> {
    reader: ImageReader<'a>,
    error: Option<Error>,
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.fill(buffer).map_err(|error| {
            let shown = io::Error::other(error.to_string());
            self.error = Some(error);
            shown
        })
    }
}

fn refused(why: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("it is not an image for container engines: {why}")).hint(BUILD)
}

impl Unpacked {
    fn take<R: Read>(&mut self, mut archive: Archive<R>, layout: &Path) -> Result<(), Failure> {
        let broken = |_| refused("it is not a tar archive, or damaged");
        let entries = archive.entries().map_err(broken)?;
        for (count, found) in plain_entries(entries).enumerate() {
            let PlainEntry {
                mut entry, path, ..
            } = found.map_err(broken)?;
            if count >= MAX_FILES {
                return Err(refused(format!("it has more than {MAX_FILES} files")));
            }
            let name = String::from_utf8_lossy(&path).into_owned();
            let kind = entry.header().entry_type();
            if kind == EntryType::Directory {
                continue;
            }
            if kind != EntryType::Regular {
                return Err(refused(format!("{name:?} is not a file")));
            }
            let blob = name
                .strip_prefix(BLOBS)
                .and_then(|rest| rest.strip_prefix('/'));
            match (name.as_str(), blob.map(str::parse::<Sha256Hash>)) {
                (_, Some(Ok(hash))) => self.take_blob(&mut entry, hash, layout)?,
                (MARKER, _) => take_text(&mut self.marker, &mut entry, MARKER)?,
                (INDEX, _) => take_text(&mut self.index, &mut entry, INDEX)?,
                (OF_DOCKER, _) => {}
                _ => return Err(refused(format!("it has a file {name:?}"))),
            }
        }
        Ok(())
    }

    fn take_blob<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        hash: Sha256Hash,
        layout: &Path,
    ) -> Result<(), Failure> {
        let operation = format!("write the blob {hash}");
        let mut file =
            File::create_new(layout.join(format!("{BLOBS}/{hash}"))).or_environment(&operation)?;
        let size = entry.size();
        let mut reader = HashingReader::new(entry);
        let copied = io::copy(&mut reader, &mut file).or_environment(&operation)?;
        file.flush()
            .and_then(|()| file.sync_all())
            .or_environment(&operation)?;
        if copied != size || reader.finish().sha256 != hash {
            return Err(refused(format!("the blob {hash} is damaged")));
        }
        self.blobs.insert(hash, size);
        Ok(())
    }

    /// The image, whose parts are all there.
    pub(super) fn check(&self, layout: &Path) -> Result<ImageInLayout, Failure> {
        let missing = |name: &str| refused(format!("it has no {name}"));
        let content = Content {
            marker: self.marker.as_deref().ok_or_else(|| missing(MARKER))?,
            index: self.index.as_deref().ok_or_else(|| missing(INDEX))?,
            blobs: &self.blobs,
            layout,
        };
        content.image().map_err(refused)
    }

    /// The hashes of the blobs.
    pub(super) fn names(&self) -> impl Iterator<Item = &Sha256Hash> {
        self.blobs.keys()
    }

    /// Bytes of all blobs.
    pub(super) fn bytes(&self) -> u64 {
        self.blobs.values().sum()
    }
}

fn take_text<R: Read>(
    place: &mut Option<String>,
    entry: &mut Entry<'_, R>,
    name: &str,
) -> Result<(), Failure> {
    let mut text = String::new();
    let read = entry.take(MAX_JSON_BYTES).read_to_string(&mut text);
    read.map_err(refused)?;
    if place.replace(text).is_some() {
        return Err(refused(format!("it has two files {name}")));
    }
    Ok(())
}
