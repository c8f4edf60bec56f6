//! What a publication has done to the directory so far, and the way back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::note::PublishRecord;
#[cfg(test)]
use super::tests::seen;
use super::{PendingFile, Unnamed, random_id, unnamed};
use crate::output::target::{Target, part, sync_dir};

/// One change to the directory.
enum Step {
    /// A name was given that was free.
    Placed(String),
    /// What had the name has another one for now.
    Aside { name: String, kept: PathBuf },
    /// The image has the name of what it replaces, and that has the image's.
    Exchanged { image: Target, name: String },
}

/// The changes, in order; [`Steps::keep`] or [`Steps::take_back`] ends them.
pub(super) struct Transaction<'a> {
    dir: &'a Path,
    force: bool,
    done: Vec<Step>,
    note: Option<PublishRecord>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(dir: &'a Path, force: bool) -> Self {
        Self {
            dir,
            force,
            done: Vec::new(),
            note: None,
        }
    }

    /// Keeps the note until the end.
    pub(super) fn noted(&mut self, note: PublishRecord) {
        self.note = Some(note);
        seen(self.dir);
    }

    /// Takes a name from what has it, if anything has.
    pub(super) fn set_aside(&mut self, name: &str) -> Result<(), Unnamed> {
        let id = random_id().map_err(unnamed(name))?;
        // The sweep of another run lets be what changed a moment ago.
        let kept = part(self.dir, id.as_str());
        match fs::rename(self.dir.join(name), &kept) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(unnamed(name)(e)),
            Ok(()) => {}
        }
        let name = name.to_owned();
        self.done.push(Step::Aside { name, kept });
        seen(self.dir);
        Ok(())
    }

    /// Gives a file its name.
    pub(super) fn place(&mut self, file: PendingFile) -> Result<(), Unnamed> {
        let PendingFile { mut target, name } = file;
        target.place(&name, self.force).map_err(unnamed(&name))?;
        self.done.push(Step::Placed(name));
        seen(self.dir);
        Ok(())
    }

    /// Gives the image the name of what it replaces. Where a file system cannot exchange two names there
    /// is no way back: what was set aside would be beside another image.
    pub(super) fn exchange(&mut self, image: PendingFile) -> Result<(), Unnamed> {
        let PendingFile {
            target: mut image,
            name,
        } = image;
        if image.exchange(&name).map_err(unnamed(&name))? {
            self.done.push(Step::Exchanged { image, name });
        } else {
            image.place(&name, true).map_err(unnamed(&name))?;
            self.discard();
        }
        seen(self.dir);
        Ok(())
    }

    /// Makes all names so far last.
    pub(super) fn sync(&self, name: &str) -> Result<(), Unnamed> {
        sync_dir(self.dir).map_err(unnamed(name))
    }

    /// All is as it should be.
    pub(super) fn keep(mut self) {
        self.discard();
    }

    /// Removes what was replaced.
    fn discard(&mut self) {
        for step in self.done.drain(..) {
            match step {
                // Nobody to tell; the next run's sweep takes it.
                Step::Aside { kept, .. } => drop(fs::remove_file(kept)),
                // Has the old image's file by now, and removes it.
                Step::Exchanged { image, .. } => drop(image),
                Step::Placed(_) => {}
            }
        }
    }

    /// All is as it was. What fails on the way adds nothing: the first error is told.
    pub(super) fn take_back(mut self) {
        for step in self.done.drain(..).rev() {
            match step {
                Step::Placed(name) => drop(fs::remove_file(self.dir.join(name))),
                Step::Aside { name, kept } => drop(fs::rename(kept, self.dir.join(name))),
                Step::Exchanged { image, name } => image.give_back(&name),
            }
        }
    }
}

/// Tests look at what a crash would leave.
#[cfg(not(test))]
fn seen(_: &Path) {}
