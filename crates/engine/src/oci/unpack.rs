//! Unpacks the parts of a package that a container needs into a temporary file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::counted::Counted;
use super::deb;
use super::deb::{Entry, EntryKind};
use super::layer::{Blob, LayerError, MERGED_DIRS, Node, NodeKind};
use crate::artifact::Content;
use sdbuild_core::hash::HashingWriter;

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

/// What is unpacked of one package.
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
    spool: Counted<'_, File>,
    token: &CancellationToken,
) -> Result<Vec<(String, Node)>, LayerError> {
    let Counted { file, count } = spool;
    let spool = Arc::new(file);
    let file = spool.clone();
    let writer = BufWriter::with_capacity(256 * 1024, Counted { file, count });
    let mut unpacker = Unpacker {
        selection,
        spool,
        writer,
        spooled: 0,
        nodes: BTreeMap::new(),
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
    writer: BufWriter<Counted<'a, Arc<File>>>,
    /// How many bytes the spool has.
    spooled: u64,
    nodes: BTreeMap<String, Node>,
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
        // Only the owner may write, as after unpacking with umask 022.
        let node = Node {
            mode: entry.mode & 0o755,
            owner: 0,
            kind,
        };
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
                let mut to = HashingWriter::new(&mut self.writer);
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
        let blob = Blob::Spooled {
            spool: self.spool.clone(),
            offset: self.spooled,
            length,
        };
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

/// Whether a container may need `path`.
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
