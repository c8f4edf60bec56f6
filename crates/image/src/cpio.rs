//! The names of the files in an initial RAM disk: archives of cpio in the form `newc`, one behind the other, compressed or not
//! (`Documentation/driver-api/early-userspace/buffer-format.rst` of Linux). The crate `cpio` reads one archive, and no compressed one.

use std::io::{self, BufReader, Read};

use super::decoder::{decoder, detect};
use sdbuild_core::compression::Compression;
use sdbuild_core::to_usize::to_usize;
use sdbuild_core::untrusted::Kept;

/// Bytes of the header of a file.
const HEADER_BYTES: usize = 110;
/// Bytes of a name, which Linux limits to 4096.
const MAX_NAME_BYTES: u64 = 4097;
/// Decompressed bytes that are read.
const MAX_CONTENT_BYTES: u64 = 1 << 30;
/// The name of the last entry.
const END: &str = "TRAILER!!!";

/// The names of all files in `archive`.
pub(super) fn archived_names(archive: &mut dyn Read) -> io::Result<Vec<String>> {
    let mut archive = BufReader::new(archive);
    let mut names = Kept::default();
    while let Some(start) = next_start(&mut archive)? {
        let compression = detect(&start);
        let mut whole = start.as_slice().chain(&mut archive);
        if compression != Compression::None {
            // The last one: where it ends is not known without decompressing it.
            let mut content = decoder(compression, whole)?.take(MAX_CONTENT_BYTES);
            add_names(&mut content, &mut names)?;
            break;
        }
        add_names(&mut whole, &mut names)?;
    }
    Ok(names.into_vec())
}

/// The first bytes of the next archive, behind the zeros that fill the space before it; `None` at the end.
fn next_start(archive: &mut impl Read) -> io::Result<Option<[u8; 6]>> {
    let mut start = [0; 6];
    let (first, rest) = start.split_at_mut(1);
    while first == [0] {
        if archive.read(first)? == 0 {
            return Ok(None);
        }
    }
    archive.read_exact(rest)?;
    Ok(Some(start))
}

fn add_names(archive: &mut impl Read, names: &mut Kept<String>) -> io::Result<()> {
    loop {
        let mut header = [0; HEADER_BYTES];
        archive.read_exact(&mut header)?;
        if !header.starts_with(b"07070") {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (size, length) = (number(&header, 54)?, number(&header, 94)?);
        if length > MAX_NAME_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut name = vec![0; to_usize(length)];
        archive.read_exact(&mut name)?;
        let name = String::from_utf8_lossy(&name);
        let name = name.trim_end_matches('\0').to_owned();
        skip(archive, padding(HEADER_BYTES as u64 + length))?;
        skip(archive, size + padding(size))?;
        if name == END {
            return Ok(());
        }
        let bytes = name.len();
        names.push(name, bytes).map_err(io::Error::other)?;
    }
}

/// The number of eight hexadecimal digits.
fn number(header: &[u8], at: usize) -> io::Result<u64> {
    let digits = header
        .get(at..at + 8)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

const fn padding(length: u64) -> u64 {
    length.next_multiple_of(4) - length
}

fn skip(archive: &mut impl Read, bytes: u64) -> io::Result<()> {
    io::copy(&mut archive.by_ref().take(bytes), &mut io::sink()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// An archive with files of these names.
    fn archive(names: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for name in names.iter().chain(&[END]) {
            let content: &[u8] = if *name == END { b"" } else { b"content" };
            let mut header = format!("070701{:0>104}", "");
            header.replace_range(54..62, &format!("{:08x}", content.len()));
            header.replace_range(94..102, &format!("{:08x}", name.len() + 1));
            bytes.extend(header.as_bytes());
            bytes.extend(name.as_bytes());
            bytes.push(0);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn names_are_those_of_all_archives() {
        let first = archive(&["early/a"]);
        let second = archive(&["lib/modules/6.1/ext4.ko.xz", "init"]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&second).unwrap();
        let zeros = vec![0; 512];
        let expected = ["early/a", "lib/modules/6.1/ext4.ko.xz", "init"];
        for rest in [second.clone(), gzip.finish().unwrap()] {
            let whole = [first.clone(), zeros.clone(), rest].concat();
            assert_eq!(archived_names(&mut whole.as_slice()).unwrap(), expected);
        }
        assert_eq!(archived_names(&mut io::empty()).unwrap(), [""; 0]);
        for mut damaged in [&b"no archive"[..], &second[..200], &[0x1f, 0x8b, 8, 0, 1]] {
            assert!(archived_names(&mut damaged).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_accepted(bytes: Vec<u8>) {
            archived_names(&mut bytes.as_slice()).ok();
        }
    }
}
