//! The image and its sidecars get their names: all of them, or none; and no sidecar is ever beside another
//! image than its own.
//!
//! Everything is on disk before the first name is given. Where no image of that name is, the image's own
//! comes last: where an image is, its sidecars are. A crash between two names leaves sidecars without an
//! image; a [`Note`] tells them from sidecars that somebody keeps, and the next run takes them away. Where
//! an image is replaced, the old one's sidecars go aside first, and the new one's come after it: a crash
//! leaves the old image or the new one, whole, with sidecars of its own or without some. What fails without
//! a crash is taken back.

mod note;
mod steps;

use std::io;
use std::path::Path;

use super::target::Target;
use super::wording;
use crate::common::cancel::Cancel;
use crate::common::failure::Failure;
use crate::engine::RunId;
use note::PublishRecord;
pub(super) use note::undo_killed;
use steps::Transaction;

/// A file that is written, and what it shall be called.
#[derive(Debug)]
pub(super) struct PendingFile {
    pub(super) target: Target,
    pub(super) name: String,
}

/// What stood in the way, and under which name.
#[derive(Debug)]
pub(super) struct Unnamed {
    pub(super) name: String,
    pub(super) error: io::Error,
}

/// Something of that name: an error of kind [`io::ErrorKind::AlreadyExists`] unless `force`; a directory is
/// one of kind [`io::ErrorKind::IsADirectory`] then.
pub(super) fn is_free(dir: &Path, name: &str, force: bool) -> Result<(), Unnamed> {
    let kind = match dir.join(name).symlink_metadata() {
        Ok(_) if !force => io::ErrorKind::AlreadyExists,
        Ok(meta) if meta.is_dir() => io::ErrorKind::IsADirectory,
        Ok(_) | Err(_) => return Ok(()),
    };
    Err(unnamed(name)(kind.into()))
}

/// Where files are to appear.
#[derive(Debug)]
pub(super) struct Publisher<'a> {
    pub(super) dir: &'a Path,
    /// Replace what has their names.
    pub(super) force: bool,
    /// A sidecar of the image that is replaced, which would be taken for one of the new image.
    pub(super) stale: Option<String>,
    /// Ends it before the first name is given. Then it is brought to its end.
    pub(super) cancel: &'a Cancel,
}

impl Publisher<'_> {
    /// Publishes `files`, of which the last one is the image.
    pub(super) fn publish(&self, mut files: Vec<PendingFile>) -> Result<(), Failure> {
        let failure = |what| wording::unnamed(what, self.dir);
        self.settle(&mut files).map_err(failure)?;
        // A slow disk takes minutes for this.
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let Some(image) = files.pop() else {
            return Ok(());
        };
        let there = self.dir.join(&image.name).symlink_metadata().is_ok();
        let mut steps = Transaction::new(self.dir, self.force);
        let done = if self.force && there {
            self.replace(image, files, &mut steps)
        } else {
            self.appear(image, files, &mut steps)
        };
        match done {
            Ok(()) => steps.keep(),
            Err(_) => steps.take_back(),
        }
        done.map_err(failure)
    }

    fn settle(&self, files: &mut [PendingFile]) -> Result<(), Unnamed> {
        for PendingFile { target, name } in files {
            is_free(self.dir, name, self.force)?;
            target.settle(self.force).map_err(unnamed(name))?;
        }
        Ok(())
    }

    /// Sidecars, then the image.
    fn appear(
        &self,
        image: PendingFile,
        sidecars: Vec<PendingFile>,
        steps: &mut Transaction<'_>,
    ) -> Result<(), Unnamed> {
        let title = image.name.clone();
        let note = PublishRecord::leave(self.dir, &title, &sidecars).map_err(unnamed(&title))?;
        steps.noted(note);
        steps.sync(&title)?;
        self.set_aside(&sidecars, steps)?;
        for sidecar in sidecars {
            steps.place(sidecar)?;
        }
        steps.sync(&title)?;
        steps.place(image)?;
        steps.sync(&title)
    }

    /// The old sidecars away, the new image in the old one's place, its sidecars.
    fn replace(
        &self,
        image: PendingFile,
        sidecars: Vec<PendingFile>,
        steps: &mut Transaction<'_>,
    ) -> Result<(), Unnamed> {
        let title = image.name.clone();
        self.set_aside(&sidecars, steps)?;
        steps.sync(&title)?;
        steps.exchange(image)?;
        for sidecar in sidecars {
            steps.place(sidecar)?;
        }
        steps.sync(&title)
    }

    fn set_aside(
        &self,
        sidecars: &[PendingFile],
        steps: &mut Transaction<'_>,
    ) -> Result<(), Unnamed> {
        let names = sidecars.iter().map(|sidecar| &sidecar.name);
        let mut names = names.chain(&self.stale).filter(|_| self.force);
        names.try_for_each(|name| steps.set_aside(name))
    }
}

/// For a name that nobody else has.
fn random_id() -> io::Result<RunId> {
    RunId::random().map_err(|error| io::Error::other(error.to_string()))
}

fn unnamed(name: &str) -> impl Fn(io::Error) -> Unnamed {
    let name = name.to_owned();
    move |error| Unnamed {
        name: name.clone(),
        error,
    }
}

#[cfg(test)]
mod tests;
