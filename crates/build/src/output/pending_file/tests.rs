//! Final names that are free, taken, and replaced on purpose; nothing is left of what is dropped.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use super::*;

/// Creates unnamed files where the kernel has them, and named ones as on other file systems.
const CONSTRUCTORS: [fn(&Path, u32) -> io::Result<PendingFile>; 2] =
    [PendingFile::create, PendingFile::create_named];

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn written(create: fn(&Path, u32) -> io::Result<PendingFile>, dir: &Path) -> PendingFile {
    let file = create(dir, PUBLIC).unwrap();
    file.file().write_all(b"image").unwrap();
    file
}

/// Puts a new file at `name`, which must be free unless `force`.
fn publish(file: PendingFile, dir: &Path, name: &str, force: bool) -> io::Result<PathBuf> {
    file.sync()?;
    let file = file.into_hidden(dir)?;
    let path = dir.join(name);
    if force {
        drop(file.replace(&path)?);
    } else {
        file.rename_to_free(&path)?;
    }
    Ok(path)
}

#[test]
fn published_file_is_whole_and_readable() {
    for create in CONSTRUCTORS {
        let dir = tempfile::tempdir().unwrap();
        let file = written(create, dir.path());
        let owner = (Uid::current().as_raw(), Gid::current().as_raw());
        file.set_owner(owner).unwrap();
        let path = publish(file, dir.path(), "a.img", false).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"image");
        assert_eq!(names(dir.path()), ["a.img"]);
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert!(mode & 0o600 == 0o600 && mode & 0o133 == 0, "{mode:o}");
    }
}

#[test]
fn a_private_file_is_never_anything_else() {
    for create in CONSTRUCTORS {
        let dir = tempfile::tempdir().unwrap();
        let file = create(dir.path(), PRIVATE).unwrap();
        let mode = file.file().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn dropped_files_leave_nothing() {
    for create in CONSTRUCTORS {
        let dir = tempfile::tempdir().unwrap();
        drop(written(create, dir.path()));
        assert!(names(dir.path()).is_empty());
        let hidden = written(create, dir.path()).into_hidden(dir.path()).unwrap();
        assert_eq!(names(dir.path()).len(), 1);
        drop(hidden);
        assert!(names(dir.path()).is_empty());
    }
}

#[test]
fn existing_names_are_not_replaced_without_force() {
    for create in CONSTRUCTORS {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "old").unwrap();
        symlink("nowhere", dir.path().join("dangling")).unwrap();
        fs::create_dir(dir.path().join("directory")).unwrap();
        for name in ["file", "dangling", "directory"] {
            let file = written(create, dir.path());
            let error = publish(file, dir.path(), name, false).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{name}");
        }
        assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["dangling", "directory", "file"]);
    }
}

#[test]
fn force_replaces_files_and_links() {
    for create in CONSTRUCTORS {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "old").unwrap();
        fs::write(dir.path().join("other"), "theirs").unwrap();
        symlink("other", dir.path().join("link")).unwrap();
        for name in ["file", "link"] {
            publish(written(create, dir.path()), dir.path(), name, true).unwrap();
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"image");
        }
        assert_eq!(fs::read(dir.path().join("other")).unwrap(), b"theirs");
        assert_eq!(names(dir.path()), ["file", "link", "other"]);
    }
}

#[test]
fn sweep_removes_stale_files_only() {
    let dir = tempfile::tempdir().unwrap();
    let stale = ".sdbuild-aaaaaaaaaaaa.part";
    let kept = [
        ".sdbuild-aaaaaaaaaaaa.new",
        ".sdbuild-aaaaaaaaaaaa.old",
        ".sdbuild-notours.part",
    ];
    for name in kept.iter().chain([&stale]) {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let file = written(PendingFile::create, dir.path());
    let locked = file.into_hidden(dir.path()).unwrap();
    sweep(dir.path());
    let left = names(dir.path());
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(locked.path.exists() && !left.iter().any(|name| name == stale));
    let error = is_stale(&locked.path, 0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(is_stale(&dir.path().join(kept[1]), 0).unwrap());
}
