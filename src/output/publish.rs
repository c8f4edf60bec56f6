//! The image and its sidecars get their names: all of them, or none.
//!
//! Everything is on disk before the first name is given, and the image's own name comes last: where an
//! image is, its sidecars are. A crash between two names leaves sidecars without an image, or, with
//! `--force`, new sidecars beside the old image: `sha256sum -c` and `sdbuild inspect` tell that, and the
//! next run with `--force` replaces all.

use std::fs;
use std::io;
use std::path::Path;

use super::target::{Target, sync_folder};
use super::wording;
use crate::cancel::Cancel;
use crate::failure::Failure;

/// A file that is written, and what it shall be called.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) target: Target,
    pub(super) name: String,
}

/// What stood in the way, and under which name.
#[derive(Debug)]
pub(super) struct Unnamed {
    pub(super) name: String,
    pub(super) error: io::Error,
}

/// Something of that name: an error of kind [`io::ErrorKind::AlreadyExists`] unless `force`; a folder is
/// one of kind [`io::ErrorKind::IsADirectory`] then.
pub(super) fn is_free(folder: &Path, name: &str, force: bool) -> Result<(), Unnamed> {
    let kind = match folder.join(name).symlink_metadata() {
        Ok(_) if !force => io::ErrorKind::AlreadyExists,
        Ok(meta) if meta.is_dir() => io::ErrorKind::IsADirectory,
        Ok(_) | Err(_) => return Ok(()),
    };
    Err(unnamed(name)(kind.into()))
}

/// Where files are to appear.
#[derive(Debug)]
pub(super) struct Release<'a> {
    pub(super) folder: &'a Path,
    /// Replace what has their names.
    pub(super) force: bool,
    /// A sidecar of the image that is replaced, which would be taken for one of the new image.
    pub(super) stale: Option<String>,
    /// Ends it before the first name is given. Then it is brought to its end.
    pub(super) cancel: &'a Cancel,
}

impl Release<'_> {
    /// Publishes `files`, the last one last.
    pub(super) fn publish(&self, mut files: Vec<Named>) -> Result<(), Failure> {
        let failure = |what| wording::unnamed(what, self.folder);
        self.settle(&mut files).map_err(failure)?;
        // A slow disk takes minutes for this.
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        self.remove_stale().map_err(failure)?;
        self.place(files).map_err(failure)
    }

    fn settle(&self, files: &mut [Named]) -> Result<(), Unnamed> {
        for Named { target, name } in files {
            is_free(self.folder, name, self.force)?;
            target.settle(self.force).map_err(unnamed(name))?;
        }
        Ok(())
    }

    fn remove_stale(&self) -> Result<(), Unnamed> {
        let Some(name) = self.stale.as_deref().filter(|_| self.force) else {
            return Ok(());
        };
        match fs::remove_file(self.folder.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(unnamed(name)(e)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn place(&self, mut files: Vec<Named>) -> Result<(), Unnamed> {
        let (folder, force) = (self.folder, self.force);
        let last = files.len().saturating_sub(1);
        for at in 0..files.len() {
            let (before, rest) = files.split_at_mut(at);
            let Some(Named { target, name }) = rest.first_mut() else {
                break;
            };
            let synced = if at == last {
                sync_folder(folder)
            } else {
                Ok(())
            };
            let placed = synced.and_then(|()| target.place(name, force));
            if let Err(error) = placed {
                if !force {
                    take_back(folder, before);
                }
                return Err(unnamed(name)(error));
            }
        }
        let name = files.last().map_or("", |file| file.name.as_str());
        sync_folder(folder).map_err(unnamed(name))
    }
}

/// Takes names back that were free before.
fn take_back(folder: &Path, files: &[Named]) {
    for file in files {
        // The first error is told; a sidecar alone misleads nobody.
        fs::remove_file(folder.join(&file.name)).ok();
    }
}

fn unnamed(name: &str) -> impl Fn(io::Error) -> Unnamed {
    let name = name.to_owned();
    move |error| Unnamed {
        name: name.clone(),
        error,
    }
}
