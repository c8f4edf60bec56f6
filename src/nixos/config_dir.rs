//! The files of a configuration's directory: found once, checked, packed in a fixed order.

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

/// From here on a user hears about it: configurations are small, what is not was left lying there.
const LARGE: u64 = 64 << 20;
/// From here on it is a mistake.
const TOO_LARGE: u64 = 2 << 30;
/// A configuration with so many files is somebody's whole disk.
const TOO_MANY: usize = 200_000;
const OWN_DIR_HINT: &str = "move the configuration into a directory of its own";

/// What one path is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum EntryKind {
    Directory,
    File(ConfigEntry),
    Link(String),
}

/// A file as it was found: what is packed later must be the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ConfigEntry {
    size: u64,
    executable: bool,
    device: u64,
    inode: u64,
}

impl ConfigEntry {
    fn new(meta: &Metadata) -> Self {
        Self {
            size: meta.len(),
            executable: meta.mode() & 0o100 != 0,
            device: meta.dev(),
            inode: meta.ino(),
        }
    }

    /// The same file again. A link in its place, or in a directory's above it, leads to another one.
    fn reopen(&self, path: &Path) -> io::Result<File> {
        let changed = || io::Error::other("it changed while it was read");
        let file = plain_file::open_unlinked(path).map_err(|error| {
            use io::ErrorKind::{InvalidInput, NotADirectory, NotFound};
            let gone = matches!(error.kind(), InvalidInput | NotADirectory | NotFound);
            if gone { changed() } else { error }
        })?;
        let same = Self::new(&file.metadata()?) == *self;
        if same { Ok(file) } else { Err(changed()) }
    }
}

/// What goes along with a configuration, sorted by path.
#[derive(Clone, Debug)]
pub struct ConfigDir {
    root: PathBuf,
    entries: Vec<(String, EntryKind)>,
}

impl ConfigDir {
    /// Walks the directory of `configuration`.
    pub(super) fn collect(
        configuration: &Configuration,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Self, Failure> {
        let root = configuration.root().to_path_buf();
        let mut bundle = Self {
            root,
            entries: Vec::new(),
        };
        let mut size = 0u64;
        if configuration.is_home() {
            events.warn("the configuration lies in your home directory: all of it but hidden files goes into the builder; give it a directory of its own");
        }
        for path in walk(&bundle.root, configuration.is_home())? {
            if cancel.is_cancelled() {
                return Err(Failure::interrupted());
            }
            let Some((name, kind)) = bundle.look(&path?, events)? else {
                continue;
            };
            if let EntryKind::File(file) = kind {
                size = size.saturating_add(file.size);
            }
            bundle.entries.push((name, kind));
            bundle.refuse_excess(size)?;
        }
        bundle.always(configuration.file(), events)?;
        bundle
            .entries
            .sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        if size > LARGE {
            bundle.warn_of_size(size, events);
        }
        Ok(bundle)
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files().map(|(size, _)| size).sum()
    }

    /// SHA-256 of everything that the builder will see: the same directory, the same digest.
    pub fn digest(&self) -> io::Result<[u8; 32]> {
        let mut hash = Hasher::new();
        let mut packer = TarWriter::new(&mut hash, Owner { uid: 0, gid: 0 });
        self.pack(&mut packer, "config")?;
        packer.finish()?;
        Ok(hash.finish().sha256.into())
    }

    /// Writes everything below `prefix`.
    pub(super) fn pack(&self, packer: &mut TarWriter<'_>, prefix: &str) -> io::Result<()> {
        for (name, kind) in &self.entries {
            let path = format!("{prefix}/{name}");
            let written = match kind {
                EntryKind::Directory => packer.directory(&path),
                EntryKind::Link(target) => packer.link(&path, target),
                EntryKind::File(plain) => plain
                    .reopen(&self.root.join(name))
                    .and_then(|file| packer.file(&path, (plain.size, plain.executable), file)),
            };
            written.map_err(|e| io::Error::new(e.kind(), format!("{name}: {e}")))?;
        }
        Ok(())
    }

    /// What `path` is, when it goes along.
    fn look(&self, path: &Path, events: &Events) -> Result<Option<(String, EntryKind)>, Failure> {
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
            // asked now, so that it is said before anything was started
            let opened = plain_file::open_unlinked(path).and_then(|file| file.metadata());
            let opened = opened
                .or_usage(format!("read {name}"))
                .map_err(|f| f.hint(IGNORE_HINT))?;
            EntryKind::File(ConfigEntry::new(&opened))
        } else {
            events.warn(format!(
                "{name} is no file, directory or link: it stays behind"
            ));
            return Ok(None);
        };
        Ok(Some((name, kind)))
    }

    fn name(&self, path: &Path) -> Result<String, Failure> {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        let name = relative.to_str().filter(|n| !n.contains(['\n', '\0']));
        name.map(str::to_owned).ok_or_else(|| {
            Failure::usage(format!(
                "the name of {} is not plain UTF-8",
                relative.display()
            ))
            .hint("rename it, or leave its directory behind by a line in .sdbuildignore")
        })
    }

    /// Adds the configuration itself when something ignored it.
    fn always(&mut self, file: &str, events: &Events) -> Result<(), Failure> {
        if !self.entries.iter().any(|(name, _)| name == file) {
            self.entries
                .extend(self.look(&self.root.join(file), events)?);
        }
        Ok(())
    }

    fn refuse_excess(&self, size: u64) -> Result<(), Failure> {
        let excess = if size > TOO_LARGE {
            "holds more than 2 GiB"
        } else if self.entries.len() > TOO_MANY {
            "holds more than 200,000 files"
        } else {
            return Ok(());
        };
        let root = self.root.display();
        Err(
            Failure::usage(format!("the configuration's directory {root} {excess}"))
                .hint(format!(
                    "{OWN_DIR_HINT}; it goes into the builder with all it holds"
                ))
                .hint(format!("largest: {}", self.largest())),
        )
    }

    fn warn_of_size(&self, size: u64, events: &Events) {
        events.warn(format!(
            "the configuration's directory holds {} MiB, all of which goes into the builder; {OWN_DIR_HINT}, \
             or name what is not needed in .sdbuildignore; largest: {}",
            size >> 20,
            self.largest()
        ));
    }

    /// The five largest files, for messages.
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

    fn files(&self) -> impl Iterator<Item = (u64, &str)> {
        self.entries.iter().filter_map(|(name, kind)| match kind {
            EntryKind::File(plain) => Some((plain.size, name.as_str())),
            EntryKind::Directory | EntryKind::Link(_) => None,
        })
    }
}

/// The target of a link that stays inside; `None` for one into a Nix store.
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
        .hint("put a copy in its place: only the directory itself goes into the builder")
        .hint(IGNORE_HINT)),
    }
}

/// Whether a relative `target`, seen from `depth` directories below the root, never climbs above it.
fn stays_inside(target: &Path, depth: usize) -> bool {
    let mut depth = depth;
    target.components().all(|part| match part {
        Component::ParentDir => depth.checked_sub(1).inspect(|up| depth = *up).is_some(),
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
