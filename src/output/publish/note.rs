//! The note beside names that are being given: should the run be killed before the image has its own, the
//! next one knows the sidecars without an image for what they are.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{PendingFile, random_id};
use crate::common::hash::hash_reader;
use crate::common::plain_file;
use crate::engine::RunId;
use crate::output::target::Target;

const PREFIX: &str = ".sdbuild-";
const SUFFIX: &str = ".names";
/// A note has a handful of names.
const LONGEST: u64 = 64 << 10;

/// What is written.
#[derive(Debug, Deserialize, Serialize)]
struct Text {
    image: String,
    /// The SHA-256 of each sidecar.
    sidecars: BTreeMap<String, String>,
}

/// A note that is there, and locked, as long as this value lives.
pub(super) struct PublishRecord {
    path: PathBuf,
    _locked: Target,
}

impl PublishRecord {
    /// Leaves one in `dir`, whole and on disk.
    pub(super) fn leave(dir: &Path, image: &str, sidecars: &[PendingFile]) -> io::Result<Self> {
        let id = random_id()?;
        let mut target = Target::create(dir, id.as_str())?;
        let mut text = Text {
            image: image.to_owned(),
            sidecars: BTreeMap::new(),
        };
        for PendingFile { target: file, name } in sidecars {
            let mut file = file.file();
            file.rewind()?;
            text.sidecars
                .insert(name.clone(), hash_reader(file)?.sha256.to_string());
            // Whoever the sidecars are given to is believed about them later on.
            let meta = file.metadata()?;
            target.give_to((meta.uid(), meta.gid())).ok();
        }
        target.file().write_all(&serde_json::to_vec(&text)?)?;
        target.settle(false)?;
        let name = format!("{PREFIX}{id}{SUFFIX}");
        target.place(&name, false)?;
        Ok(Self {
            path: dir.join(name),
            _locked: target,
        })
    }
}

impl Drop for PublishRecord {
    fn drop(&mut self) {
        // Nobody to tell; the next run knows what it means.
        fs::remove_file(&self.path).ok();
    }
}

/// Removes the sidecars without an image that killed runs left in `dir`: those that are still what a
/// note of the same owner says. A note that somebody holds is no dead run's.
pub(in crate::output) fn undo_killed(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(is_note) {
            undo(dir, &path).ok();
        }
    }
}

fn is_note(name: &str) -> bool {
    let id = name.strip_prefix(PREFIX);
    let id = id.and_then(|name| name.strip_suffix(SUFFIX));
    id.is_some_and(|id| id.parse::<RunId>().is_ok())
}

fn undo(dir: &Path, path: &Path) -> io::Result<()> {
    let file = plain_file::open_unlinked(path)?;
    file.try_lock()?;
    let mut bytes = Vec::new();
    (&file).take(LONGEST).read_to_end(&mut bytes)?;
    let text: Text = serde_json::from_slice(&bytes)?;
    // Where the image is, all of it was done.
    if is_plain(&text.image) && dir.join(&text.image).symlink_metadata().is_err() {
        let owner = file.metadata()?.uid();
        for (name, hash) in &text.sidecars {
            let of_the_image = name.strip_prefix(&text.image);
            if is_plain(name) && of_the_image.is_some_and(|end| end.starts_with('.')) {
                remove(&dir.join(name), owner, hash).ok();
            }
        }
    }
    fs::remove_file(path)
}

/// One component of a path.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != ".." && name != "." && !name.contains(['/', '\0'])
}

fn remove(path: &Path, owner: u32, wanted: &str) -> io::Result<()> {
    let file = plain_file::open_unlinked(path)?;
    if file.metadata()?.uid() == owner && hash_reader(&file)?.sha256.to_string() == wanted {
        fs::remove_file(path)?;
    }
    Ok(())
}
