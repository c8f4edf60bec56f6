//! The record of a publication under way: if the run is killed before the image has its name, the next run
//! recognises the sidecars without an image by it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::output::pending_file::{HiddenFile, Owner, PUBLIC, PendingFile, is_hidden};
use sdbuild_core::hash::{Sha256Hash, hash_reader};
use sdbuild_core::locked_file;
use sdbuild_core::plain_file;
use sdbuild_image::image_name::Sidecar;

const SUFFIX: &str = ".names";
/// A record has one image and four sidecars at most, in some 700 bytes.
const MAX_RECORD_BYTES: u64 = 64 << 10;
/// How many bytes of sidecars one run hashes, all records together: less than a second's work. The largest sidecar, a
/// block map, takes 100 bytes for a range: 1 MB for an image of 10,000 of them. What is larger is not removed.
const MAX_HASHED_BYTES: u64 = 256 << 20;

/// The record's content, as JSON.
#[derive(Debug, Deserialize, Serialize)]
struct Content {
    image: String,
    sidecars: BTreeMap<String, Sha256Hash>,
}

/// A record on disk: locked as long as this value lives, then removed.
#[derive(Debug)]
pub(super) struct PublishRecord {
    _file: HiddenFile,
}

impl PublishRecord {
    /// Writes a record in `dir` that `sidecars`, by name, belong to the file `image`. Records are trusted about
    /// files of their own `owner` only.
    pub(super) fn create(
        dir: &Path,
        image: &str,
        sidecars: BTreeMap<String, Sha256Hash>,
        owner: Option<Owner>,
    ) -> io::Result<Self> {
        let content = Content {
            image: image.to_owned(),
            sidecars,
        };
        let pending = PendingFile::create(dir, PUBLIC)?;
        if let Some(owner) = owner {
            // Where that is impossible the sidecars have no other owner either.
            pending.set_owner(owner).ok();
        }
        pending.file().write_all(&serde_json::to_vec(&content)?)?;
        pending.sync()?;
        Ok(Self {
            _file: pending.into_hidden_as(dir, SUFFIX)?,
        })
    }
}

/// Removes the sidecars without an image that killed runs left in `dir`: those that still have the hash that a
/// record of the same owner says. Records of live runs are locked and skipped.
pub(in crate::output) fn remove_orphans(dir: &Path) {
    let mut budget = MAX_HASHED_BYTES;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| is_hidden(name, SUFFIX)) {
            // What stays is in the way of an image of that name at most, and named then.
            apply(dir, &entry.path(), &mut budget).ok();
        }
    }
}

/// Removes the orphans of one stale record, then the record.
fn apply(dir: &Path, record: &Path, budget: &mut u64) -> io::Result<()> {
    let file = locked_file::open_stale(record)?;
    let mut bytes = Vec::new();
    (&file).take(MAX_RECORD_BYTES).read_to_end(&mut bytes)?;
    let content: Content = serde_json::from_slice(&bytes)?;
    // Where the image exists the publication was complete.
    if is_file_name(&content.image) && dir.join(&content.image).symlink_metadata().is_err() {
        let owner = file.metadata()?.uid();
        for (name, hash) in &content.sidecars {
            if Sidecar::is_name(name, &content.image) {
                remove_if_unchanged(&dir.join(name), owner, *hash, budget).ok();
            }
        }
    }
    fs::remove_file(record)
}

/// Whether `name` is one component of a path.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != ".." && name != "." && !name.contains(['/', '\0'])
}

fn remove_if_unchanged(
    path: &Path,
    owner: u32,
    hash: Sha256Hash,
    budget: &mut u64,
) -> io::Result<()> {
    let file = plain_file::open_unlinked(path)?;
    if file.metadata()?.uid() == owner && hash_within(&file, budget)? == Some(hash) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// The hash of `file`, or `None` if it has more bytes than `budget`, which what is read is taken from.
fn hash_within(file: &File, budget: &mut u64) -> io::Result<Option<Sha256Hash>> {
    let size = file.metadata()?.len();
    let Some(rest) = budget.checked_sub(size) else {
        return Ok(None);
    };
    *budget = rest;
    // It may grow while it is read: then its hash is another one.
    Ok(Some(hash_reader(file.take(size))?.sha256))
}
