//! Reads the files of a Debian package. The package is untrusted: lengths, names and links are checked, and
//! nothing is written.
//!
//! A package is an `ar` archive of three members, the last of which is a compressed tar archive. ar 0.9 and
//! debian-packaging 0.18 were considered: the first reads names of any length into memory, the second is
//! under the MPL and does not bound what it decompresses.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use sdbuild_core::plain_tar::{PlainEntry, plain_entries};
use sdbuild_core::untrusted::Bounded;

/// The most bytes that a package may unpack to.
const MAX_UNPACKED: u64 = 4 << 30;
/// The memory limit of xz: `xz -9` needs 65 MiB, Debian uses 9.
const MAX_MEMORY_BYTES: u64 = 128 << 20;
/// The largest window of zstd, as a power of two: 128 MiB.
const MAX_WINDOW_LOG: u32 = 27;

/// Why a package was refused.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// Reading, decompressing or parsing failed.
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("not a Debian package: {0}")]
    Format(&'static str),
    #[error("the path {0:?} is outside the package")]
    Path(String),
    #[error("{0:?} is neither file, directory nor link")]
    Kind(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Dir,
    /// A file with this number of bytes.
    File(u64),
    /// A symbolic link with this target, which is not validated.
    Symlink(String),
    /// A hard link to this path in the same package.
    Hardlink(String),
}

/// One path in a package: relative, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: String,
    /// Permission bits, without set-user-ID, set-group-ID and sticky.
    pub(super) mode: u32,
    pub(super) kind: EntryKind,
}

/// Calls `visit` with each path of the package and, for a file, its bytes. Stops early when `visit`
/// returns `false`.
pub(super) fn read<E: From<DebError>>(
    package: impl Read,
    mut visit: impl FnMut(Entry, &mut dyn Read) -> Result<bool, E>,
) -> Result<(), E> {
    let data = data_member(package)?;
    let mut archive = tar::Archive::new(Bounded::new(data, MAX_UNPACKED));
    for found in plain_entries(archive.entries().map_err(DebError::from)?) {
        let PlainEntry {
            mut entry,
            path,
            link,
        } = found.map_err(DebError::from)?;
        let header = entry.header();
        let (kind, path) = (header.entry_type(), text(path)?);
        let link = || text(link);
        let kind = if kind.is_dir() {
            EntryKind::Dir
        } else if kind.is_file() {
            EntryKind::File(header.size().map_err(DebError::from)?)
        } else if kind.is_symlink() {
            EntryKind::Symlink(link()?)
        } else if kind.is_hard_link() {
            EntryKind::Hardlink(confined(&link()?)?)
        } else {
            return Err(DebError::Kind(path).into());
        };
        let mode = header.mode().map_err(DebError::from)? & 0o777;
        let path = confined(&path)?;
        if path.is_empty() {
            continue;
        }
        if !visit(Entry { path, mode, kind }, &mut entry)? {
            break;
        }
    }
    Ok(())
}

/// Finds the data member and returns a reader of its decompressed content.
fn data_member<'a>(mut package: impl Read + 'a) -> Result<Box<dyn Read + 'a>, DebError> {
    /// `debian-binary`, `control.tar`, `data.tar`, and a few more that the format allows.
    const MEMBERS: usize = 8;
    let mut magic = [0; 8];
    package.read_exact(&mut magic)?;
    if magic != *b"!<arch>\n" {
        return Err(DebError::Format("it is not an ar archive"));
    }
    for number in 0..MEMBERS {
        let (name, size) = member(&mut package)?;
        if number == 0 && name != "debian-binary" {
            return Err(DebError::Format("it does not begin with debian-binary"));
        }
        if name.starts_with("data.tar") {
            let data = package.take(size);
            return match name.as_str() {
                "data.tar" => Ok(Box::new(data)),
                "data.tar.gz" => Ok(Box::new(GzDecoder::new(data))),
                "data.tar.xz" => {
                    let stream = Stream::new_stream_decoder(MAX_MEMORY_BYTES, CONCATENATED);
                    let stream = stream.map_err(io::Error::from)?;
                    Ok(Box::new(XzDecoder::new_stream(data, stream)))
                }
                "data.tar.zst" => {
                    let mut decoder = zstd::Decoder::new(data)?;
                    decoder.window_log_max(MAX_WINDOW_LOG)?;
                    Ok(Box::new(decoder))
                }
                _ => Err(DebError::Format("its compression is not known")),
            };
        }
        // Members begin at even offsets.
        let skip = size + size % 2;
        if io::copy(&mut package.by_ref().take(skip), &mut io::sink())? != skip {
            return Err(DebError::Format("it ends within a member"));
        }
    }
    Err(DebError::Format("it has no data member"))
}

/// The header of the next member: its name and size.
fn member(package: &mut impl Read) -> Result<(String, u64), DebError> {
    let mut header = [0; 60];
    package.read_exact(&mut header)?;
    let field = |range: std::ops::Range<usize>| {
        let bytes = header.get(range).unwrap_or_default();
        std::str::from_utf8(bytes)
            .map(str::trim_end)
            .map_err(|_| DebError::Format("the header of a member is not UTF-8"))
    };
    if field(58..60)? != "`" {
        return Err(DebError::Format("the header of a member is damaged"));
    }
    let size = field(48..58)?
        .parse()
        .map_err(|_| DebError::Format("a member has no size"))?;
    Ok((field(0..16)?.trim_end_matches('/').to_owned(), size))
}

fn text(bytes: Vec<u8>) -> Result<String, DebError> {
    String::from_utf8(bytes).map_err(|_| DebError::Format("a name is not UTF-8"))
}

/// `./usr/bin/x` as `usr/bin/x`; empty for the root. A path outside of the package is an error.
fn confined(path: &str) -> Result<String, DebError> {
    let outside = || DebError::Path(path.to_owned());
    if path.starts_with('/') || path.contains('\0') {
        return Err(outside());
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(outside()),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
pub(super) mod tests;
