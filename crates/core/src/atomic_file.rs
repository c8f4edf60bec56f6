//! Files that get their name when they are complete: a kill leaves the old file, or none.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::locked_file;
use super::locked_file::Owner;
use super::parent_dir::parent_dir;

/// Prefix of the names of files that do not have their own yet.
pub const HIDDEN_PREFIX: &str = ".sdbuild-";
/// What gives a file without a name one.
const OPEN_FILES: &str = "/proc/self/fd";

/// Writes `text` to the file `path`, or replaces it, with the permissions `mode`.
pub fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    CompleteFile::write(parent_dir(path), text, mode, None)?.replace(path)
}

/// Creates `path`, which must not exist, with `text` in it and locked until the result is dropped; directories above it that are missing
/// are made. By that name it is never seen incomplete or unlocked.
///
/// # Errors
///
/// Of kind [`io::ErrorKind::AlreadyExists`] if something has that name, and [`io::ErrorKind::Unsupported`] on a file system without
/// locks.
pub fn create_locked(path: &Path, mode: u32, text: &[u8]) -> io::Result<File> {
    let dir = parent_dir(path);
    fs::create_dir_all(dir)?;
    let file = CompleteFile::write(dir, text, mode, None)?.create(path)?;
    if locked_file::owner(path) == Owner::Alive {
        return Ok(file);
    }
    fs::remove_file(path).ok();
    let text = "the file system does not support locks";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// A file that is complete on the disk, and does not have its name yet. Without one, it is removed when this value is dropped, and by
/// the kernel however the process ends. It has a hidden name where the file system has no files without one, and for the moment
/// before it replaces another file.
#[derive(Debug)]
pub struct CompleteFile {
    file: File,
    dir: PathBuf,
    /// The name that it has meanwhile, where it needs one.
    hidden: Option<TempPath>,
}

impl CompleteFile {
    /// Writes `content` to the disk in a file in `dir`, with the permissions `mode`, from which the umask is taken, and owned by
    /// `owner` (user and group id; `None`: this user). No error names a temporary file.
    pub fn write(
        dir: &Path,
        content: impl AsRef<[u8]>,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> io::Result<Self> {
        let unnamed = locked_file::create_unnamed(dir, mode);
        let mut created = match unnamed {
            Ok(_) if !Path::new(OPEN_FILES).exists() => Self::create_hidden(dir, mode)?,
            Ok(file) => Self {
                file,
                dir: dir.to_owned(),
                hidden: None,
            },
            Err(error) if locked_file::lacks_unnamed_files(&error) => {
                Self::create_hidden(dir, mode)?
            }
            Err(error) => return Err(error),
        };
        created.file.write_all(content.as_ref())?;
        if let Some((user, group)) = owner {
            fchown(&created.file, Some(user), Some(group))?;
        }
        created.file.sync_all()?;
        Ok(created)
    }

    fn create_hidden(dir: &Path, mode: u32) -> io::Result<Self> {
        let create = |path: &Path| locked_file::create_named(path, mode);
        let created = tempfile::Builder::new()
            .prefix(HIDDEN_PREFIX)
            .make_in(dir, create);
        let created = created.map_err(|error| io::Error::from(error.kind()))?;
        let (file, hidden) = created.into_parts();
        Ok(Self {
            file,
            dir: dir.to_owned(),
            hidden: Some(hidden),
        })
    }

    /// The file, open for reading and writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file the name `path`, in its directory, in place of what has it.
    pub fn replace(self, path: &Path) -> io::Result<()> {
        if self.hidden.is_none() && locked_file::link(&self.file, path).is_ok() {
            return Ok(());
        }
        // Only a rename replaces a file, for which this one needs a name.
        let hidden = self.into_hidden()?;
        hidden.persist(path).map_err(|error| error.error)
    }

    /// Gives the file a hidden name.
    fn into_hidden(mut self) -> io::Result<TempPath> {
        if let Some(hidden) = self.hidden.take() {
            return Ok(hidden);
        }
        let link = |hidden: &Path| locked_file::link(&self.file, hidden);
        let linked = tempfile::Builder::new()
            .prefix(HIDDEN_PREFIX)
            .make_in(&self.dir, link);
        match linked {
            Ok(named) => Ok(named.into_temp_path()),
            Err(_) => self.hidden_copy()?.into_hidden(),
        }
    }

    /// Gives the file the name `path`, in its directory. The result is the open file, locked where the file system has locks.
    ///
    /// # Errors
    ///
    /// Of kind [`io::ErrorKind::AlreadyExists`] if something has that name.
    pub fn create(self, path: &Path) -> io::Result<File> {
        let Some(hidden) = self.hidden else {
            return match locked_file::link(&self.file, path) {
                // Some file systems have files without a name, and give them none.
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    self.hidden_copy()?.create(path)
                }
                linked => linked.map(|()| self.file),
            };
        };
        hidden.persist_noclobber(path)?;
        Ok(self.file)
    }

    /// The same file with a hidden name.
    fn hidden_copy(&self) -> io::Result<Self> {
        let meta = self.file.metadata()?;
        let mut copy = Self::create_hidden(&self.dir, meta.mode() & 0o7777)?;
        (&self.file).seek(SeekFrom::Start(0))?;
        io::copy(&mut &self.file, &mut copy.file)?;
        let own = copy.file.metadata()?;
        if (own.uid(), own.gid()) != (meta.uid(), meta.gid()) {
            fchown(&copy.file, Some(meta.uid()), Some(meta.gid()))?;
        }
        copy.file.sync_all()?;
        Ok(copy)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_locked_file_is_complete_and_locked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/c");
        let file = create_locked(&path, 0o600, b"text").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        assert_eq!(locked_file::owner(&path), Owner::Alive);
        let error = create_locked(&path, 0o600, b"").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        drop(file);
        assert_eq!(locked_file::owner(&path), Owner::Gone);
        assert_eq!(names(path.parent().unwrap()), ["c"]);
        // Where files without a name get none.
        let hidden = CompleteFile::write(dir.path(), "text", 0o640, None).unwrap();
        let hidden = hidden.hidden_copy().unwrap();
        let other = dir.path().join("d");
        let file = hidden.create(&other).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "text");
        assert_eq!(
            other.metadata().unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(locked_file::owner(&other), Owner::Alive);
        drop(file);
        assert_eq!(names(dir.path()).len(), 2, "the directory and the file");
    }

    #[test]
    fn a_file_has_no_name_until_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let unnamed = || CompleteFile::write(dir.path(), "new", 0o600, None).unwrap();
        let written = unnamed();
        let hidden = usize::from(written.hidden.is_some());
        assert_eq!(names(dir.path()).len(), hidden);
        drop(written);
        assert_eq!(names(dir.path()), [""; 0], "not even after an error");
        unnamed().create(&path).unwrap();
        assert_eq!(names(dir.path()), ["a"]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let hidden = || {
            let mut file = CompleteFile::create_hidden(dir.path(), 0o600).unwrap();
            file.file.write_all(b"new").unwrap();
            file
        };
        let both: [&dyn Fn() -> CompleteFile; 2] = [&unnamed, &hidden];
        for file in both {
            let error = file().create(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        for file in both {
            fs::write(&path, "old").unwrap();
            file().replace(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "new");
            assert_eq!(names(dir.path()), ["a"]);
        }
        for file in both {
            fs::remove_file(&path).unwrap();
            file().replace(&path).unwrap();
            assert_eq!(names(dir.path()), ["a"]);
        }
        let missing = CompleteFile::write(&dir.path().join("b"), "", 0o600, None).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
