//! Files → one layer, the same to the byte wherever and whenever it is made.
//!
//! Paths are sorted; owner and mode are explicit; every file is of the first second of 1970, as in
//! a Nix store. Bytes wait in nameless temporary files and not in memory. What two packages both
//! claim is refused: no order of unpacking could make it right.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::deb::DebError;
use crate::common::hash::Sha256Hash;

/// Directories that are links into `usr` on every system of today.
pub(super) const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
/// Where the certificates lie that are trusted by default.
const CERTIFICATES: &str = "usr/share/ca-certificates/mozilla/";
/// Where programs look for all of them in one file.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Why a layer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A package is not fit.
    #[error(transparent)]
    Deb(#[from] DebError),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Two things want to be at one path.
    #[error("{0} is there twice")]
    Twice(String),
    /// Something lies below what is no directory.
    #[error("{0} is not a directory")]
    NoDir(String),
    /// A hard link to what is not there.
    #[error("{0} is a link to nothing")]
    Dangling(String),
    /// A file is shorter than its package said.
    #[error("{0} ends early")]
    Short(String),
    /// A pinned file inside a package has other bytes than its pin.
    #[error("{path} has SHA-256 {got}, pinned is {pinned}")]
    Content {
        /// The file.
        path: String,
        /// What it is.
        got: Sha256Hash,
        /// What it should be.
        pinned: Sha256Hash,
    },
    /// A pinned file is not in its package.
    #[error("{0} is not in its package")]
    Lacking(String),
    /// Somebody asked us to stop.
    #[error("interrupted")]
    Interrupted,
}

/// The bytes of a file.
#[derive(Clone, Debug)]
pub(super) enum Blob {
    /// A stretch of a temporary file: which, from where, how long.
    Spooled(Arc<File>, u64, u64),
    /// Bytes of our own.
    Bytes(Vec<u8>),
}

impl Blob {
    fn len(&self) -> u64 {
        match self {
            Self::Spooled(_, _, len) => *len,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// What tells one spooled file from another: hard links share it.
    fn identity(&self) -> Option<(*const File, u64)> {
        match self {
            Self::Spooled(file, at, len) if *len > 0 => Some((Arc::as_ptr(file), *at)),
            Self::Spooled(..) | Self::Bytes(_) => None,
        }
    }

    fn reader(&self) -> Box<dyn Read + '_> {
        match self {
            Self::Spooled(file, at, len) => Box::new(FileSlice {
                file,
                at: *at,
                left: *len,
            }),
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
        }
    }
}

struct FileSlice<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for FileSlice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let n = self
            .file
            .read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

/// What is at a path of the layer.
#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Dir,
    File(Blob),
    Symlink(String),
}

/// One path of the layer.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) mode: u32,
    /// User and group alike.
    pub(super) owner: u32,
    pub(super) what: NodeKind,
}

/// Everything that a layer will hold.
#[derive(Debug, Default)]
pub(super) struct LayerTree(BTreeMap<String, Node>);

impl LayerTree {
    /// Adds what was unpacked of one package.
    pub(super) fn add(&mut self, unpacked: Vec<(String, Node)>) -> Result<(), LayerError> {
        for (path, node) in unpacked {
            match self.0.entry(path) {
                Slot::Vacant(slot) => {
                    slot.insert(node);
                }
                Slot::Occupied(slot) => match (&slot.get().what, &node.what) {
                    (NodeKind::Dir, NodeKind::Dir) => {}
                    _ => return Err(LayerError::Twice(slot.key().clone())),
                },
            }
        }
        Ok(())
    }

    /// Sets a path, whatever was there.
    pub(super) fn set(&mut self, path: &str, node: Node) {
        self.0.insert(path.to_owned(), node);
    }

    /// Joins the certificates into one file, as `update-ca-certificates` would.
    pub(super) fn bundle_certificates(&mut self) -> io::Result<()> {
        let mut bundle = Vec::new();
        for (path, node) in &self.0 {
            if let NodeKind::File(blob) = &node.what
                && path.starts_with(CERTIFICATES)
            {
                blob.reader().read_to_end(&mut bundle)?;
                if bundle.last() != Some(&b'\n') {
                    bundle.push(b'\n');
                }
            }
        }
        if !bundle.is_empty() {
            self.set(
                BUNDLE,
                Node {
                    mode: 0o644,
                    owner: 0,
                    what: NodeKind::File(Blob::Bytes(bundle)),
                },
            );
        }
        Ok(())
    }

    /// Adds the links into `usr`, and every directory that something lies in.
    pub(super) fn complete(&mut self) -> Result<(), LayerError> {
        let dir = || Node {
            mode: 0o755,
            owner: 0,
            what: NodeKind::Dir,
        };
        let parents: Vec<String> = self.0.keys().flat_map(|path| parents(path)).collect();
        for parent in parents {
            match self.0.entry(parent) {
                Slot::Vacant(slot) => {
                    slot.insert(dir());
                }
                Slot::Occupied(slot) if matches!(slot.get().what, NodeKind::Dir) => {}
                Slot::Occupied(slot) => return Err(LayerError::NoDir(slot.key().clone())),
            }
        }
        for name in MERGED {
            if self.0.contains_key(&format!("usr/{name}")) {
                let what = NodeKind::Symlink(format!("usr/{name}"));
                self.set(
                    name,
                    Node {
                        mode: 0o777,
                        owner: 0,
                        what,
                    },
                );
            }
        }
        Ok(())
    }

    /// Writes the layer.
    pub(super) fn write(&self, to: impl Write, stop: &dyn Fn() -> bool) -> Result<(), LayerError> {
        let mut tar = tar::Builder::new(to);
        let mut first_names = BTreeMap::new();
        for (path, node) in &self.0 {
            if stop() {
                return Err(LayerError::Interrupted);
            }
            let mut header = tar::Header::new_gnu();
            header.set_mode(node.mode);
            header.set_uid(node.owner.into());
            header.set_gid(node.owner.into());
            header.set_mtime(1);
            header.set_size(0);
            match &node.what {
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
