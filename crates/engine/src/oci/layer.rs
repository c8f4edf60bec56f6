//! Unpacks packages and makes one layer of them: the same bytes on every machine and at any time.
//!
//! Paths are sorted, owners and modes are explicit, and every modification time is the first second of 1970,
//! as in a Nix store. Content is kept in unnamed temporary files, not in memory. A path in two packages is an
//! error: no order of unpacking would be right.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sdbuild_core::hash::{Hashing, Sha256Hash};
use sdbuild_core::to_usize::to_usize;
use sdbuild_core::untrusted::Kept;
use tokio_util::sync::CancellationToken;

use super::deb;
use super::deb::{DebError, Entry, EntryKind};
use crate::artifact::Content;

/// Directories that are links into `usr`: Debian has merged them.
pub(super) const MERGED_DIRS: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
/// The directory of the certificates that are trusted by default.
const CERTIFICATE_DIR: &str = "usr/share/ca-certificates/mozilla/";
/// The one file that programs read all of them from.
const CERTIFICATE_BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error(transparent)]
    Deb(#[from] DebError),
    /// A temporary file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0} exists twice")]
    Duplicate(String),
    #[error("{0} is not a directory")]
    NotADirectory(String),
    #[error("{0} is a hard link to a file that does not exist")]
    DanglingLink(String),
    #[error("{0} ends early")]
    Truncated(String),
    #[error("{path} has SHA-256 {got}, pinned is {pinned}")]
    WrongHash {
        path: String,
        got: Sha256Hash,
        pinned: Sha256Hash,
    },
    #[error("{0} is not in its package")]
    Missing(String),
    #[error("interrupted")]
    Interrupted,
}

#[derive(Clone, Debug)]
pub(super) enum Blob {
    Spooled(FileSlice),
    Bytes(Vec<u8>),
}

impl Blob {
    fn len(&self) -> u64 {
        match self {
            Self::Spooled(slice) => slice.remaining,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Identifies a spooled file: hard links have the same identity. Empty files have none.
    fn identity(&self) -> Option<(*const File, u64)> {
        match self {
            Self::Spooled(FileSlice { file, offset, .. }) if self.len() > 0 => {
                Some((Arc::as_ptr(file), *offset))
            }
            Self::Spooled(_) | Self::Bytes(_) => None,
        }
    }

    fn reader(&self) -> Box<dyn Read + '_> {
        match self {
            Self::Spooled(slice) => Box::new(slice.clone()),
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
        }
    }
}

/// Part of a temporary file, which reading shortens.
#[derive(Clone, Debug)]
pub(super) struct FileSlice {
    file: Arc<File>,
    offset: u64,
    remaining: u64,
}

impl Read for FileSlice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = to_usize(self.remaining).min(buffer.len());
        let (buffer, _) = buffer.split_at_mut(length);
        let n = self.file.read_at(buffer, self.offset)?;
        self.offset += n as u64;
        self.remaining -= n as u64;
        Ok(n)
    }
}

#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Dir,
    File(Blob),
    Symlink(String),
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) mode: u32,
    /// The number of the user and the group.
    pub(super) owner: u32,
    pub(super) kind: NodeKind,
}

impl Node {
    /// A path that belongs to root.
    fn of_root(mode: u32, kind: NodeKind) -> Self {
        Self {
            mode,
            owner: 0,
            kind,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct LayerTree(BTreeMap<String, Node>);

impl LayerTree {
    /// Adds the paths of one package.
    pub(super) fn add(&mut self, unpacked: Vec<(String, Node)>) -> Result<(), LayerError> {
        for (path, node) in unpacked {
            match self.0.entry(path) {
                Slot::Vacant(slot) => {
                    slot.insert(node);
                }
                Slot::Occupied(slot) => match (&slot.get().kind, &node.kind) {
                    (NodeKind::Dir, NodeKind::Dir) => {}
                    _ => return Err(LayerError::Duplicate(slot.key().clone())),
                },
            }
        }
        Ok(())
    }

    /// Sets a path, and replaces what was there.
    pub(super) fn set(&mut self, path: &str, node: Node) {
        self.0.insert(path.to_owned(), node);
    }

    /// Joins the certificates into one file, as `update-ca-certificates` would.
    pub(super) fn bundle_certificates(&mut self) -> io::Result<()> {
        let mut bundle = Vec::new();
        for (path, node) in &self.0 {
            if let NodeKind::File(blob) = &node.kind
                && path.starts_with(CERTIFICATE_DIR)
            {
                blob.reader().read_to_end(&mut bundle)?;
                if bundle.last() != Some(&b'\n') {
                    bundle.push(b'\n');
                }
            }
        }
        if !bundle.is_empty() {
            let kind = NodeKind::File(Blob::Bytes(bundle));
            self.set(CERTIFICATE_BUNDLE, Node::of_root(0o644, kind));
        }
        Ok(())
    }

    /// Adds the links into `usr`, and the directories that the paths are in.
    pub(super) fn complete(&mut self) -> Result<(), LayerError> {
        let parents: Vec<String> = self.0.keys().flat_map(|path| parents(path)).collect();
        for parent in parents {
            match self.0.entry(parent) {
                Slot::Vacant(slot) => {
                    slot.insert(Node::of_root(0o755, NodeKind::Dir));
                }
                Slot::Occupied(slot) if matches!(slot.get().kind, NodeKind::Dir) => {}
                Slot::Occupied(slot) => return Err(LayerError::NotADirectory(slot.key().clone())),
            }
        }
        for name in MERGED_DIRS {
            if self.0.contains_key(&format!("usr/{name}")) {
                let kind = NodeKind::Symlink(format!("usr/{name}"));
                self.set(name, Node::of_root(0o777, kind));
            }
        }
        Ok(())
    }

    /// Writes the layer as a tar archive, until it is cancelled.
    pub(super) fn write(
        &self,
        to: impl Write,
        token: &CancellationToken,
    ) -> Result<(), LayerError> {
        let mut tar = tar::Builder::new(to);
        let mut first_names = BTreeMap::new();
        for (path, node) in &self.0 {
            if token.is_cancelled() {
                return Err(LayerError::Interrupted);
            }
            let mut header = tar::Header::new_gnu();
            header.set_mode(node.mode);
            header.set_uid(node.owner.into());
            header.set_gid(node.owner.into());
            header.set_mtime(1);
            header.set_size(0);
            match &node.kind {
                NodeKind::Dir => {
                    header.set_entry_type(tar::EntryType::Directory);
                    tar.append_data(&mut header, format!("{path}/"), io::empty())?;
                }
                NodeKind::Symlink(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    tar.append_link(&mut header, path, target)?;
                }
                NodeKind::File(blob) => {
                    let first = blob
                        .identity()
                        .map(|id| *first_names.entry(id).or_insert(path));
                    if let Some(first) = first.filter(|first| *first != path) {
                        header.set_entry_type(tar::EntryType::Link);
                        tar.append_link(&mut header, path, first)?;
                    } else {
                        header.set_entry_type(tar::EntryType::Regular);
                        header.set_size(blob.len());
                        tar.append_data(&mut header, path, blob.reader())?;
                    }
                }
            }
        }
        tar.finish()?;
        Ok(())
    }
}

fn parents(path: &str) -> impl Iterator<Item = String> + '_ {
    path.match_indices('/')
        .filter_map(|(at, _)| path.get(..at))
        .map(str::to_owned)
}

/// Directories that no program in our containers reads.
const EXCLUDED_DIRS: [&str; 10] = [
    "usr/share/man/",
    "usr/share/locale/",
    "usr/share/info/",
    "usr/share/i18n/",
    "usr/share/lintian/",
    "usr/share/bug/",
    "usr/share/doc-base/",
    "usr/share/bash-completion/",
    "usr/share/zsh/",
    "usr/lib/systemd/",
];

pub(super) enum Selection<'a> {
    /// Everything that a container may need.
    All,
    /// These files only; each must have the hash of its pin.
    Only(Vec<&'a Content>),
}

/// Unpacks `package` into the empty file `spool`, until it is cancelled. Returns the paths that were selected.
pub(super) fn unpack(
    package: impl Read,
    selection: &Selection<'_>,
    spool: File,
    token: &CancellationToken,
) -> Result<Vec<(String, Node)>, LayerError> {
    let spool = Arc::new(spool);
    let writer = BufWriter::with_capacity(256 * 1024, spool.clone());
    let mut unpacker = Unpacker {
        selection,
        spool,
        writer,
        spooled: 0,
        nodes: BTreeMap::new(),
        room: Kept::default(),
    };
    deb::read(package, |entry, body| {
        if token.is_cancelled() {
            return Err(LayerError::Interrupted);
        }
        unpacker.visit(entry, body)?;
        Ok(!unpacker.is_complete())
    })?;
    unpacker.finish()
}

struct Unpacker<'a> {
    selection: &'a Selection<'a>,
    spool: Arc<File>,
    writer: BufWriter<Arc<File>>,
    spooled: u64,
    nodes: BTreeMap<String, Node>,
    /// Counts what the nodes take.
    room: Kept<Node>,
}

impl Unpacker<'_> {
    fn visit(&mut self, entry: Entry, body: &mut dyn Read) -> Result<(), LayerError> {
        let path = merged(entry.path);
        let pin = match self.selection {
            Selection::All if is_needed(&path, &entry.kind) => None,
            Selection::All => return Ok(()),
            Selection::Only(pins) => match pins.iter().find(|pin| pin.path == path) {
                Some(pin) => Some(*pin),
                None => return Ok(()),
            },
        };
        let kind = match entry.kind {
            EntryKind::File(length) => NodeKind::File(self.spool(&path, length, body, pin)?),
            _ if pin.is_some() => return Err(LayerError::Missing(path)),
            EntryKind::Dir => NodeKind::Dir,
            EntryKind::Symlink(target) => NodeKind::Symlink(target),
            EntryKind::Hardlink(target) => match self.nodes.get(&merged(target)) {
                Some(Node {
                    kind: NodeKind::File(blob),
                    ..
                }) => NodeKind::File(blob.clone()),
                Some(_) | None => return Err(LayerError::DanglingLink(path)),
            },
        };
        let is_dir = matches!(kind, NodeKind::Dir);
        let target = match &kind {
            NodeKind::Symlink(target) => target.len(),
            NodeKind::Dir | NodeKind::File(_) => 0,
        };
        let room = size_of::<(String, Node)>() + path.len() + target;
        self.room.grow(room).map_err(io::Error::other)?;
        // Only the owner may write, as after unpacking with umask 022.
        let node = Node::of_root(entry.mode & 0o755, kind);
        match self.nodes.insert(path.clone(), node) {
            Some(Node {
                kind: NodeKind::Dir,
                ..
            }) if is_dir => Ok(()),
            Some(_) => Err(LayerError::Duplicate(path)),
            None => Ok(()),
        }
    }

    /// Copies the file `path` into the spool, and verifies it if it has a pin.
    fn spool(
        &mut self,
        path: &str,
        length: u64,
        body: &mut dyn Read,
        pin: Option<&Content>,
    ) -> Result<Blob, LayerError> {
        let copied = match pin {
            None => io::copy(body, &mut self.writer)?,
            Some(pin) => {
                let mut to = Hashing::new(&mut self.writer);
                let copied = io::copy(body, &mut to)?;
                let got = to.finish().sha256;
                if got != pin.sha256 {
                    let path = path.to_owned();
                    return Err(LayerError::WrongHash {
                        path,
                        got,
                        pinned: pin.sha256,
                    });
                }
                copied
            }
        };
        if copied != length {
            return Err(LayerError::Truncated(path.to_owned()));
        }
        let blob = Blob::Spooled(FileSlice {
            file: self.spool.clone(),
            offset: self.spooled,
            remaining: length,
        });
        self.spooled += length;
        Ok(blob)
    }

    /// Whether the rest of the package is not needed: of QEMU's only the emulator of one architecture is.
    fn is_complete(&self) -> bool {
        match self.selection {
            Selection::All => false,
            Selection::Only(pins) => pins.iter().all(|pin| self.nodes.contains_key(&pin.path)),
        }
    }

    fn finish(mut self) -> Result<Vec<(String, Node)>, LayerError> {
        self.writer.flush()?;
        if let Selection::Only(pins) = self.selection
            && let Some(pin) = pins.iter().find(|pin| !self.nodes.contains_key(&pin.path))
        {
            return Err(LayerError::Missing(pin.path.clone()));
        }
        Ok(self.nodes.into_iter().collect())
    }
}

/// The path in `usr` of a path below `/bin` and the other directories that are links.
fn merged(path: String) -> String {
    match path.split_once('/') {
        Some((top, _)) if MERGED_DIRS.contains(&top) => format!("usr/{path}"),
        _ => path,
    }
}

fn is_needed(path: &str, kind: &EntryKind) -> bool {
    let dir = matches!(kind, EntryKind::Dir);
    if let Some(document) = path.strip_prefix("usr/share/doc/") {
        // Licences are kept, and links to the licences of another package.
        return document.ends_with("/copyright") && !dir
            || matches!(kind, EntryKind::Symlink(_)) && !document.contains('/');
    }
    let inside = |name: &str| {
        path.strip_prefix(name.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    !(MERGED_DIRS.contains(&path)
        || EXCLUDED_DIRS.iter().any(|name| inside(name))
        || path.starts_with("usr/lib/") && path.split('/').nth(3) == Some("gconv"))
}
