//! Directories and files of a FAT: entries, content, label.

use super::bytes::u8_at;
use super::entry::{
    ContentSink, Entry, EntryKind, MAX_DIR_ENTRIES, Summary, not_a_file, not_found,
};
use super::error::Error;
use super::fat::{EntryWidth, Fat};
use super::fat_entry::{ATTR_LONG_NAME, LongName, ROOT, RawEntry};

/// Bytes of the largest directory that the format allows: 65536 entries.
const MAX_DIR_BYTES: u64 = 2 << 20;
/// Bytes of a file that are read at once.
const PIECE_BYTES: u64 = 256 * 1024;

impl Fat {
    /// Visits the entries of `dir`; `visit` returns `false` to stop.
    fn entries(
        &self,
        dir: &RawEntry,
        visit: &mut dyn FnMut(RawEntry) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut long = LongName::default();
        let mut blocks = |block: &[u8]| {
            for bytes in block.chunks_exact(32) {
                match (u8_at(bytes, 0), u8_at(bytes, 11) & 0x3f) {
                    (0, _) => return Ok(false),
                    (0xe5, _) => long = LongName::default(),
                    (_, ATTR_LONG_NAME) => long.piece(bytes),
                    _ => {
                        let mut raw = RawEntry::parse(bytes, self.width);
                        raw.long = long.take(&raw);
                        if !visit(raw)? {
                            return Ok(false);
                        }
                    }
                }
            }
            Ok(true)
        };
        let first = match (dir.cluster, self.width) {
            (0, EntryWidth::ThirtyTwo) => self.root_cluster,
            (0, _) => {
                let (at, len) = self.root;
                blocks(&self.section.block(at, len)?)?;
                return Ok(());
            }
            (cluster, _) => cluster,
        };
        let max = MAX_DIR_BYTES.div_ceil(self.cluster);
        self.chain(first, max, &mut |position| {
            blocks(&self.section.block(position, self.cluster)?)
        })
    }

    /// The entry at `path`.
    fn resolve(&self, path: &str) -> Result<RawEntry, Error> {
        let mut stack = vec![ROOT];
        for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
            if name == ".." {
                stack.truncate(stack.len().saturating_sub(1).max(1));
                continue;
            }
            let dir = stack.last().cloned().unwrap_or(ROOT);
            if !dir.is_dir() {
                return Err(not_found(path));
            }
            let mut found = None;
            self.entries(&dir, &mut |raw| {
                let is_found = !raw.is_label() && is_same_name(&raw.name(), name);
                found = is_found.then_some(raw);
                Ok(found.is_none())
            })?;
            stack.push(found.ok_or_else(|| not_found(path))?);
        }
        Ok(stack.pop().unwrap_or(ROOT))
    }

    pub(super) fn kind(&self, path: &str) -> Result<EntryKind, Error> {
        Ok(self.resolve(path)?.entry().kind)
    }

    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        let at = self.resolve(path)?;
        if !at.is_dir() {
            return Ok(vec![at.entry()]);
        }
        let mut entries = Vec::new();
        self.entries(&at, &mut |raw| {
            let entry = raw.entry();
            if !raw.is_label() && !matches!(entry.name.as_str(), "." | "..") {
                entries.push(entry);
            }
            Ok(entries.len() < MAX_DIR_ENTRIES)
        })?;
        Ok(entries)
    }

    pub(super) fn copy(&self, path: &str, sink: ContentSink<'_>) -> Result<(), Error> {
        let raw = self.resolve(path)?;
        if raw.is_dir() {
            return Err(not_a_file(path));
        }
        let mut remaining = u64::from(raw.size);
        // A chain that leads back to itself would be read for as many clusters as the file system claims.
        if remaining > self.section.len() {
            return Err(Error::damaged(format!(
                "{path} claims to be longer ({remaining} bytes) than its file system"
            )));
        }
        if remaining == 0 {
            return Ok(());
        }
        let mut wanted = true;
        self.chain(raw.cluster, u64::MAX, &mut |position| {
            let mut at = position;
            let end = position + self.cluster.min(remaining);
            while wanted && at < end {
                let piece = PIECE_BYTES.min(end - at);
                wanted = sink(&self.section.block(at, piece)?)?;
                at += piece;
            }
            remaining -= end - position;
            Ok(wanted && remaining > 0)
        })?;
        if wanted && remaining > 0 {
            let what = format!("{path} ends {remaining} bytes before its length");
            return Err(Error::damaged(what));
        }
        Ok(())
    }

    pub(super) fn summary(&self) -> Result<Summary, Error> {
        let kind = match self.width {
            EntryWidth::Twelve => "fat12",
            EntryWidth::Sixteen => "fat16",
            EntryWidth::ThirtyTwo => "fat32",
        };
        let own = self.label.clone().filter(|label| label != "NO NAME");
        let serial = format!("{:04X}-{:04X}", self.serial >> 16, self.serial & 0xffff);
        Ok(Summary {
            kind: kind.to_owned(),
            label: self.root_label()?.or(own),
            uuid: Some(serial),
            size: Some(self.size),
            free: Some(self.free()? * self.cluster),
        })
    }

    /// The label in the root directory, which is current; the one in the boot sector is often that of the
    /// format.
    fn root_label(&self) -> Result<Option<String>, Error> {
        let mut label = None;
        self.entries(&ROOT, &mut |raw: RawEntry| {
            label = raw.is_label().then(|| raw.label()).flatten();
            Ok(label.is_none())
        })?;
        Ok(label)
    }
}

/// Whether two names are equal; case is ignored.
fn is_same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}
