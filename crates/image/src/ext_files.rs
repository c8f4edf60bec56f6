//! Directories, symbolic links and files of an ext file system.

use std::collections::VecDeque;

use super::bytes::{slice, u8_at, u16_at, u32_at};
use super::entry::{ContentSink, Entry, EntryKind, MAX_DIR_ENTRIES, not_a_file, not_found};
use super::error::Error;
use super::ext::{EXTENTS_FLAG, Ext, Inode, ROOT_INODE};
use sdbuild_core::to_usize::to_usize;

/// Bytes of the largest directory that is read; a Nix store with 50 000 paths has 5 MiB.
const MAX_DIR_BYTES: u64 = 32 << 20;
/// Bytes of the longest target of a symbolic link, as in Linux.
const MAX_LINK_BYTES: u64 = 4096;
/// Bytes of all targets in one directory: a large Nix store has a hundredth. Targets that are holes take no space on
/// the disk.
const MAX_TARGETS_BYTES: usize = 32 << 20;
/// Symbolic links that are followed on one path, as in Linux.
const MAX_LINKS: usize = 40;
/// Components of one path, those of links included: as many as a path of `PATH_MAX` bytes could have.
const MAX_COMPONENTS: usize = 4096;

/// Receives the inode number and the name of a directory's entry; returns `false` to stop.
type EntryVisitor<'a> = &'a mut dyn FnMut(u32, &[u8]) -> Result<bool, Error>;

impl Ext {
    /// Visits the entries of a directory.
    fn entries(&self, dir: &Inode, visit: EntryVisitor<'_>) -> Result<(), Error> {
        let damaged = || Error::damaged("a directory is damaged");
        if dir.size > MAX_DIR_BYTES || !dir.size.is_multiple_of(self.block) {
            return Err(damaged());
        }
        let size = to_usize(self.block);
        // Pieces are whole blocks: both lengths are powers of two, and a piece is not smaller than a block.
        self.content(dir, dir.size, &mut |piece| {
            for mut rest in piece.chunks_exact(size) {
                while !rest.is_empty() {
                    let length = match u16_at(rest, 4) {
                        // The length 64 KiB of an entry that fills its block does not fit into 16 bits.
                        0 | u16::MAX if size == 1 << 16 => size,
                        length => usize::from(length),
                    };
                    let name = usize::from(u8_at(rest, 6));
                    if length < 8 + name || length > rest.len() {
                        return Err(damaged());
                    }
                    let number = u32_at(rest, 0);
                    if number != 0 && name != 0 && !visit(number, slice(rest, 8, 8 + name))? {
                        return Ok(false);
                    }
                    rest = rest.get(length..).unwrap_or_default();
                }
            }
            Ok(true)
        })
    }

    /// The target of a symbolic link.
    fn target(&self, link: &Inode) -> Result<Vec<u8>, Error> {
        if link.size > MAX_LINK_BYTES {
            return Err(Error::damaged("the target of a symbolic link is too long"));
        }
        let length = to_usize(link.size);
        if length < 60 && link.flags & EXTENTS_FLAG == 0 {
            return Ok(slice(&link.map, 0, length).to_vec());
        }
        let mut target = Vec::new();
        self.content(link, link.size, &mut |piece| {
            target.extend_from_slice(piece);
            Ok(true)
        })?;
        Ok(target)
    }

    /// The inode number of `name` in `dir`.
    fn lookup(&self, dir: &Inode, name: &[u8]) -> Result<Option<u32>, Error> {
        let mut found = None;
        self.entries(dir, &mut |number, own| {
            found = (own == name).then_some(number);
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// The inode at `path`; symbolic links are followed within the file system.
    fn resolve(&self, path: &str) -> Result<Inode, Error> {
        let mut pending: VecDeque<Vec<u8>> = components(path.as_bytes()).collect();
        let mut stack = vec![self.inode(ROOT_INODE)?];
        let (mut links, mut count) = (0, 0);
        while let Some(name) = pending.pop_front() {
            count += 1;
            if name == b".." {
                stack.truncate(stack.len().saturating_sub(1).max(1));
                continue;
            }
            let dir = stack.last().filter(|i| i.kind() == EntryKind::Directory);
            let number = match dir {
                Some(dir) => self.lookup(dir, &name)?,
                None => None,
            };
            let inode = self.inode(number.ok_or_else(|| not_found(path))?)?;
            if inode.kind() != EntryKind::Link {
                stack.push(inode);
                continue;
            }
            links += 1;
            if links > MAX_LINKS || count + pending.len() > MAX_COMPONENTS {
                return Err(Error::refused(format!(
                    "{path} has too many symbolic links"
                )));
            }
            let target = self.target(&inode)?;
            if target.starts_with(b"/") {
                stack.truncate(1);
            }
            for component in components(&target).collect::<Vec<_>>().into_iter().rev() {
                pending.push_front(component);
            }
        }
        stack.pop().ok_or_else(|| not_found(path))
    }

    pub(super) fn kind(&self, path: &str) -> Result<EntryKind, Error> {
        Ok(self.resolve(path)?.kind())
    }

    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        let at = self.resolve(path)?;
        if at.kind() != EntryKind::Directory {
            let name = path.rsplit('/').next().unwrap_or(path);
            return Ok(vec![self.entry(name.as_bytes(), &at)?]);
        }
        let mut found = Vec::new();
        self.entries(&at, &mut |number, name| {
            if !matches!(name, b"." | b"..") {
                found.push((number, name.to_vec()));
            }
            Ok(found.len() < MAX_DIR_ENTRIES)
        })?;
        let mut targets = 0usize;
        found
            .iter()
            .map(|(number, name)| {
                let entry = self.entry(name, &self.inode(*number)?)?;
                targets = targets.saturating_add(entry.target.as_ref().map_or(0, String::len));
                if targets > MAX_TARGETS_BYTES {
                    return Err(Error::damaged(
                        "a directory has symbolic links that are too long",
                    ));
                }
                Ok(entry)
            })
            .collect()
    }

    fn entry(&self, name: &[u8], inode: &Inode) -> Result<Entry, Error> {
        let kind = inode.kind();
        let target = match kind {
            EntryKind::Link => Some(self.target(inode)?),
            EntryKind::File | EntryKind::Directory | EntryKind::Special => None,
        };
        Ok(Entry {
            name: String::from_utf8_lossy(name).into_owned(),
            kind,
            size: inode.size,
            target: target.map(|t| String::from_utf8_lossy(&t).into_owned()),
        })
    }

    pub(super) fn copy(&self, path: &str, sink: ContentSink<'_>) -> Result<(), Error> {
        let inode = self.resolve(path)?;
        if inode.kind() != EntryKind::File {
            return Err(not_a_file(path));
        }
        // Holes take no space on the disk, so only this bounds the output.
        if inode.size > self.section.len() {
            return Err(Error::unsupported(format!(
                "{path} claims to be longer ({} bytes) than its file system",
                inode.size
            )));
        }
        self.content(&inode, inode.size, sink)
    }
}

/// The components of a path, without empty ones and `.`.
fn components(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    path.split(|b| *b == b'/')
        .filter(|component| !matches!(*component, b"" | b"."))
        .map(<[u8]>::to_vec)
}
