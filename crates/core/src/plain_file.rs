//! Opening files whose path the user or a cloned repository chose: only regular files are opened.
//!
//! Opening a pipe blocks until it has a writer, and no signal that sdbuild handles ends that; a device may
//! never end. Both can be part of a cloned directory, so such paths are only opened with these functions.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufRead as _, ErrorKind, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::libc::{ELOOP, ENXIO, O_NOFOLLOW, O_NONBLOCK};
use nix::sys::stat::Mode;

use super::human_bytes::human_bytes;

/// Opens a directory to look up names in it.
#[cfg(target_os = "linux")]
const LOOK_UP: OFlag = OFlag::O_PATH;
#[cfg(not(target_os = "linux"))]
const LOOK_UP: OFlag = OFlag::O_RDONLY;

/// Identifies a file, whatever its names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that `metadata` is of.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// Whether `path` is a name of the open `file`: another process may have removed it, or have made another one of the same name.
pub fn is_at(file: &File, path: &Path) -> bool {
    let there = path.symlink_metadata();
    let ids = (file.metadata(), there);
    matches!(ids, (Ok(own), Ok(there)) if FileId::of(&own) == FileId::of(&there))
}

/// Whether `result` failed because a file is gone by now: editors and builds make and remove files all the time.
pub fn is_gone<T>(result: &io::Result<T>) -> bool {
    let error = result.as_ref().err();
    error.is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

/// A file with its present content, as far as its times show that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion {
    id: FileId,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileVersion {
    /// The version that `metadata` is of.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            id: FileId::of(metadata),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Opens the regular file `path` for reading; symbolic links are followed.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path, 0)
}

/// Opens a regular file or a block device for reading; symbolic links are followed.
pub fn open_or_disk(path: &Path) -> io::Result<File> {
    let file = nonblocking(OpenOptions::new().read(true), path, 0)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_block_device() {
        Ok(file)
    } else {
        let text = "it is neither a plain file nor a disk";
        Err(io::Error::new(ErrorKind::InvalidInput, text))
    }
}

/// Opens the regular file `path` for reading; a symbolic link is refused.
pub fn open_unlinked(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path, O_NOFOLLOW)
}

/// Opens the regular file `path` below the directory `root` for reading; a symbolic link is refused, also in place of a
/// directory on the way. `path` has plain components only.
pub fn open_beneath(root: &File, path: &Path) -> io::Result<File> {
    let on_the_way = LOOK_UP | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut dir = root.as_fd().try_clone_to_owned()?;
    for part in path.parent().into_iter().flat_map(Path::components) {
        dir = openat(&dir, part.as_os_str(), on_the_way, Mode::empty())?;
    }
    let name = path.file_name().ok_or_else(not_plain)?;
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let opened = openat(&dir, name, flags, Mode::empty()).map_err(io::Error::from);
    plain(explained(opened.map(OwnedFd::into), O_NOFOLLOW)?)
}

/// Opens the regular file `path` for reading and writing, and creates it if it is missing; a symbolic link is
/// refused.
pub fn create_unlinked(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    open_with(&mut options, path, O_NOFOLLOW)
}

/// The content of `path`; an error when it is longer than `limit` bytes.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_all(open(path)?, limit)
}

/// The content of the open `file`; an error when it is longer than `limit` bytes.
pub fn read_all(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Not by the file's length: it may grow while it is read.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    check_size(&bytes, limit)?;
    Ok(bytes)
}

/// The content of `path` as UTF-8; an error when it is longer than `limit` bytes.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    text(read(path, limit)?)
}

/// The first line of the file `path`, or of what a pipe gives, without its line break. Blocks until a pipe has given it or is
/// closed: only for a path that the user gives for this, such as `/dev/stdin`. An error when it is longer than `limit` bytes.
pub fn first_line_of_file_or_pipe(path: &Path, limit: u64) -> io::Result<String> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_file() {
        return first_line(open(path)?, limit);
    }
    // Opening some devices has effects.
    let file = kind.is_fifo().then(|| File::open(path)).transpose()?;
    // It may be another file by now.
    let is_pipe = |file: &File| file.metadata().is_ok_and(|meta| meta.file_type().is_fifo());
    let Some(pipe) = file.filter(is_pipe) else {
        let text = "it is neither a plain file nor a pipe";
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    };
    first_line(pipe, limit)
}

/// Reads no further than to the first line break: a writer may keep its pipe open.
fn first_line(file: File, limit: u64) -> io::Result<String> {
    let mut line = Vec::new();
    let mut start = io::BufReader::new(file.take(limit.saturating_add(1)));
    start.read_until(b'\n', &mut line)?;
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    check_size(&line, limit)?;
    text(line)
}

fn check_size(bytes: &[u8], limit: u64) -> io::Result<()> {
    if bytes.len() as u64 <= limit {
        return Ok(());
    }
    let text = format!("it is larger than {}", human_bytes(limit));
    Err(io::Error::new(ErrorKind::FileTooLarge, text))
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let is_utf_16 = [[0xff, 0xfe], [0xfe, 0xff]]
            .iter()
            .any(|mark| error.as_bytes().starts_with(mark));
        let text = if is_utf_16 {
            "it is UTF-16: save it as UTF-8"
        } else {
            "it is not UTF-8"
        };
        io::Error::new(ErrorKind::InvalidData, text)
    })
}

/// Whether `error`, returned by this module, means that `path` is not the expected kind of file: not a regular
/// file, too large, not text. All other errors come from the operating system.
pub fn is_wrong_kind(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::FileTooLarge | ErrorKind::InvalidData
    )
}

/// Opens `path` without waiting for the other end of a pipe.
fn nonblocking(options: &mut OpenOptions, path: &Path, flags: i32) -> io::Result<File> {
    let opened = options.custom_flags(flags | O_NONBLOCK).open(path);
    explained(opened, flags)
}

/// Replaces the errors of files that are not regular ones, opened with `flags`.
fn explained(opened: io::Result<File>, flags: i32) -> io::Result<File> {
    opened.map_err(|error| match error.raw_os_error() {
        // A socket, a pipe without a reader, a link that must not be followed.
        Some(ENXIO) => not_plain(),
        Some(ELOOP) if flags & O_NOFOLLOW != 0 => not_plain(),
        _ => error,
    })
}

/// Opens `path` and checks the opened file: the path itself may refer to another file by then.
fn open_with(options: &mut OpenOptions, path: &Path, flags: i32) -> io::Result<File> {
    plain(nonblocking(options, path, flags)?)
}

/// `file` if it is a regular file.
fn plain(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
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
    fn refuses_pipes_devices_directories_and_sockets() {
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
    fn a_pipe_is_read_to_the_end_of_its_first_line() {
        use std::io::Write as _;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        pipe(&path);
        let written = |text: &'static str| {
            let pipe = path.clone();
            let writer = std::thread::spawn(move || std::fs::write(pipe, text));
            let read = first_line_of_file_or_pipe(&path, 5);
            // Of a text that is too long, the writer may be refused the rest.
            drop(writer.join().unwrap());
            read
        };
        assert_eq!(written("12345").unwrap(), "12345");
        assert_eq!(written("123\r\n456").unwrap(), "123");
        // The writer keeps it open.
        let writer = std::thread::spawn({
            let path = dir.path().join("fifo");
            move || {
                let mut pipe = OpenOptions::new().write(true).open(path).unwrap();
                pipe.write_all(b"abc\n").unwrap();
                pipe
            }
        });
        let read = first_line_of_file_or_pipe(&dir.path().join("fifo"), 5);
        assert_eq!(read.unwrap(), "abc");
        drop(writer.join().unwrap());
        let error = written("123456").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        let error = first_line_of_file_or_pipe(Path::new("/dev/zero"), 5).unwrap_err();
        assert!(error.to_string().contains("nor a pipe"), "{error}");
    }

    #[test]
    fn follows_links_unless_forbidden() {
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
    fn opens_only_what_is_beneath_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("root/a/b")).unwrap();
        std::fs::create_dir(at("outside")).unwrap();
        for file in ["root/a/b/file", "outside/file"] {
            std::fs::write(at(file), file).unwrap();
        }
        symlink("../outside", at("root/way")).unwrap();
        symlink("a/b/file", at("root/link")).unwrap();
        pipe(&at("root/pipe"));
        let root = File::open(at("root")).unwrap();
        let open = |path: &str| open_beneath(&root, path.as_ref());
        let text = io::read_to_string(open("a/b/file").unwrap()).unwrap();
        assert_eq!(text, "root/a/b/file");
        for (path, kind) in [
            ("way/file", ErrorKind::NotADirectory),
            ("link", ErrorKind::InvalidInput),
            ("pipe", ErrorKind::InvalidInput),
            ("a", ErrorKind::InvalidInput),
            ("a/none", ErrorKind::NotFound),
            ("a/b/file/x", ErrorKind::NotADirectory),
        ] {
            assert_eq!(open(path).unwrap_err().kind(), kind, "{path}");
        }
    }

    #[test]
    fn refuses_files_above_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        let error = read_text(&path, 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "it is larger than 4 B");
    }
}
