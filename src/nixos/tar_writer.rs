//! Files as a tar stream with nothing left to chance: owner, modes and times are ours.

use std::io::{self, Read, Write};

use tar::{Builder, EntryType, Header};

/// Who the files belong to inside the builder: the user that it runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: u64,
    /// Group.
    pub gid: u64,
}

/// Writes one archive.
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

    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        let mut header = self.header(EntryType::Directory, 0, 0o755);
        self.tar
            .append_data(&mut header, format!("{path}/"), io::empty())
    }

    /// A directory that the entry may not own (a foreign container image runs as whoever it likes).
    pub(super) fn open_directory(&mut self, path: &str) -> io::Result<()> {
        let mut header = self.header(EntryType::Directory, 0, 0o777);
        self.tar
            .append_data(&mut header, format!("{path}/"), io::empty())
    }

    pub(super) fn bytes(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.file(path, (bytes.len() as u64, false), bytes)
    }

    /// A file of exactly `size` bytes; one that changed meanwhile is an error, not a broken archive.
    pub(super) fn file(
        &mut self,
        path: &str,
        (size, executable): (u64, bool),
        from: impl Read,
    ) -> io::Result<()> {
        let mode = if executable { 0o755 } else { 0o644 };
        let mut header = self.header(EntryType::Regular, size, mode);
        let mut exact = Exact { from, left: size };
        self.tar.append_data(&mut header, path, &mut exact)?;
        if exact.from.read(&mut [0])? == 0 {
            Ok(())
        } else {
            Err(changed())
        }
    }

    pub(super) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = self.header(EntryType::Symlink, 0, 0o777);
        self.tar.append_link(&mut header, path, target)
    }

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
        // what Nix gives its own files; 0 upsets zip and the like
        header.set_mtime(1);
        header
    }
}

/// Reads `left` bytes, no more, and fails when there are fewer.
struct Exact<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|b| !b.is_empty()) else {
            return Ok(0);
        };
        let n = self.from.read(buffer)?;
        if n == 0 {
            return Err(changed());
        }
        self.left -= n as u64;
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
    fn what_goes_in_comes_out() {
        let mut out = Vec::new();
        let mut packer = TarWriter::new(&mut out, OWNER);
        packer.directory("a").unwrap();
        packer.file("a/run me", (2, true), &b"hi"[..]).unwrap();
        let long = format!("a/{}", "ä".repeat(120));
        packer.bytes(&long, b"x").unwrap();
        packer.link("a/l", "run me").unwrap();
        packer.finish().unwrap();
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

    #[test]
    fn a_file_that_shrinks_or_grows_is_an_error() {
        for text in [&b"a"[..], b"abc"] {
            let mut out = Vec::new();
            let mut packer = TarWriter::new(&mut out, OWNER);
            assert!(packer.file("f", (2, false), text).is_err());
        }
    }
}
