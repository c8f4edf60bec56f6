//! Reproducible tar archives: owner, modes and times do not depend on the source files.

use std::io::{self, Read, Write};

use sdbuild_core::to_usize::to_usize;
use tar::{Builder, EntryType, Header};

/// Bytes of which an archive consists of whole multiples, headers and contents.
const BLOCK: u64 = 512;

/// The owner of files in the builder: the user that it runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// User id.
    pub(super) uid: u64,
    /// Group id.
    pub(super) gid: u64,
}

/// Writes one tar archive.
pub(super) struct TarWriter<'w> {
    tar: Builder<&'w mut dyn Write>,
    owner: Owner,
}

impl<'w> TarWriter<'w> {
    pub(super) fn new(out: &'w mut dyn Write, owner: Owner) -> Self {
        Self {
            tar: Builder::new(out),
            owner,
        }
    }

    /// A directory that its owner can write to.
    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        let mut header = self.header(EntryType::Directory, 0, 0o755);
        self.tar
            .append_data(&mut header, format!("{path}/"), io::empty())
    }

    /// A directory that every user can write to: a foreign container image may run as a user of unknown id.
    pub(super) fn open_directory(&mut self, path: &str) -> io::Result<()> {
        let mut header = self.header(EntryType::Directory, 0, 0o777);
        self.tar
            .append_data(&mut header, format!("{path}/"), io::empty())
    }

    /// A regular file with `bytes` as content.
    pub(super) fn bytes(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.file(path, bytes.len() as u64, false, bytes)
    }

    /// A regular file of exactly `size` bytes from `content`; an error when it has more or fewer, because the file was
    /// changed meanwhile.
    pub(super) fn file(
        &mut self,
        path: &str,
        size: u64,
        executable: bool,
        content: impl Read,
    ) -> io::Result<()> {
        let mode = if executable { 0o755 } else { 0o644 };
        let mut header = self.header(EntryType::Regular, size, mode);
        let mut exact = ExactReader {
            content,
            remaining: size,
        };
        self.tar.append_data(&mut header, path, &mut exact)?;
        if exact.content.read(&mut [0])? == 0 {
            Ok(())
        } else {
            Err(changed())
        }
    }

    /// A regular file of `size` bytes: what `write` writes, and zeros up to its end; an error when it writes more. Gives
    /// what `write` gives.
    pub(super) fn written_file<T>(
        &mut self,
        path: &str,
        size: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut header = self.header(EntryType::Regular, size, 0o644);
        self.tar.append_data(&mut header, path, io::empty())?;
        let mut content = LimitedWriter {
            out: self.tar.get_mut(),
            remaining: size,
        };
        let written = write(&mut content)?;
        let zeros = content.remaining + padding(size);
        io::copy(&mut io::repeat(0).take(zeros), self.tar.get_mut())?;
        Ok(written)
    }

    /// A symbolic link to `target`.
    pub(super) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = self.header(EntryType::Symlink, 0, 0o777);
        self.tar.append_link(&mut header, path, target)
    }

    /// Writes the end of the archive.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.tar.finish()
    }

    fn header(&self, kind: EntryType, size: u64, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(mode);
        header.set_uid(self.owner.uid);
        header.set_gid(self.owner.gid);
        // As Nix sets it on files in its store: some tools (zip) do not accept 0.
        header.set_mtime(1);
        header
    }
}

/// Zeros that fill the last block of `size` bytes.
fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK) - size
}

/// Writes at most `remaining` bytes; an error when there are more.
struct LimitedWriter<'w> {
    out: &'w mut dyn Write,
    remaining: u64,
}

impl Write for LimitedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.remaining {
            return Err(changed());
        }
        let n = self.out.write(bytes)?;
        self.remaining -= n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads exactly `remaining` bytes; an error when `content` ends before.
struct ExactReader<R> {
    content: R,
    remaining: u64,
}

impl<R: Read> Read for ExactReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let max = to_usize(self.remaining).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..max).filter(|b| !b.is_empty()) else {
            return Ok(0);
        };
        let n = self.content.read(buffer)?;
        if n == 0 {
            return Err(changed());
        }
        self.remaining -= n as u64;
        Ok(n)
    }
}

fn changed() -> io::Error {
    io::Error::other("the file changed while it was read")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner {
        uid: 1000,
        gid: 1000,
    };

    #[test]
    fn entries_can_be_read_back() {
        let mut out = Vec::new();
        let mut tar = TarWriter::new(&mut out, OWNER);
        tar.directory("a").unwrap();
        tar.file("a/run me", 2, true, &b"hi"[..]).unwrap();
        let long = format!("a/{}", "ä".repeat(120));
        tar.bytes(&long, b"x").unwrap();
        tar.link("a/l", "run me").unwrap();
        tar.finish().unwrap();
        let mut archive = tar::Archive::new(&out[..]);
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (1000, 1000));
                assert_eq!(header.mtime().unwrap(), 1);
                (
                    entry.path().unwrap().display().to_string(),
                    header.mode().unwrap(),
                )
            })
            .collect();
        let want = [
            ("a/".to_owned(), 0o755),
            ("a/run me".to_owned(), 0o755),
            (long, 0o644),
            ("a/l".to_owned(), 0o777),
        ];
        assert_eq!(seen, want);
    }

    /// The paths and contents of the regular files of an archive.
    fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let files = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        files.collect()
    }

    #[test]
    fn a_written_file_is_filled_up_with_zeros() {
        let mut out = Vec::new();
        let mut tar = TarWriter::new(&mut out, OWNER);
        let write = |out: &mut dyn Write| out.write_all(b"hi").map(|()| 7);
        assert_eq!(tar.written_file("f", 600, write).unwrap(), 7);
        assert!(tar.written_file("g", 1, write).is_err());
        let mut out = Vec::new();
        let mut tar = TarWriter::new(&mut out, OWNER);
        tar.written_file("f", 600, write).unwrap();
        tar.bytes("g", b"x").unwrap();
        tar.finish().unwrap();
        let mut first = vec![0; 600];
        first.splice(..2, *b"hi");
        let want = [("f".to_owned(), first), ("g".to_owned(), b"x".to_vec())];
        assert_eq!(files(&out), want);
    }

    #[test]
    fn a_file_of_another_size_is_an_error() {
        for text in [&b"a"[..], b"abc"] {
            let mut out = Vec::new();
            let mut tar = TarWriter::new(&mut out, OWNER);
            assert!(tar.file("f", 2, false, text).is_err());
        }
    }
}
