//! Files that other people may have put there: opened only when they are files.
//!
//! Part of the hall. A pipe waits for its writer for ever and no signal that we catch ends that wait;
//! a device gives bytes for ever. Both lie in cloned directories as easily as files do, so nobody opens
//! such a path by other means.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::libc::{ELOOP, ENXIO, O_NOFOLLOW, O_NONBLOCK};

/// Opens `path` for reading, links followed.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path, 0)
}

/// Opens `path` for reading, links followed; a disk will do as well.
pub fn open_or_disk(path: &Path) -> io::Result<File> {
    let is_disk = |metadata: &Metadata| metadata.file_type().is_block_device();
    let file = nonblocking(OpenOptions::new().read(true), path, 0)?;
    let metadata = file.metadata()?;
    if metadata.is_file() || is_disk(&metadata) {
        Ok(file)
    } else {
        let text = "it is neither a plain file nor a disk";
        Err(io::Error::new(ErrorKind::InvalidInput, text))
    }
}

/// Opens `path` for reading unless it is a link.
pub fn open_unlinked(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path, O_NOFOLLOW)
}

/// Opens `path` to read and write it, and makes it if need be, unless it is a link.
pub fn create_unlinked(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create(true).truncate(false);
    open_with(&mut how, path, O_NOFOLLOW)
}

/// All of `path`, unless that is more than `limit` bytes.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    // It may grow while it is read, so its length is no promise.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let text = format!("it is larger than {limit} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// All of `path` as text, unless that is more than `limit` bytes.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Whether an error of these functions says that the file is none of the kind that was looked for: no
/// plain file, too large, no text. All other errors are the machine's.
pub fn is_other(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::FileTooLarge | ErrorKind::InvalidData
    )
}

/// Without waiting for a pipe's other end.
fn nonblocking(how: &mut OpenOptions, path: &Path, flags: i32) -> io::Result<File> {
    let opened = how.custom_flags(flags | O_NONBLOCK).open(path);
    opened.map_err(|error| match error.raw_os_error() {
        // a socket, a pipe that nobody reads, a link that may not be followed
        Some(ENXIO) => not_plain(),
        Some(ELOOP) if flags & O_NOFOLLOW != 0 => not_plain(),
        _ => error,
    })
}

/// What was opened is asked, not the path, which may be something else by then.
fn open_with(how: &mut OpenOptions, path: &Path, flags: i32) -> io::Result<File> {
    let file = nonblocking(how, path, flags)?;
    if file.metadata().as_ref().is_ok_and(Metadata::is_file) {
        Ok(file)
    } else {
        Err(not_plain())
    }
}

fn not_plain() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "it is not a plain file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn pipe(path: &Path) {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    }

    #[test]
    fn pipes_devices_dirs_and_sockets_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let [fifo, zero, socket] = ["fifo", "zero", "socket"].map(|name| dir.path().join(name));
        pipe(&fifo);
        symlink("/dev/zero", &zero).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [&fifo, &zero, &socket, dir.path()] {
            for error in [open(path).unwrap_err(), read_text(path, 9).unwrap_err()] {
                assert!(error.to_string().contains("not a plain file"), "{error}");
            }
            assert!(create_unlinked(path).is_err());
            let error = open_or_disk(path).unwrap_err().to_string();
            assert!(error.contains("not a plain file") || error.contains("nor a disk"));
        }
    }

    #[test]
    fn links_are_followed_when_asked_to() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| dir.path().join(name));
        std::fs::write(&file, "x").unwrap();
        symlink("file", &link).unwrap();
        assert_eq!(read_text(&link, 1).unwrap(), "x");
        assert!(open_unlinked(&file).is_ok());
        let error = open_unlinked(&link).unwrap_err().to_string();
        assert!(error.contains("not a plain file"), "{error}");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        let error = read_text(&path, 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "it is larger than 4 bytes");
    }
}
