//! The steps of a publication under way, and how they are undone.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempPath;

use super::record::PublishRecord;
use crate::output::pending_file::{HiddenFile, hide, rename_to_free, sync_dir};

/// Names that are tried for a file that cannot get its own name back.
const MAX_VISIBLE_NAMES: u32 = 100;

/// Why nothing was published.
#[derive(Debug)]
pub(in crate::output) enum PublishError {
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
pub(in crate::output) struct Displaced {
    pub(in crate::output) name: String,
    pub(in crate::output) now: String,
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
