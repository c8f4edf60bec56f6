//! Names that are free, taken, and taken on purpose; ends that leave nothing.

use std::io::Write;
use std::os::unix::fs::symlink;

use super::*;

const RUN: &str = "0123456789ab";

/// Both ways of making a target: the kernel's and the fallback.
const WAYS: [fn(&Path, &str) -> io::Result<Target>; 2] = [Target::create, Target::create_named];

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn written(make: fn(&Path, &str) -> io::Result<Target>, dir: &Path) -> Target {
    let target = make(dir, RUN).unwrap();
    target.file().write_all(b"image").unwrap();
    target
}

/// Settles and places it.
fn publish(mut target: Target, name: &str, force: bool) -> io::Result<PathBuf> {
    target.settle(force)?;
    target.place(name, force)?;
    Ok(target.dir.join(name))
}

#[test]
fn it_appears_whole_and_is_readable() {
    for make in WAYS {
        let dir = tempfile::tempdir().unwrap();
        let target = written(make, dir.path());
        target
            .give_to((Uid::current().as_raw(), Gid::current().as_raw()))
            .unwrap();
        let place = publish(target, "a.img", false).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"image");
        assert_eq!(names(dir.path()), ["a.img"]);
        let mode = place.metadata().unwrap().mode() & 0o777;
        assert!(mode & 0o600 == 0o600 && mode & 0o133 == 0, "{mode:o}");
    }
}

#[test]
fn dropping_it_leaves_nothing() {
    for make in WAYS {
        let dir = tempfile::tempdir().unwrap();
        drop(written(make, dir.path()));
        assert!(names(dir.path()).is_empty());
    }
}

#[test]
fn nothing_is_replaced_unasked() {
    for make in WAYS {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "old").unwrap();
        symlink("nowhere", dir.path().join("dangling")).unwrap();
        fs::create_dir(dir.path().join("directory")).unwrap();
        for name in ["file", "dangling", "directory"] {
            let error = publish(written(make, dir.path()), name, false).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{name}");
        }
        assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["dangling", "directory", "file"]);
    }
}

#[test]
fn force_replaces_files_and_links_but_no_dir() {
    for make in WAYS {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "old").unwrap();
        fs::write(dir.path().join("other"), "theirs").unwrap();
        symlink("other", dir.path().join("link")).unwrap();
        fs::create_dir(dir.path().join("directory")).unwrap();
        for name in ["file", "link", "new"] {
            publish(written(make, dir.path()), name, true).unwrap();
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"image");
        }
        assert_eq!(fs::read(dir.path().join("other")).unwrap(), b"theirs");
        publish(written(make, dir.path()), "directory", true).unwrap_err();
        assert_eq!(
            names(dir.path()),
            ["directory", "file", "link", "new", "other"]
        );
    }
}

#[test]
fn what_was_replaced_gets_its_name_back_also_when_the_new_one_is_gone() {
    for remove in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a.img");
        fs::write(&place, "old").unwrap();
        let mut target = written(Target::create, dir.path());
        target.settle(true).unwrap();
        if !target.exchange("a.img").unwrap() {
            continue;
        }
        assert_eq!(fs::read(&place).unwrap(), b"image");
        if remove {
            fs::remove_file(&place).unwrap();
        }
        target.give_back("a.img");
        assert_eq!(fs::read(&place).unwrap(), b"old", "removed: {remove}");
        assert_eq!(names(dir.path()), ["a.img"]);
    }
}

#[test]
fn the_sweep_takes_what_nobody_holds() {
    let dir = tempfile::tempdir().unwrap();
    let part = |run: &str| dir.path().join(format!(".sdbuild-{run}.part"));
    fs::write(part("aaaaaaaaaaaa"), "just made").unwrap();
    fs::write(dir.path().join(".sdbuild-notours.part"), "").unwrap();
    sweep(dir.path());
    assert_eq!(
        names(dir.path()).len(),
        2,
        "a fresh one may belong to a run that starts"
    );
    let held = File::open(part("aaaaaaaaaaaa")).unwrap();
    held.try_lock().unwrap();
    assert!(is_part(".sdbuild-aaaaaaaaaaaa.part") && !is_part(".sdbuild-notours.part"));
    assert!(
        File::open(part("aaaaaaaaaaaa"))
            .unwrap()
            .try_lock()
            .is_err()
    );
}

#[test]
fn preflight_tells_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    assert!(preflight(dir.path()).is_empty());
    fs::write(dir.path().join("file"), "").unwrap();
    for (path, words) in [
        ("none", "does not exist"),
        ("file", "not a directory"),
        ("file/x", "look at"),
    ] {
        let failures = preflight(&dir.path().join(path));
        assert!(failures[0].to_string().contains(words), "{}", failures[0]);
    }
    assert!(names(dir.path()) == ["file"]);
}

#[test]
fn a_file_system_without_locks_will_do() {
    for errno in [Errno::ENOLCK, Errno::EOPNOTSUPP] {
        assert!(has_no_locks(&errno.into()), "{errno}");
    }
    assert!(!has_no_locks(&Errno::EWOULDBLOCK.into()));
    assert!(!has_no_locks(&Errno::EIO.into()));
}
