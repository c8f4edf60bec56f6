//! The files of a configuration's directory: listed and checked once, packed in a fixed order.
//!
//! They are packed twice, to compute the digest and to upload them: the digest is needed before the builder exists, and
//! keeping the archive would take up to 2 GiB of memory or disk.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use super::ignore_rules::{IGNORE_HINT, walk};
use super::source::Configuration;
use super::tar_writer::{Owner, TarWriter};
use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::{Failure, OrFail};
use crate::common::hash::Hasher;
use crate::common::plain_file;

/// Bytes from which on the user is warned: configurations are small, larger files are there by mistake.
const WARN_BYTES: u64 = 64 << 20;
/// Largest directory in bytes.
const MAX_BYTES: u64 = 2 << 30;
/// Most files and directories; with more it is not a configuration's directory but a whole disk.
const MAX_ENTRIES: usize = 200_000;
const OWN_DIR_HINT: &str = "move the configuration into a directory of its own";

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum EntryKind {
    Directory,
    File(ListedFile),
    /// A symbolic link and its target.
    Link(String),
}

/// A file as it was listed. The file that is packed later must be the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListedFile {
    size: u64,
    executable: bool,
    device: u64,
    inode: u64,
}

impl ListedFile {
    fn new(meta: &Metadata) -> Self {
        Self {
            size: meta.len(),
            executable: meta.mode() & 0o100 != 0,
            device: meta.dev(),
            inode: meta.ino(),
        }
    }

    /// Opens the file again; an error when `path` is another file now, for instance because a symbolic link replaced it
    /// or a directory above it.
    fn reopen(&self, path: &Path) -> io::Result<File> {
        let changed = || io::Error::other("it changed while it was read");
        let file = plain_file::open_unlinked(path).map_err(|error| {
            use io::ErrorKind::{InvalidInput, NotADirectory, NotFound};
            let replaced = matches!(error.kind(), InvalidInput | NotADirectory | NotFound);
            if replaced { changed() } else { error }
        })?;
        let is_same = Self::new(&file.metadata()?) == *self;
        if is_same { Ok(file) } else { Err(changed()) }
    }
}

/// The files that are uploaded with a configuration, sorted by path.
#[derive(Clone, Debug)]
pub struct ConfigDir {
    root: PathBuf,
    entries: Vec<(String, EntryKind)>,
}

impl ConfigDir {
    /// Lists the directory of `configuration`. Usage errors: it is too large, or has names or links that cannot be
    /// uploaded.
    pub(super) fn collect(
        configuration: &Configuration,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Self, Failure> {
        let root = configuration.root().to_path_buf();
        let mut dir = Self {
            root,
            entries: Vec::new(),
        };
        let mut size = 0u64;
        if configuration.is_home() {
            events.warn("the configuration is in your home directory: everything in it except hidden files is uploaded to the builder; move the configuration into a directory of its own");
        }
        for path in walk(&dir.root, configuration.is_home())? {
            if cancel.is_cancelled() {
                return Err(Failure::interrupted());
            }
            let Some((name, kind)) = dir.entry(&path?, events)? else {
                continue;
            };
            if let EntryKind::File(file) = kind {
                size = size.saturating_add(file.size);
            }
            dir.entries.push((name, kind));
            dir.check_size(size)?;
        }
        dir.add_missing(configuration.file(), events)?;
        dir.entries
            .sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        if size > WARN_BYTES {
            dir.warn_of_size(size, events);
        }
        Ok(dir)
    }

    /// Total size of all files in bytes.
    pub fn size(&self) -> u64 {
        self.files().map(|(size, _)| size).sum()
    }

    /// SHA-256 of names, modes and contents of all files. Reads every file.
    pub fn digest(&self) -> io::Result<[u8; 32]> {
        let mut hash = Hasher::new();
        let mut tar = TarWriter::new(&mut hash, Owner { uid: 0, gid: 0 });
        self.pack(&mut tar, "config")?;
        tar.finish()?;
        Ok(hash.finish().sha256.into())
    }

    /// Writes all files to `tar`, below `prefix`.
    pub(super) fn pack(&self, tar: &mut TarWriter<'_>, prefix: &str) -> io::Result<()> {
        for (name, kind) in &self.entries {
            let path = format!("{prefix}/{name}");
            let written = match kind {
                EntryKind::Directory => tar.directory(&path),
                EntryKind::Link(target) => tar.link(&path, target),
                EntryKind::File(listed) => listed
                    .reopen(&self.root.join(name))
                    .and_then(|file| tar.file(&path, listed.size, listed.executable, file)),
            };
            written.map_err(|e| io::Error::new(e.kind(), format!("{name}: {e}")))?;
        }
        Ok(())
    }

    /// The entry for `path`; `None` when it is not uploaded.
    fn entry(&self, path: &Path, events: &Events) -> Result<Option<(String, EntryKind)>, Failure> {
        let name = self.name(path)?;
        let meta = path.symlink_metadata().or_usage(format!("read {name}"))?;
        let kind = if meta.is_symlink() {
            match link_inside(path, &name)? {
                Some(target) => EntryKind::Link(target),
                None => return Ok(None),
            }
        } else if meta.is_dir() {
            EntryKind::Directory
        } else if meta.is_file() {
            // Opened now to report an unreadable file before anything is started.
            let opened = plain_file::open_unlinked(path).and_then(|file| file.metadata());
            let opened = opened
                .or_usage(format!("read {name}"))
                .map_err(|f| f.hint(IGNORE_HINT))?;
            EntryKind::File(ListedFile::new(&opened))
        } else {
            events.warn(format!(
                "{name} is not a file, directory or symbolic link, and is not uploaded"
            ));
            return Ok(None);
        };
        Ok(Some((name, kind)))
    }

    /// The path below the root as text.
    fn name(&self, path: &Path) -> Result<String, Failure> {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
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
    fn add_missing(&mut self, file: &str, events: &Events) -> Result<(), Failure> {
        if !self.entries.iter().any(|(name, _)| name == file) {
            self.entries
                .extend(self.entry(&self.root.join(file), events)?);
        }
        Ok(())
    }

    fn check_size(&self, size: u64) -> Result<(), Failure> {
        let excess = if size > MAX_BYTES {
            "has more than 2 GiB"
        } else if self.entries.len() > MAX_ENTRIES {
            "has more than 200,000 files"
        } else {
            return Ok(());
        };
        let root = self.root.display();
        Err(
            Failure::usage(format!("the configuration's directory {root} {excess}"))
                .hint(format!("{OWN_DIR_HINT}: the whole directory is uploaded"))
                .hint(format!("largest: {}", self.largest())),
        )
    }

    fn warn_of_size(&self, size: u64, events: &Events) {
        events.warn(format!(
            "the configuration's directory has {} MiB, all of which is uploaded to the builder; {OWN_DIR_HINT}, \
             or list what is not needed in .sdbuildignore; largest: {}",
            size >> 20,
            self.largest()
        ));
    }

    /// The five largest files with their sizes, for messages.
    fn largest(&self) -> String {
        let mut files: Vec<_> = self.files().collect();
        files.sort_by(|a, b| b.cmp(a));
        let shown = |(size, name): &(u64, &str)| format!("{name} ({} MiB)", size >> 20);
        files
            .iter()
            .take(5)
            .map(shown)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Size and name of every file.
    fn files(&self) -> impl Iterator<Item = (u64, &str)> {
        self.entries.iter().filter_map(|(name, kind)| match kind {
            EntryKind::File(listed) => Some((listed.size, name.as_str())),
            EntryKind::Directory | EntryKind::Link(_) => None,
        })
    }
}

/// The target of a symbolic link that stays inside the directory; `None` for a link into the Nix store, as `nix-build`
/// creates them. A usage error for any other link.
fn link_inside(path: &Path, name: &str) -> Result<Option<String>, Failure> {
    let target = fs::read_link(path).or_usage(format!("read the link {name}"))?;
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
