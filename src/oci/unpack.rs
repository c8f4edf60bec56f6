//! One package → what a container wants of it, its bytes in a temporary file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use super::deb::{self, Entry, Kind};
use super::layer::{Blob, LayerError, MERGED, Node, NodeKind};
use crate::artifact::Content;
use crate::common::hash::HashingWriter;

/// What no program in a container of ours reads.
const LEFT_OUT: [&str; 10] = [
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
/// What is taken of one package.
pub(super) enum Selection<'a> {
    /// Everything that a container may want.
    All,
    /// These files alone, if they are what their pins say.
    Only(Vec<&'a Content>),
}

/// Unpacks one package into a temporary file.
pub(super) fn unpack(
    package: impl Read,
    take: &Selection<'_>,
    spool: File,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<(String, Node)>, LayerError> {
    let spool = Arc::new(spool);
    let writer = BufWriter::with_capacity(256 * 1024, spool.clone());
    let mut unpacker = Unpacker {
        take,
        spool,
        writer,
        at: 0,
        nodes: BTreeMap::new(),
    };
    deb::read(package, |entry, body| {
        if stop() {
            return Err(LayerError::Interrupted);
        }
        unpacker.visit(entry, body)?;
        Ok(!unpacker.is_complete())
    })?;
    unpacker.finish()
}

struct Unpacker<'a> {
    take: &'a Selection<'a>,
    spool: Arc<File>,
    writer: BufWriter<Arc<File>>,
    /// Where in the spool the next file begins.
    at: u64,
    nodes: BTreeMap<String, Node>,
}

impl Unpacker<'_> {
    fn visit(&mut self, entry: Entry, body: &mut dyn Read) -> Result<(), LayerError> {
        let path = merged(entry.path);
        let pin = match self.take {
            Selection::All if wanted(&path, &entry.kind) => None,
            Selection::All => return Ok(()),
            Selection::Only(pins) => match pins.iter().find(|pin| pin.path == path) {
                Some(pin) => Some(*pin),
                None => return Ok(()),
            },
        };
        let what = match entry.kind {
            Kind::File(length) => NodeKind::File(self.spool((&path, length), body, pin)?),
            _ if pin.is_some() => return Err(LayerError::Lacking(path)),
            Kind::Dir => NodeKind::Dir,
            Kind::Symlink(target) => NodeKind::Symlink(target),
            Kind::Hardlink(target) => match self.nodes.get(&merged(target)) {
                Some(Node {
                    what: NodeKind::File(blob),
                    ..
                }) => NodeKind::File(blob.clone()),
                Some(_) | None => return Err(LayerError::Dangling(path)),
            },
        };
        let is_dir = matches!(what, NodeKind::Dir);
        // Nobody but the owner may write, as in every system that dpkg unpacks with umask 022.
        let node = Node {
            mode: entry.mode & 0o755,
            owner: 0,
            what,
        };
        match self.nodes.insert(path.clone(), node) {
            Some(Node {
                what: NodeKind::Dir,
                ..
            }) if is_dir => Ok(()),
            Some(_) => Err(LayerError::Twice(path)),
            None => Ok(()),
        }
    }

    /// Copies a file into the spool, and compares it with its pin if it has one.
    fn spool(
        &mut self,
        (path, length): (&str, u64),
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
                    return Err(LayerError::Content {
                        path,
                        got,
                        pinned: pin.sha256,
                    });
                }
                copied
            }
        };
        if copied != length {
            return Err(LayerError::Short(path.to_owned()));
        }
        let blob = Blob::Spooled(self.spool.clone(), self.at, length);
        self.at += length;
        Ok(blob)
    }

    /// Whether nothing more is wanted of the package: most of QEMU's is other processors'.
    fn is_complete(&self) -> bool {
        match self.take {
            Selection::All => false,
            Selection::Only(pins) => pins.iter().all(|pin| self.nodes.contains_key(&pin.path)),
        }
    }

    fn finish(mut self) -> Result<Vec<(String, Node)>, LayerError> {
        self.writer.flush()?;
        if let Selection::Only(pins) = self.take
            && let Some(pin) = pins.iter().find(|pin| !self.nodes.contains_key(&pin.path))
        {
            return Err(LayerError::Lacking(pin.path.clone()));
        }
        Ok(self.nodes.into_iter().collect())
    }
}

/// Where a path lies since `/bin` and its like are links into `usr`.
fn merged(path: String) -> String {
    match path.split_once('/') {
        Some((top, _)) if MERGED.contains(&top) => format!("usr/{path}"),
        _ => path,
    }
}

/// Whether a container may want what is at `path`.
fn wanted(path: &str, kind: &Kind) -> bool {
    let dir = matches!(kind, Kind::Dir);
    if let Some(document) = path.strip_prefix("usr/share/doc/") {
        // Licences stay, and the links to where a sister package has them.
        return document.ends_with("/copyright") && !dir
            || matches!(kind, Kind::Symlink(_)) && !document.contains('/');
    }
    let inside = |name: &str| {
        path.strip_prefix(name.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    !(MERGED.contains(&path)
        || LEFT_OUT.iter().any(|name| inside(name))
        || path.starts_with("usr/lib/") && path.split('/').nth(3) == Some("gconv"))
}
