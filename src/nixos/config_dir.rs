//! The files of a configuration's directory: listed and checked once, before anything is started, and packed later.

mod pack;
mod sizes;

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::sizes::Sizes;
use super::ignore_rules::{IGNORE_HINT, walk};
use super::source::Configuration;
use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::{Failure, OrFail};
use crate::common::plain_file::{self, FileId};

/// How long a directory that is too large is walked on, to name its largest files.
const SURVEY_TIME: Duration = Duration::from_secs(3);

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum EntryKind {
    Directory,
    /// A file. Its content, size and mode are those that it has when it is packed.
    File,
    /// A symbolic link and its target.
    Link(String),
}

/// The files that are uploaded with a configuration, sorted by path.
#[derive(Clone, Debug)]
pub struct ConfigDir {
    /// The directory itself, wherever it is moved.
    root: Arc<File>,
    entries: Vec<(String, EntryKind)>,
    /// Name of the configuration file.
    file: String,
}

impl ConfigDir {
    /// Lists the directory of `configuration` without the files `excluded`. Usage errors: it is too large, or has names or
    /// links that cannot be uploaded.
    pub(super) fn collect(
        configuration: &Configuration,
        excluded: &[FileId],
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Self, Failure> {
        let root = configuration.root();
        let dir = File::open(root).or_usage(format!("open {}", root.display()))?;
        let mut lister = Lister {
            root,
            excluded,
            cancel,
            events,
            entries: Vec::new(),
            sizes: Sizes::default(),
        };
        if configuration.is_home() {
            events.warn("the configuration is in your home directory: everything in it except hidden files is uploaded to the builder; move the configuration into a directory of its own");
        }
        lister.walk(configuration.is_home())?;
        lister.add_missing(configuration.file())?;
        if let Some(warning) = lister.sizes.warning() {
            events.warn(warning);
        }
        let mut entries = lister.entries;
        entries.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        Ok(Self {
            root: Arc::new(dir),
            entries,
            file: configuration.file().to_owned(),
        })
    }
}

/// Lists a directory.
struct Lister<'a> {
    root: &'a Path,
    excluded: &'a [FileId],
    cancel: &'a Cancel,
    events: &'a Events,
    entries: Vec<(String, EntryKind)>,
    sizes: Sizes,
}

impl Lister<'_> {
    /// Adds everything that is uploaded.
    fn walk(&mut self, no_hidden: bool) -> Result<(), Failure> {
        let mut paths = walk(self.root, no_hidden)?;
        while let Some(path) = paths.next() {
            self.check_cancelled()?;
            let entry = path.and_then(|path| self.entry(&path))?;
            self.entries.extend(entry);
            if self.sizes.are_too_large() {
                return Err(self.too_large(paths));
            }
        }
        Ok(())
    }

    /// The failure of a directory that is too large. Counts the remaining `paths` first, for a limited time, so that the
    /// really largest files are named.
    fn too_large(&mut self, paths: impl Iterator<Item = Result<PathBuf, Failure>>) -> Failure {
        let until = Instant::now() + SURVEY_TIME;
        for path in paths.flatten() {
            if Instant::now() > until || self.cancel.is_cancelled() {
                break;
            }
            let relative = path.strip_prefix(self.root).unwrap_or(&path);
            if let Ok(meta) = path.symlink_metadata() {
                let size = if meta.is_file() { meta.len() } else { 0 };
                self.sizes.add(&relative.to_string_lossy(), size);
            }
        }
        self.sizes.failure(self.root)
    }

    fn check_cancelled(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        Ok(())
    }

    /// The entry for `path`; `None` when it is not uploaded, or is gone by now.
    fn entry(&mut self, path: &Path) -> Result<Option<(String, EntryKind)>, Failure> {
        let name = self.name(path)?;
        let looked = path.symlink_metadata();
        if is_gone(&looked) {
            return Ok(None);
        }
        let meta = looked.or_usage(format!("read {name}"))?;
        let kind = if meta.is_symlink() {
            match link_inside(path, &name)? {
                Some(target) => EntryKind::Link(target),
                None => return Ok(None),
            }
        } else if meta.is_dir() {
            EntryKind::Directory
        } else if self.excluded.contains(&FileId::of(&meta)) {
            return Ok(None);
        } else if meta.is_file() {
            // Opened now to report an unreadable file before anything is started.
            let opened = plain_file::open_unlinked(path);
            if is_gone(&opened) {
                return Ok(None);
            }
            opened
                .or_usage(format!("read {name}"))
                .map_err(|f| f.hint(IGNORE_HINT))?;
            EntryKind::File
        } else {
            self.events.warn(format!(
                "{name} is not a file, directory or symbolic link, and is not uploaded"
            ));
            return Ok(None);
        };
        let size = if meta.is_file() { meta.len() } else { 0 };
        self.sizes.add(&name, size);
        Ok(Some((name, kind)))
    }

    /// The path below the root as text.
    fn name(&self, path: &Path) -> Result<String, Failure> {
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        let name = relative.to_str().filter(|n| !n.contains(['\n', '\0']));
        name.map(str::to_owned).ok_or_else(|| {
            Failure::usage(format!(
                "the name of {} is not plain UTF-8",
                relative.display()
            ))
            .hint("rename it, or exclude its directory by a line in .sdbuildignore")
        })
    }

    /// Adds the configuration file when a rule ignores it.
    fn add_missing(&mut self, file: &str) -> Result<(), Failure> {
        if !self.entries.iter().any(|(name, _)| name == file) {
            let entry = self.entry(&self.root.join(file))?;
            self.entries.extend(entry);
        }
        Ok(())
    }
}

/// Whether `result` failed because a file is gone by now: editors and builds make and remove files all the time.
fn is_gone<T>(result: &io::Result<T>) -> bool {
    let error = result.as_ref().err();
    error.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The target of a symbolic link that stays inside the directory; `None` for a link into the Nix store, as `nix-build`
/// creates them, and for one that is gone by now. A usage error for any other link.
fn link_inside(path: &Path, name: &str) -> Result<Option<String>, Failure> {
    let target = fs::read_link(path);
    if is_gone(&target) {
        return Ok(None);
    }
    let target = target.or_usage(format!("read the link {name}"))?;
    if target.starts_with("/nix/store") {
        return Ok(None);
    }
    let depth = Path::new(name).components().count().saturating_sub(1);
    match target.to_str() {
        Some(text) if stays_inside(&target, depth) => Ok(Some(text.to_owned())),
        _ => Err(Failure::usage(format!(
            "the link {name} leads out of the configuration's directory, to {}",
            target.display()
        ))
        .hint("replace it with a copy: only the directory itself is uploaded")
        .hint(IGNORE_HINT)),
    }
}

/// Whether `target`, the target of a link `depth` directories below the root, is relative and never leads above the
/// root.
fn stays_inside(target: &Path, depth: usize) -> bool {
    let mut depth = depth;
    target.components().all(|part| match part {
        Component::ParentDir => depth
            .checked_sub(1)
            .inspect(|parent| depth = *parent)
            .is_some(),
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::RootDir | Component::Prefix(_) => false,
    })
}

#[cfg(test)]
mod tests;
