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
    #[error("{0:?} is neither file, folder nor link")]
    Kind(String),
}

/// What a path in a package is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A folder.
    Folder,
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
            Kind::Folder
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
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// One member of an `ar` archive.
    fn member(name: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            "100644",
            body.len()
        );
        let mut bytes = [head.as_bytes(), body].concat();
        if body.len() % 2 == 1 {
            bytes.push(b'\n');
        }
        bytes
    }

    fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let members = members.iter().map(|(name, body)| member(name, body));
        [b"!<arch>\n".to_vec()]
            .into_iter()
            .chain(members)
            .flatten()
            .collect()
    }

    fn deb(name: &str, data: &[u8]) -> Vec<u8> {
        ar(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", b"odd"),
            (name, data),
        ])
    }

    /// A package of the given entries, with whatever names they have.
    pub(crate) fn package(entries: &[(&str, u8, &str, u32)]) -> Vec<u8> {
        deb("data.tar", &tar_of(entries))
    }

    fn tar_of(entries: &[(&str, u8, &str, u32)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, body, mode) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::new(*kind));
            header.set_mode(*mode);
            // Written by hand: the crate refuses what we want to try.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            let body = if matches!(kind, b'1' | b'2') {
                header.as_old_mut().linkname[..body.len()].copy_from_slice(body.as_bytes());
                ""
            } else {
                body
            };
            header.set_size(body.len() as u64);
            header.set_cksum();
            builder.append(&header, body.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn list(package: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, DebError> {
        let mut seen = Vec::new();
        read::<DebError>(package, |entry, body| {
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes)?;
            seen.push((entry, bytes));
            Ok(true)
        })?;
        Ok(seen)
    }

    fn plain() -> Vec<u8> {
        tar_of(&[
            ("./", b'5', "", 0o755),
            ("./usr/bin/", b'5', "", 0o755),
            ("./usr/bin/a", b'0', "bytes", 0o6755),
            ("./usr/bin/b", b'2', "../../../etc/x", 0o777),
            ("./usr/bin/c", b'1', "./usr/bin/a", 0o755),
        ])
    }

    #[test]
    fn every_compression_is_undone() {
        let tar = plain();
        let mut xz =
            lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
        xz.write_all(&tar).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).unwrap();
        let packed = [
            ("data.tar", tar.clone()),
            ("data.tar.xz", xz.finish().unwrap()),
            ("data.tar.zst", zstd::encode_all(&tar[..], 3).unwrap()),
            ("data.tar.gz/", gz.finish().unwrap()),
        ];
        for (name, data) in packed {
            let entry = |path: &str, mode, kind| Entry {
                path: path.to_owned(),
                mode,
                kind,
            };
            assert_eq!(
                list(&deb(name, &data)).unwrap(),
                [
                    (entry("usr/bin", 0o755, Kind::Folder), vec![]),
                    (entry("usr/bin/a", 0o755, Kind::File(5)), b"bytes".to_vec()),
                    (
                        entry("usr/bin/b", 0o777, Kind::Symlink("../../../etc/x".into())),
                        vec![]
                    ),
                    (
                        entry("usr/bin/c", 0o755, Kind::Hardlink("usr/bin/a".into())),
                        vec![]
                    ),
                ],
                "{name}"
            );
            // A cut one is an error or shorter, and never a panic or a loop.
            for cut in (0..data.len()).step_by(97) {
                drop(list(&deb(name, &data[..cut])));
            }
            for at in (0..data.len()).step_by(13) {
                let mut flipped = data.clone();
                flipped[at] ^= 0x55;
                drop(list(&deb(name, &flipped)));
            }
        }
    }

    #[test]
    fn reading_stops_when_enough_was_seen() {
        let mut seen = 0;
        let stop = |_, _: &mut dyn Read| {
            seen += 1;
            Ok::<_, DebError>(false)
        };
        read(&deb("data.tar", &plain())[..], stop).unwrap();
        assert_eq!(seen, 1);
    }

    #[test]
    fn paths_that_leave_are_refused() {
        for path in ["/etc/passwd", "../x", "./usr/../../x", "usr/.."] {
            let error = list(&package(&[(path, b'0', "x", 0o644)])).unwrap_err();
            assert!(matches!(error, DebError::Path(_)), "{path}: {error}");
        }
        let error = list(&package(&[("a", b'1', "/etc/passwd", 0o644)])).unwrap_err();
        assert!(matches!(error, DebError::Path(_)), "{error}");
    }

    #[test]
    fn devices_and_the_like_are_refused() {
        for kind in *b"3467xgS" {
            assert!(list(&package(&[("a", kind, "", 0o644)])).is_err(), "{kind}");
        }
    }

    #[test]
    fn long_names_have_an_end() {
        let long = "./".to_owned() + &"d/".repeat(100) + "file";
        let entries = [
            ("././@LongLink", b'L', long.as_str(), 0),
            ("./cut", b'0', "x", 0o644),
        ];
        assert_eq!(
            list(&package(&entries)).unwrap()[0].0.path,
            long.trim_start_matches("./")
        );
        let endless = "d".repeat(5000);
        let entries = [
            ("././@LongLink", b'L', endless.as_str(), 0),
            ("./cut", b'0', "x", 0o644),
        ];
        assert!(matches!(
            list(&package(&entries)),
            Err(DebError::Format("a name without end"))
        ));
    }

    #[test]
    fn strange_archives_are_refused() {
        let (control, data) = (("control.tar.xz", &b"x"[..]), ("data.tar", &plain()[..]));
        let first = ("debian-binary", &b"2.0\n"[..]);
        assert!(list(&ar(&[first, control, data])).is_ok());
        for (archive, why) in [
            (b"PK\x03\x04 and so on".to_vec(), "no ar archive"),
            (ar(&[control, data]), "begin with debian-binary"),
            (ar(&[first, control]), "failed to fill whole buffer"),
            (
                ar(&[first, control, ("data.tar.lz4", b"x")]),
                "compression is not known",
            ),
            (ar(&[first; 9]), "no data member"),
            (
                ar(&[first, control, data])[..70].to_vec(),
                "ends within a member",
            ),
            (
                String::from_utf8_lossy(&ar(&[first]))
                    .replace("100644  4 ", "100644  x ")
                    .into_bytes(),
                "without a size",
            ),
            (ar(&[first])[..50].to_vec(), "failed to fill whole buffer"),
        ] {
            let error = list(&archive).unwrap_err().to_string();
            assert!(error.contains(why), "{error} is not {why}");
        }
    }

    #[test]
    fn greedy_decompressors_are_refused() {
        // A header that asks for a dictionary of 1.5 GiB.
        let mut xz = b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36".to_vec();
        let header = [2, 0, 0x21, 1, 39, 0, 0, 0];
        xz.extend(header);
        xz.extend(crc32(&header).to_le_bytes());
        assert!(
            list(&deb("data.tar.xz", &xz))
                .unwrap_err()
                .to_string()
                .contains("mem")
        );
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    }

    proptest::proptest! {
        /// Whatever bytes come, reading ends, without a panic and without a path that leaves the package.
        #[test]
        fn damaged_packages_are_refused_or_confined(
            which in 0usize..4,
            at in proptest::prelude::any::<proptest::sample::Index>(),
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..64),
        ) {
            let tar = plain();
            let data = match which {
                0 => ("data.tar", tar),
                1 => ("data.tar.zst", zstd::encode_all(&tar[..], 3).unwrap()),
                2 => {
                    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                    gz.write_all(&tar).unwrap();
                    ("data.tar.gz", gz.finish().unwrap())
                }
                _ => {
                    let options = lzma_rust2::XzOptions::with_preset(1);
                    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
                    xz.write_all(&tar).unwrap();
                    ("data.tar.xz", xz.finish().unwrap())
                }
            };
            let mut package = deb(data.0, &data.1);
            let at = at.index(package.len());
            for (slot, byte) in package.iter_mut().skip(at).zip(bytes) {
                *slot = byte;
            }
            for (entry, body) in list(&package).unwrap_or_default() {
                proptest::prop_assert!(!entry.path.starts_with('/'));
                proptest::prop_assert!(entry.path.split('/').all(|part| part != ".."));
                proptest::prop_assert!(body.len() <= 64 * 512);
            }
        }

        #[test]
        fn arbitrary_bytes_are_no_package(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..512)) {
            proptest::prop_assert!(list(&bytes).is_err());
        }
    }
}
