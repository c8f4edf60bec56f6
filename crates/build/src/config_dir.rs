//! The files of a configuration's directory: listed and checked once, before anything is started, and packed later.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Failure, OrFail};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::plain_file;
use sdbuild_core::plain_file::{FileId, is_gone};
use sdbuild_core::shown_path::shown_path;
use sdbuild_nix::ignore_rules::{IGNORE_HINT, walk};

use crate::stored_tree::TreeFiles;

pub(super) use pack::Packed;

mod pack;

/// What is said when hidden files are left out.
pub(super) const HOME_WARNING: &str = "the configuration is in your home directory, and sdbuild uploads everything there \
                                       except hidden files. Move the configuration into its own directory";

/// Whether the user's `home` directory is `root` or below it: its hidden files have keys and passwords.
pub(super) fn has_home(root: &Path, home: Option<&Path>) -> bool {
    let home = home.and_then(|home| home.canonicalize().ok());
    home.is_some_and(|home| home.starts_with(root))
}

/// Type of a directory entry.
#[derive(Clone, Debug, PartialEq, Eq)]
enum EntryKind {
    Directory,
    /// A file. Its content, size and mode are those that it has when it is packed.
    File,
    /// A symbolic link and its target.
    Link(String),
}

/// The files of a directory that are uploaded, sorted by path.
#[derive(Clone, Debug)]
pub(crate) struct ConfigDir {
    /// The directory itself, wherever it is moved.
    root: Arc<File>,
    entries: Vec<(String, EntryKind)>,
    /// Files without which nothing can be evaluated.
    required: Vec<String>,
    /// The size of all files when they were listed, in bytes.
    pub(super) bytes: u64,
}

/// A directory that is uploaded, and its path in the builder.
#[derive(Clone, Debug)]
pub struct UploadDir {
    /// The path in the builder.
    pub(super) place: String,
    /// The files.
    pub(super) files: ConfigDir,
}

/// Which files of a directory are uploaded.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// The files.
    pub(super) files: Files,
    /// Files that are uploaded in any case, if they exist.
    pub(super) always: Vec<String>,
    /// Files that are not.
    pub(super) excluded: Vec<FileId>,
    /// Whether the directory is an input of a flake. The user chose it as it is, so its size is not warned of.
    pub(super) is_input: bool,
}

/// The files of a [`Selection`].
#[derive(Clone, Debug)]
pub(super) enum Files {
    /// Those that no ignore file lists. Symbolic links that lead out of the directory are refused.
    NotIgnored {
        /// Whether hidden files are left out too.
        no_hidden: bool,
    },
    /// Those with these names that exist. Symbolic links keep their target, wherever it is; none is followed.
    Named(Vec<String>),
}

impl Default for Files {
    fn default() -> Self {
        Self::NotIgnored { no_hidden: false }
    }
}

impl ConfigDir {
    /// Lists the selected files of the directory `root`. Usage errors: it is too large, or has names or links that cannot
    /// be uploaded.
    pub(super) fn collect(
        root: &Path,
        selection: Selection,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Self, Failure> {
        let dir = File::open(root).or_usage(format!("open {}", root.display()))?;
        let Selection {
            files,
            always,
            excluded,
            is_input,
        } = selection;
        let mut lister = Lister {
            root,
            excluded,
            always: &always,
            keeps_links: matches!(files, Files::Named(_)),
            cancel,
            events,
            entries: Vec::new(),
            sizes: Sizes::default(),
            is_input,
        };
        match files {
            Files::NotIgnored { no_hidden } => lister.add_all(walk(root, no_hidden)?)?,
            Files::Named(names) => lister.add_named(&names)?,
        }
        lister.add_missing()?;
        if let Some(warning) = lister.sizes.warning().filter(|_| !is_input) {
            events.warn(warning);
        }
        let bytes = lister.sizes.bytes;
        let mut entries = lister.entries;
        entries.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        Ok(Self {
            root: Arc::new(dir),
            entries,
            required: always,
            bytes,
        })
    }
}

impl ConfigDir {
    /// The files, which are in the directory `root`, for the store volume.
    pub(super) fn stored(self, root: &Path) -> TreeFiles {
        let names = self.entries.into_iter().map(|(name, _)| name);
        TreeFiles::listed(root, names.collect())
    }
}

#[cfg(test)]
impl ConfigDir {
    /// The names of everything that is uploaded.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }
}

/// Lists a directory.
struct Lister<'a> {
    root: &'a Path,
    excluded: Vec<FileId>,
    /// Files that are uploaded even if an ignore file lists them.
    always: &'a [String],
    /// Whether symbolic links keep their target wherever it is; otherwise one that leads out is refused.
    keeps_links: bool,
    cancel: &'a Cancel,
    events: &'a Events,
    entries: Vec<(String, EntryKind)>,
    sizes: Sizes,
    is_input: bool,
}

impl Lister<'_> {
    /// Adds everything that is uploaded.
    fn add_all(
        &mut self,
        paths: impl Iterator<Item = Result<PathBuf, Failure>>,
    ) -> Result<(), Failure> {
        for path in paths {
            self.check_cancelled()?;
            let entry = path.and_then(|path| self.entry(&path))?;
            self.entries.extend(entry);
            if self.sizes.are_too_large() {
                return Err(self.sizes.failure(self.root, self.is_input));
            }
        }
        Ok(())
    }

    /// Adds the files with these names that exist, and the directories above them. A file below a symbolic link does not
    /// exist for git.
    fn add_named(&mut self, names: &[String]) -> Result<(), Failure> {
        let mut parents = BTreeMap::new();
        let mut existing = Vec::new();
        for name in names {
            if is_below_real_dirs(self.root, name, &mut parents) {
                existing.push(Ok(self.root.join(name)));
            }
        }
        let dirs = parents.into_iter().filter(|(_, is_dir)| *is_dir);
        let dirs = dirs.map(|(name, _)| (name, EntryKind::Directory));
        self.entries.extend(dirs);
        self.add_all(existing.into_iter())
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
            let target = if self.keeps_links {
                any_target(path, &name)?
            } else {
                inner_target(path, &name)?
            };
            match target {
                Some(target) => EntryKind::Link(target),
                None => return Ok(None),
            }
        } else if meta.is_dir() {
            EntryKind::Directory
        } else if self.excluded.contains(&FileId::of(&meta)) {
            return Ok(None);
        } else if meta.is_file() {
            // Opened now to report an unreadable file before anything is started. Those of an input may be many.
            if !self.is_input {
                let opened = plain_file::open_unlinked(path);
                if is_gone(&opened) {
                    return Ok(None);
                }
                opened
                    .or_usage(format!("read {}", shown_path(path)))
                    .map_err(|failure| failure.hint(IGNORE_HINT))?;
            }
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

    /// Adds the files that are uploaded in any case, if they exist and are not listed yet.
    fn add_missing(&mut self) -> Result<(), Failure> {
        for name in self.always {
            if !self.entries.iter().any(|(listed, _)| listed == name) {
                let entry = self.entry(&self.root.join(name))?;
                self.entries.extend(entry);
            }
        }
        Ok(())
    }
}

/// Whether everything above the file `name` is a directory, and no symbolic link; `known` keeps what was found.
fn is_below_real_dirs(root: &Path, name: &str, known: &mut BTreeMap<String, bool>) -> bool {
    let parents = Path::new(name).ancestors().skip(1);
    let parents: Vec<&Path> = parents.filter(|dir| *dir != Path::new("")).collect();
    parents.into_iter().rev().all(|dir| {
        let key = dir.to_string_lossy().into_owned();
        *known.entry(key).or_insert_with(|| {
            let meta = root.join(dir).symlink_metadata();
            meta.is_ok_and(|meta| meta.is_dir())
        })
    })
}

/// The target of the link `path`, wherever it is; `None` when the link is gone by now.
fn any_target(path: &Path, name: &str) -> Result<Option<String>, Failure> {
    let Some(target) = read(path, name)? else {
        return Ok(None);
    };
    let target = target.into_os_string().into_string();
    target
        .map(Some)
        .map_err(|_| Failure::usage(format!("the target of the link {name} is not plain UTF-8")))
}

/// The target of the link `path` if it stays inside the directory; `None` for a link into the Nix store, as `nix-build`
/// creates them, and for one that is gone by now. A usage error for any other link.
fn inner_target(path: &Path, name: &str) -> Result<Option<String>, Failure> {
    let Some(target) = read(path, name)? else {
        return Ok(None);
    };
    if target.starts_with("/nix/store") {
        return Ok(None);
    }
    let depth = Path::new(name).components().count().saturating_sub(1);
    match target.to_str() {
        Some(text) if stays_inside(&target, depth) => Ok(Some(text.to_owned())),
        _ => Err(Failure::usage(format!(
            "the link `{name}` leads out of the configuration's directory, to {}",
            target.display()
        ))
        .hint("replace it with a copy, because only the directory itself is uploaded")
        .hint(IGNORE_HINT)),
    }
}

fn read(path: &Path, name: &str) -> Result<Option<PathBuf>, Failure> {
    let target = fs::read_link(path);
    if is_gone(&target) {
        return Ok(None);
    }
    target.or_usage(format!("read the link {name}")).map(Some)
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

/// Bytes from which on the user is warned: configurations are small, larger files are there by mistake.
const WARN_BYTES: u64 = 64 << 20;
/// Largest directory in bytes.
const MAX_UPLOAD_BYTES: u64 = 2 << 30;
/// Most files and directories; with more it is not a configuration's directory but a whole disk.
const MAX_ENTRIES: u64 = 200_000;
/// Files or directories that a message names.
const MAX_NAMED: usize = 5;
/// Smaller files are not named.
const LARGE_FILE: u64 = 1_000_000;
const OWN_DIR_HINT: &str = "move the configuration into its own directory";
const OWN_INPUT_HINT: &str = "name a directory that has only the input";

/// Sizes and number of files.
#[derive(Debug, Default)]
struct Sizes {
    bytes: u64,
    entries: u64,
    /// Size and name of the largest files, the largest first.
    largest: Vec<(u64, String)>,
}

impl Sizes {
    /// Counts the file `name` of `size` bytes, or something else without a size.
    fn add(&mut self, name: &str, size: u64) {
        self.bytes = self.bytes.saturating_add(size);
        self.entries += 1;
        let smallest = self.largest.get(MAX_NAMED - 1).map_or(0, |(size, _)| *size);
        if size >= LARGE_FILE.max(smallest) {
            self.largest.push((size, name.to_owned()));
            self.largest.sort_by(|a, b| b.cmp(a));
            self.largest.truncate(MAX_NAMED);
        }
    }

    /// Whether the directory is too large to be uploaded.
    fn are_too_large(&self) -> bool {
        self.bytes > MAX_UPLOAD_BYTES || self.entries > MAX_ENTRIES
    }

    /// The failure for the directory `root`, which is too large: the configuration's, or that of an input of a flake.
    fn failure(&self, root: &Path, is_input: bool) -> Failure {
        let root = root.display();
        let excess = if self.bytes > MAX_UPLOAD_BYTES {
            "more than 2 GiB"
        } else {
            "more than 200,000 files"
        };
        let (whose, what_to_do) = if is_input {
            ("the input's", OWN_INPUT_HINT)
        } else {
            ("the configuration's", OWN_DIR_HINT)
        };
        let text = format!("{whose} directory {root} has {excess}");
        Failure::usage(text)
            .hint(format!("{what_to_do}: the whole directory is uploaded"))
            .hint(format!(
                "or list what the build does not need in .sdbuildignore{}",
                self.largest()
            ))
    }

    /// The largest files that were seen, as the end of a hint.
    fn largest(&self) -> String {
        let shown = |(size, name): &(u64, String)| format!("{name} ({})", human_bytes(*size));
        let all: Vec<_> = self.largest.iter().map(shown).collect();
        match all.as_slice() {
            [] => String::new(),
            all => format!("; the largest so far: {}", all.join(", ")),
        }
    }

    /// The warning of a directory that is larger than it should be.
    fn warning(&self) -> Option<String> {
        (self.bytes > WARN_BYTES).then(|| {
            format!(
                "the configuration's directory has {}, and sdbuild uploads all of it: {OWN_DIR_HINT}, or list what the build \
                 does not need in .sdbuildignore{}",
                human_bytes(self.bytes),
                self.largest()
            )
        })
    }
}

#[cfg(test)]
mod tests;
