//! Files that get their name when they are complete: a kill leaves the old file, or none.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, fchown};
use std::path::Path;

use tempfile::NamedTempFile;

use super::locked_file;
use super::locked_file::Owner;
use super::parent_dir::parent_dir;

/// Prefix of the names of files that do not have their own yet.
pub const HIDDEN_PREFIX: &str = ".sdbuild-";

/// Writes `text` to the file `path`, or replaces it, with the permissions `mode`, from which the umask is taken.
pub fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    replace_owned(path, text, mode, None).map(drop)
}

/// The same for a file that belongs to `owner` (user and group id; `None`: this user). The result is the open file.
pub fn replace_owned(
    path: &Path,
    content: impl AsRef<[u8]>,
    mode: u32,
    owner: Option<(u32, u32)>,
) -> io::Result<File> {
    let content = content.as_ref();
    if let Some(file) = unnamed(path, content, mode, owner)? {
        if locked_file::link(&file, path).is_ok() {
            return Ok(file);
        }
        // Only a rename replaces a file, for which this one needs a name.
        let link = |hidden: &Path| locked_file::link(&file, hidden);
        if let Ok(hidden) = hidden_names().make_in(parent_dir(path), link) {
            hidden.into_temp_path().persist(path)?;
            return Ok(file);
        }
    }
    Ok(hidden(path, content, mode, owner)?.persist(path)?)
}

/// Writes `content` to the new file `path`, with the permissions `mode`, from which the umask is taken, and owned by `owner` (user and
/// group id; `None`: this user). The result is the open file, locked where the file system has locks. It has another name, which is hidden,
/// only where the file system gives none to a file without one.
///
/// # Errors
///
/// Of kind [`ErrorKind::AlreadyExists`] if something has that name. No error names a temporary file.
pub fn create(
    path: &Path,
    content: impl AsRef<[u8]>,
    mode: u32,
    owner: Option<(u32, u32)>,
) -> io::Result<File> {
    let content = content.as_ref();
    if let Some(file) = unnamed(path, content, mode, owner)? {
        match locked_file::link(&file, path) {
            Ok(()) => return Ok(file),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
        }
    }
    Ok(hidden(path, content, mode, owner)?.persist_noclobber(path)?)
}

/// Creates `path`, which must not exist, with `text` in it and locked until the result is dropped; directories above it that are missing
/// are made. By that name it is never seen incomplete or unlocked.
///
/// # Errors
///
/// Of kind [`ErrorKind::AlreadyExists`] if something has that name, and [`ErrorKind::Unsupported`] on a file system without locks.
pub fn create_locked(path: &Path, mode: u32, text: &[u8]) -> io::Result<File> {
    fs::create_dir_all(parent_dir(path))?;
    let file = create(path, text, mode, None)?;
    if locked_file::owner(path) == Owner::Alive {
        return Ok(file);
    }
    fs::remove_file(path).ok();
    let text = "the file system does not support locks";
    Err(io::Error::new(ErrorKind::Unsupported, text))
}

/// Writes the secret `text` to the new file `path`, which only this user may read; directories above it that are missing are made for this
/// user only. Fails with `AlreadyExists` if `path` exists.
pub fn create_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut dirs = DirBuilder::new();
    dirs.recursive(true).mode(0o700).create(parent_dir(path))?;
    create(path, text, 0o600, None).map(drop)
}

/// A file without a name for `path`, complete on the disk: the kernel removes it however the process ends. `None` where the file system has
/// no such files.
fn unnamed(
    path: &Path,
    content: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> io::Result<Option<File>> {
    let mut file = locked_file::create_unnamed(parent_dir(path), mode)?;
    if let Some(file) = &mut file {
        fill(file, content, owner)?;
    }
    Ok(file)
}

/// The same with a hidden name in the directory of `path`.
fn hidden(
    path: &Path,
    content: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> io::Result<NamedTempFile> {
    let create = |hidden: &Path| locked_file::create_named(hidden, mode);
    let file = hidden_names().make_in(parent_dir(path), create);
    let mut file = file.map_err(|error| io::Error::from(error.kind()))?;
    fill(file.as_file_mut(), content, owner)?;
    Ok(file)
}

fn fill(file: &mut File, content: &[u8], owner: Option<(u32, u32)>) -> io::Result<()> {
    file.write_all(content)?;
    if let Some((user, group)) = owner {
        fchown(&*file, Some(user), Some(group))?;
    }
    file.sync_all()
}

fn hidden_names() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(HIDDEN_PREFIX);
    builder
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_locked_file_is_complete_and_locked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/c");
        let file = create_locked(&path, 0o600, b"text").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        assert_eq!(locked_file::owner(&path), Owner::Alive);
        let error = create_locked(&path, 0o600, b"").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        drop(file);
        assert_eq!(locked_file::owner(&path), Owner::Gone);
        assert_eq!(names(path.parent().unwrap()), ["c"]);
    }

    #[test]
    fn a_file_has_no_other_name_and_replaces_only_if_asked_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        drop(create(&path, "new", 0o640, None).unwrap());
        assert_eq!(
            (names(dir.path()), mode(&path)),
            (vec!["a".to_owned()], 0o640)
        );
        let error = create(&path, "newer", 0o600, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        replace(&path, "newer", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
        assert_eq!(
            (names(dir.path()), mode(&path)),
            (vec!["a".to_owned()], 0o600)
        );
        let missing = create(&dir.path().join("b/c"), "", 0o600, None).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_file_with_a_hidden_name_is_locked_and_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        drop(hidden(&path, b"text", 0o640, None).unwrap());
        assert_eq!(names(dir.path()), [""; 0], "not even after an error");
        let file = hidden(&path, b"text", 0o640, None).unwrap();
        let file = file.persist_noclobber(&path).unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), mode(&path)),
            ("text".to_owned(), 0o640)
        );
        assert_eq!(locked_file::owner(&path), Owner::Alive);
        drop(file);
    }

    #[test]
    fn a_secret_is_for_this_user_only_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/key");
        create_secret(&path, "secret").unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let again = create_secret(&path, "other").unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    }
}
