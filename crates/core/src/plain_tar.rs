//! Tar archives of others, read in bounded memory: the tar crate by itself takes what stands before an entry into memory, however
//! long it is.

use std::io::{self, Read};

use tar::{Entries, Entry, EntryType};

/// The longest path or link target in bytes.
const MAX_NAME_BYTES: u64 = 4096;

/// An entry with its names, which may have stood before it.
#[expect(
    missing_debug_implementations,
    reason = "an entry of the tar crate has none"
)]
pub struct PlainEntry<'a, R: Read> {
    /// The entry. What it says of its own names may be cut off.
    pub entry: Entry<'a, R>,
    /// Its path.
    pub path: Vec<u8>,
    /// What it links to; empty for a file.
    pub link: Vec<u8>,
}

/// The entries of an archive.
///
/// # Errors
///
/// Also for names of more than 4096 bytes, for the headers of pax, and for sparse files.
pub fn plain_entries<R: Read>(
    entries: Entries<'_, R>,
) -> impl Iterator<Item = io::Result<PlainEntry<'_, R>>> {
    let mut entries = entries.raw(true);
    std::iter::from_fn(move || next(&mut entries).transpose())
}

fn next<'a, R: Read>(entries: &mut Entries<'a, R>) -> io::Result<Option<PlainEntry<'a, R>>> {
    let (mut path, mut link) = (None, None);
    for entry in entries {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if is_unreadable(kind) {
            return Err(refused("it has headers of pax or a sparse file"));
        }
        let before = if kind.is_gnu_longname() {
            path.replace(long_name(&mut entry)?)
        } else if kind.is_gnu_longlink() {
            link.replace(long_name(&mut entry)?)
        } else {
            let own = || entry.path_bytes().into_owned();
            let path = path.unwrap_or_else(own);
            let own = || entry.link_name_bytes().unwrap_or_default().into_owned();
            let link = link.unwrap_or_else(own);
            return Ok(Some(PlainEntry { entry, path, link }));
        };
        // Otherwise a caller who counts entries could wait without end for one.
        if before.is_some() {
            return Err(refused("an entry has two names"));
        }
    }
    Ok(None)
}

/// Whether an entry of this kind says of others what is not read here, or has its content in pieces.
fn is_unreadable(kind: EntryType) -> bool {
    kind.is_pax_local_extensions() || kind.is_pax_global_extensions() || kind.is_gnu_sparse()
}

/// The content of one of GNU tar's entries for names of more than 100 bytes.
fn long_name(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut name = Vec::new();
    entry.take(MAX_NAME_BYTES + 1).read_to_end(&mut name)?;
    if name.len() as u64 > MAX_NAME_BYTES {
        return Err(refused("a name is too long"));
    }
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive that claims an entry of `kind` and `size`, of which `content` is there, before a file.
    fn archive(kind: EntryType, size: u64, content: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (kind, size, content) in [(kind, size, content), (EntryType::Regular, 1, b"1")] {
            let mut header = tar::Header::new_gnu();
            header.set_path("short").unwrap();
            header.set_entry_type(kind);
            header.set_size(size);
            header.set_cksum();
            builder.append(&header, content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// Bytes without end after a start, of which no more may be read than a few names need.
    struct Endless<'a>(&'a [u8], usize);

    impl Read for Endless<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = match self.0.read(buffer)? {
                0 => buffer.len(),
                n => n,
            };
            self.1 += n;
            assert!(self.1 < 1 << 20, "all of it would be read");
            Ok(n)
        }
    }

    fn first(archive: impl Read) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let first = plain_entries(archive.entries()?).next().unwrap();
        first.map(|found| (found.path, found.link))
    }

    #[test]
    fn long_names_are_read_and_pax_is_refused() {
        let long = [b'a'; 200];
        let named = archive(EntryType::GNULongName, 200, &long);
        assert_eq!(first(&named[..]).unwrap(), (long.to_vec(), Vec::new()));
        let linked = archive(EntryType::GNULongLink, 200, &long);
        assert_eq!(first(&linked[..]).unwrap().1, long);
        let plain = archive(EntryType::Directory, 0, b"");
        assert_eq!(first(&plain[..]).unwrap().0, b"short");
        for kind in [
            EntryType::XHeader,
            EntryType::XGlobalHeader,
            EntryType::GNUSparse,
        ] {
            first(&archive(kind, 9, b"9 path=x\n")[..]).unwrap_err();
        }
    }

    #[test]
    fn huge_headers_are_not_read_into_memory() {
        for kind in [
            EntryType::GNULongName,
            EntryType::GNULongLink,
            EntryType::XHeader,
        ] {
            let claimed = archive(kind, 1 << 40, b"");
            let error = first(Endless(&claimed[..512], 0)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
    }
}
