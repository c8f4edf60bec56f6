//! Publishing: an image and its sidecars get their names, all of them or none, and no sidecar is ever beside
//! another image than its own, even when the process is killed between two steps.
//!
//! Before the first step every file is on disk under a hidden name, so that each step is one rename within
//! the directory:
//!
//! | the image's name is free | the image is replaced (`--force`) |
//! | --- | --- |
//! | record the hashes of the new sidecars | |
//! | with `--force`: hide old sidecars | hide old sidecars |
//! | | exchange the old image for the new one |
//! | name the sidecars | name the sidecars |
//! | name the image | |
//!
//! A kill leaves, in the left column, sidecars without an image, which the next run removes if they are
//! still what the [record](PublishRecord) says; in the right column, the old image or the new one, whole,
//! with its own sidecars or without some of them. An error rolls all steps back.
//!
//! A simpler protocol was considered: name the sidecars, then the image, and take every sidecar without an
//! image for an orphan. Without a record it replaces sidecars that a user keeps of an image that was moved
//! away, and with `--force` a kill leaves new sidecars beside the old image.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};
use tempfile::TempPath;

use crate::output::pending_file::{
    HiddenFile, Owner, PUBLIC, PendingFile, hide, is_hidden, rename_to_free, sync_dir,
};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::hash::{Sha256Hash, hash_reader};
use sdbuild_core::locked_file;
use sdbuild_core::plain_file;
use sdbuild_core::untrusted;
use sdbuild_image::image_name::Sidecar;

/// A file that is written, and its final name.
#[derive(Debug)]
pub(super) struct NamedFile {
    pub(super) name: String,
    pub(super) file: PendingFile,
}

/// A sidecar that is written, and its hash.
#[derive(Debug)]
pub(super) struct NamedSidecar {
    pub(super) file: NamedFile,
    pub(super) sha256: Sha256Hash,
}

/// Checks that a file in `dir` may get `name`.
///
/// # Errors
///
/// Of kind [`io::ErrorKind::AlreadyExists`] if something has that name, or with `force` of kind
/// [`io::ErrorKind::IsADirectory`] if a directory has it.
pub(super) fn check_name(dir: &Path, name: &str, force: bool) -> Result<(), PublishError> {
    let kind = match dir.join(name).symlink_metadata() {
        Ok(_) if !force => io::ErrorKind::AlreadyExists,
        Ok(meta) if meta.is_dir() => io::ErrorKind::IsADirectory,
        Ok(_) | Err(_) => return Ok(()),
    };
    Err(for_name(name)(kind.into()))
}

/// Where and how files are published.
#[derive(Debug)]
pub(super) struct Publisher<'a> {
    pub(super) dir: &'a Path,
    /// Replace files that have the same names.
    pub(super) force: bool,
    /// The owner of the files, if it is not the process's.
    pub(super) owner: Option<Owner>,
    /// Names of sidecars that this image does not have: those of a replaced image are removed with it.
    pub(super) obsolete: Vec<String>,
    /// Is looked at before the first step; a publication that has begun is completed.
    pub(super) cancel: &'a Cancel,
}

impl Publisher<'_> {
    /// Publishes `image` and `sidecars`.
    pub(super) fn publish(
        &self,
        image: NamedFile,
        sidecars: Vec<NamedSidecar>,
    ) -> Result<(), PublishError> {
        for file in sidecars.iter().map(|sidecar| &sidecar.file).chain([&image]) {
            check_name(self.dir, &file.name, self.force)?;
            file.file.sync().map_err(for_name(&file.name))?;
        }
        // A slow disk takes minutes for that.
        if self.cancel.is_cancelled() {
            return Err(PublishError::Interrupted);
        }
        self.begin(image, sidecars)?.complete()
    }

    /// Hides the files, writes the record and plans the steps.
    fn begin(
        &self,
        image: NamedFile,
        sidecars: Vec<NamedSidecar>,
    ) -> Result<Publication<'_>, PublishError> {
        let replaces = self.force && self.dir.join(&image.name).symlink_metadata().is_ok();
        let record = if replaces {
            None
        } else {
            let hashes = sidecars
                .iter()
                .map(|sidecar| (sidecar.file.name.clone(), sidecar.sha256));
            let record = PublishRecord::create(self.dir, &image.name, hashes.collect(), self.owner);
            Some(record.map_err(for_name(&image.name))?)
        };

        let mut steps = VecDeque::new();
        if self.force {
            let old = sidecars.iter().map(|sidecar| &sidecar.file.name);
            steps.extend(old.chain(&self.obsolete).cloned().map(Step::Hide));
        }
        steps.push_back(Step::Sync);
        let image_name = image.name.clone();
        let mut last = Vec::new();
        if replaces {
            let NamedFile { name, file } = image;
            let file = file.into_exchanged(self.dir).map_err(for_name(&name))?;
            steps.push_back(Step::Replace(HiddenNamed { name, file }));
        } else {
            last = vec![Step::Name(self.hidden(image)?), Step::Sync];
        }
        for sidecar in sidecars {
            steps.push_back(Step::Name(self.hidden(sidecar.file)?));
        }
        steps.push_back(Step::Sync);
        steps.extend(last);
        Ok(Publication::new(self.dir, image_name, steps, record))
    }

    fn hidden(&self, file: NamedFile) -> Result<HiddenNamed, PublishError> {
        let NamedFile { name, file } = file;
        let file = file.into_hidden(self.dir).map_err(for_name(&name))?;
        Ok(HiddenNamed { name, file })
    }
}

/// Names that are tried for a file that cannot get its own name back.
const MAX_VISIBLE_NAMES: u32 = 100;

/// Why nothing was published.
#[derive(Debug)]
pub(super) enum PublishError {
    /// The run was interrupted before the first step.
    Interrupted,
    /// A file could not get its name.
    Name { name: String, error: io::Error },
    /// The same, and files that were there before could not get their names back.
    NotRestored {
        name: String,
        error: io::Error,
        displaced: Vec<Displaced>,
    },
}

/// A file of the user's that was moved aside, and where it is now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Displaced {
    pub(super) name: String,
    pub(super) now: String,
}

/// Says which file an error is about.
pub(super) fn for_name(name: &str) -> impl Fn(io::Error) -> PublishError {
    let name = name.to_owned();
    move |error| PublishError::Name {
        name: name.clone(),
        error,
    }
}

/// A file under a hidden name, and its final name.
#[derive(Debug)]
pub(super) struct HiddenNamed {
    pub(super) name: String,
    pub(super) file: HiddenFile,
}

/// One change to the directory.
#[derive(Debug)]
pub(super) enum Step {
    /// Gives what has this name a hidden one, if anything has it.
    Hide(String),
    /// Gives a file its final name, which must be free.
    Name(HiddenNamed),
    /// Gives a file its final name, and what has that name a hidden one.
    Replace(HiddenNamed),
    /// Flushes all changes so far to disk.
    Sync,
}

/// The action that undoes a step.
#[derive(Debug)]
enum Undo {
    /// Remove the file of this name.
    Remove(String),
    /// Rename a hidden file back to `name`, over the new one if there is one.
    Restore { name: String, hidden: TempPath },
}

/// A publication under way.
#[derive(Debug)]
pub(super) struct Publication<'a> {
    dir: &'a Path,
    /// Errors that concern no single file are reported under this name.
    image_name: String,
    pub(super) steps: VecDeque<Step>,
    undo: Vec<Undo>,
    /// Is removed after the last step, or after the steps were undone.
    _record: Option<PublishRecord>,
}

impl<'a> Publication<'a> {
    pub(super) fn new(
        dir: &'a Path,
        image_name: String,
        steps: VecDeque<Step>,
        record: Option<PublishRecord>,
    ) -> Self {
        Self {
            dir,
            image_name,
            steps,
            undo: Vec::new(),
            _record: record,
        }
    }

    /// Carries out all steps; after an error those that were carried out are undone.
    pub(super) fn complete(mut self) -> Result<(), PublishError> {
        while let Some(step) = self.steps.pop_front() {
            if let Err(error) = self.apply(step) {
                let displaced = self.roll_back();
                return Err(match error {
                    PublishError::Name { name, error } if !displaced.is_empty() => {
                        PublishError::NotRestored {
                            name,
                            error,
                            displaced,
                        }
                    }
                    PublishError::Interrupted
                    | PublishError::Name { .. }
                    | PublishError::NotRestored { .. } => error,
                });
            }
        }
        // Removes what was replaced.
        self.undo.clear();
        Ok(())
    }

    /// Carries out one step.
    pub(super) fn apply(&mut self, step: Step) -> Result<(), PublishError> {
        match step {
            Step::Hide(name) => match hide(self.dir, &self.dir.join(&name)) {
                Ok(hidden) => self.undo.push(Undo::Restore { name, hidden }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(for_name(&name)(error)),
            },
            Step::Name(HiddenNamed { name, file }) => {
                let named = file.rename_to_free(&self.dir.join(&name));
                named.map_err(for_name(&name))?;
                self.undo.push(Undo::Remove(name));
            }
            Step::Replace(HiddenNamed { name, file }) => {
                let replaced = file.replace(&self.dir.join(&name));
                match replaced.map_err(for_name(&name))? {
                    Some(hidden) => self.undo.push(Undo::Restore { name, hidden }),
                    // The old image is gone: its sidecars must not be restored beside the new one.
                    None => self.undo.clear(),
                }
            }
            Step::Sync => sync_dir(self.dir).map_err(for_name(&self.image_name))?,
        }
        Ok(())
    }

    /// Undoes the steps, the last one first. Goes on after errors: the one that caused this is reported. Returns the files
    /// that could not get their names back.
    fn roll_back(&mut self) -> Vec<Displaced> {
        let mut displaced = Vec::new();
        for undo in self.undo.drain(..).rev() {
            match undo {
                Undo::Remove(name) => {
                    fs::remove_file(self.dir.join(name)).ok();
                }
                Undo::Restore { name, hidden } => {
                    if fs::rename(&hidden, self.dir.join(&name)).is_err() {
                        let now = keep_visible(self.dir, &name, hidden);
                        displaced.push(Displaced { name, now });
                    }
                }
            }
        }
        displaced
    }
}

/// Gives a file of the user's, once `name`, the first of `name.old`, `name.old-2`, … that is free: hidden files are removed by
/// later runs. Returns the name that it has then.
fn keep_visible(dir: &Path, name: &str, hidden: TempPath) -> String {
    let visible = (1..MAX_VISIBLE_NAMES).find_map(|n| {
        let visible = match n {
            1 => format!("{name}.old"),
            n => format!("{name}.old-{n}"),
        };
        rename_to_free(&hidden, &dir.join(&visible)).ok()?;
        Some(visible)
    });
    let now = hidden.file_name().unwrap_or_default().to_string_lossy();
    let now = visible.unwrap_or_else(|| now.into_owned());
    // Where it cannot be renamed at all, the user has some time to do so.
    hidden.keep().ok();
    now
}

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
pub(super) fn remove_orphans(dir: &Path) {
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
    let mut text = String::new();
    (&file).take(MAX_RECORD_BYTES).read_to_string(&mut text)?;
    let content: Content = untrusted::json(&text)?;
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

#[cfg(test)]
mod tests;
