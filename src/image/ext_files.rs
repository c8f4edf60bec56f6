//! Directories, links and files of an ext file system.

use std::collections::VecDeque;

use super::bytes::{slice, u8_at, u16_at, u32_at};
use super::entry::{Entry, EntryKind, MOST_ENTRIES, Sink, not_a_file, not_found};
use super::error::Error;
use super::ext::{EXTENTS, Ext, Inode, ROOT};

/// The longest directory that is read; a store of 50 000 paths takes 5 MiB.
const LONGEST_DIR: u64 = 32 << 20;
const LONGEST_LINK: u64 = 4096;
/// As many links as Linux follows on one path, and more steps than any path has.
const MOST_LINKS: usize = 40;
const MOST_STEPS: usize = 4096;

/// What receives a directory's entries: inode and name; `false` ends it.
type Visit<'a> = &'a mut dyn FnMut(u32, &[u8]) -> Result<bool, Error>;

impl Ext {
    /// Visits a directory's entries.
    fn entries(&self, dir: &Inode, visit: Visit<'_>) -> Result<(), Error> {
        let broken = || Error::damaged("a directory is broken");
        if dir.size > LONGEST_DIR || !dir.size.is_multiple_of(self.block) {
            return Err(broken());
        }
        let size = usize::try_from(self.block).unwrap_or(0);
        // Pieces are whole blocks: both are powers of two, and a piece is the larger one.
        self.content(dir, dir.size, &mut |piece| {
            for mut rest in piece.chunks_exact(size) {
                while !rest.is_empty() {
                    let length = match u16_at(rest, 4) {
                        // A block of 64 KiB in one entry does not fit into 16 bits.
                        0 | u16::MAX if size == 1 << 16 => size,
                        length => usize::from(length),
                    };
                    let name = usize::from(u8_at(rest, 6));
                    if length < 8 + name || length > rest.len() {
                        return Err(broken());
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

    /// Where a link leads.
    fn target(&self, link: &Inode) -> Result<Vec<u8>, Error> {
        if link.size > LONGEST_LINK {
            return Err(Error::damaged("a link is longer than links can be"));
        }
        let length = usize::try_from(link.size).unwrap_or(0);
        if length < 60 && link.flags & EXTENTS == 0 {
            return Ok(slice(&link.map, 0, length).to_vec());
        }
        let mut target = Vec::new();
        self.content(link, link.size, &mut |piece| {
            target.extend_from_slice(piece);
            Ok(true)
        })?;
        Ok(target)
    }

    /// The inode of `name` in `dir`.
    fn lookup(&self, dir: &Inode, name: &[u8]) -> Result<Option<u32>, Error> {
        let mut found = None;
        self.entries(dir, &mut |number, own| {
            found = (own == name).then_some(number);
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// What is at `path`, links followed within the file system.
    fn resolve(&self, path: &str) -> Result<Inode, Error> {
        let mut todo: VecDeque<Vec<u8>> = steps(path.as_bytes()).collect();
        let mut stack = vec![self.inode(ROOT)?];
        let (mut links, mut count) = (0, 0);
        while let Some(name) = todo.pop_front() {
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
            if links > MOST_LINKS || count + todo.len() > MOST_STEPS {
                return Err(Error::refused(format!("{path} leads round in circles")));
            }
            let target = self.target(&inode)?;
            if target.starts_with(b"/") {
                stack.truncate(1);
            }
            for step in steps(&target).collect::<Vec<_>>().into_iter().rev() {
                todo.push_front(step);
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
            Ok(found.len() < MOST_ENTRIES)
        })?;
        found
            .iter()
            .map(|(number, name)| self.entry(name, &self.inode(*number)?))
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

    pub(super) fn copy(&self, path: &str, sink: Sink<'_>) -> Result<(), Error> {
        let inode = self.resolve(path)?;
        if inode.kind() != EntryKind::File {
            return Err(not_a_file(path));
        }
        // Holes cost nothing on the disk: this alone bounds what comes out.
        if inode.size > self.section.len() {
            return Err(Error::unsupported(format!(
                "{path} says that it is longer ({} bytes) than its file system",
                inode.size
            )));
        }
        self.content(&inode, inode.size, sink)
    }
}

fn steps(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    path.split(|b| *b == b'/')
        .filter(|step| !matches!(*step, b"" | b"."))
        .map(<[u8]>::to_vec)
}
