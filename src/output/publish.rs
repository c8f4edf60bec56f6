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

mod publication;
mod record;

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::pending_file::{Owner, PendingFile};
pub(super) use publication::PublishError;
use publication::{HiddenNamed, Publication, Step, for_name};
use record::PublishRecord;
pub(super) use record::remove_orphans;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::hash::Sha256Hash;

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

#[cfg(test)]
mod tests;
