//! One package's bytes → its files. Hostile input is expected: nothing here trusts a length, a name
//! or a link, and nothing is written anywhere.
//!
//! A package is an `ar` archive of three members, the last of which is a compressed tar. Both outer
//! layers are read here by hand: general readers take names of any length into memory.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use lzma_rust2::XzReader;

/// A package unpacks to no more than this.
const MAX_UNPACKED: u64 = 4 << 30;
/// No path or link target is longer.
const MAX_NAME: u64 = 4096;
/// What a decompressor may ask for: `xz -9` needs 65 MiB, Debian uses 9.
const MAX_MEMORY_KIB: u32 = 128 << 10;
const MAX_WINDOW_LOG: u32 = 27;

/// Why a package was refused.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// Reading, decompressing or parsing failed.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// Not what a Debian package is.
    #[error("not a Debian package: {0}")]
    Format(&'static str),
    /// A path that leaves the package.
    #[error("the path {0:?} leaves the package")]
    Path(String),
    /// A device, a pipe or the like.
    #[error("{0:?} is neither file, directory nor link")]
    Kind(String),
}

/// What a path in a package is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory.
    Dir,
    /// A file of so many bytes.
    File(u64),
    /// A symbolic link; its target is data and followed by nobody.
    Symlink(String),
    /// Another name of a file in the same package.
    Hardlink(String),
}

/// One path in a package: relative, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where.
    pub(super) path: String,
    /// Permission bits, without set-user-id and its like.
    pub(super) mode: u32,
    /// What.
    pub(super) kind: Kind,
}

/// Calls `visit` with each path of the package and, for a file, its bytes. Stops early when `visit`
/// returns `false`.
pub(super) fn read<E: From<DebError>>(
    package: impl Read,
    mut visit: impl FnMut(Entry, &mut dyn Read) -> Result<bool, E>,
) -> Result<(), E> {
    let data = data_member(package)?;
    let mut archive = tar::Archive::new(Bounded {
        inner: data,
        left: MAX_UNPACKED,
    });
    let (mut long_path, mut long_link) = (None, None);
    for entry in archive.entries().map_err(DebError::from)?.raw(true) {
        let mut entry = entry.map_err(DebError::from)?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() || kind.is_gnu_longlink() {
            let slot = if kind.is_gnu_longname() {
                &mut long_path
            } else {
                &mut long_link
            };
            *slot = Some(long_name(&mut entry)?);
            continue;
        }
        let header = entry.header();
        let path = long_path
            .take()
            .map_or_else(|| text(&header.path_bytes()), Ok)?;
        let link = long_link.take();
        let link = || match link {
            Some(link) => Ok(link),
            None => text(&header.link_name_bytes().unwrap_or_default()),
        };
        let kind = if kind.is_dir() {
            Kind::Dir
        } else if kind.is_file() {
            Kind::File(header.size().map_err(DebError::from)?)
        } else if kind.is_symlink() {
            Kind::Symlink(link()?)
        } else if kind.is_hard_link() {
            Kind::Hardlink(confined(&link()?)?)
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

/// Walks to the data member and undoes its compression.
fn data_member<'a>(mut package: impl Read + 'a) -> Result<Box<dyn Read + 'a>, DebError> {
    /// `debian-binary`, `control.tar`, `data.tar`, and a few that the format allows between them.
    const MEMBERS: usize = 8;
    let mut magic = [0; 8];
    package.read_exact(&mut magic)?;
    if magic != *b"!<arch>\n" {
        return Err(DebError::Format("no ar archive"));
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
                "data.tar.xz" => Ok(Box::new(XzReader::new_mem_limit(
                    data,
                    true,
                    MAX_MEMORY_KIB,
                ))),
                "data.tar.zst" => {
                    let mut decoder = zstd::Decoder::new(data)?;
                    decoder.window_log_max(MAX_WINDOW_LOG)?;
                    Ok(Box::new(decoder))
                }
                _ => Err(DebError::Format("its compression is not known")),
            };
        }
        // Members begin at even positions.
        let skip = size + size % 2;
        if io::copy(&mut package.by_ref().take(skip), &mut io::sink())? != skip {
            return Err(DebError::Format("it ends within a member"));
        }
    }
    Err(DebError::Format("no data member"))
}

/// The header of the next member: its name and size.
fn member(package: &mut impl Read) -> Result<(String, u64), DebError> {
    let mut header = [0; 60];
    package.read_exact(&mut header)?;
    let field = |range: std::ops::Range<usize>| {
        let bytes = header.get(range).unwrap_or_default();
        std::str::from_utf8(bytes)
            .map(str::trim_end)
            .map_err(|_| DebError::Format("a strange member"))
    };
    if field(58..60)? != "`" {
        return Err(DebError::Format("a broken member header"));
    }
    let size = field(48..58)?
        .parse()
        .map_err(|_| DebError::Format("a member without a size"))?;
    Ok((field(0..16)?.trim_end_matches('/').to_owned(), size))
}

/// The body of one of GNU tar's entries for names of more than 100 bytes.
fn long_name(entry: &mut impl Read) -> Result<String, DebError> {
    let mut name = Vec::new();
    entry.take(MAX_NAME + 1).read_to_end(&mut name)?;
    if name.len() as u64 > MAX_NAME {
        return Err(DebError::Format("a name without end"));
    }
    if name.last() == Some(&0) {
        name.pop();
    }
    text(&name)
}

fn text(bytes: &[u8]) -> Result<String, DebError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| DebError::Format("a name is not UTF-8"))
}

/// A reader that fails beyond a limit, where `take` would pretend that the input ended.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(n as u64)
            .ok_or_else(|| io::Error::other("the package unpacks to more than is allowed"))?;
        Ok(n)
    }
}

/// `usr/bin/x` out of `./usr/bin/x`; empty for the top itself.
fn confined(path: &str) -> Result<String, DebError> {
    let refuse = || DebError::Path(path.to_owned());
    if path.starts_with('/') || path.contains('\0') {
        return Err(refuse());
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(refuse()),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
pub(super) mod tests;
