use super::*;

#[test]
fn unusable_directories_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    assert!(preflight(dir.path()).is_empty());
    fs::write(dir.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
    for (path, words) in [
        ("link", "is a dangling link"),
        ("link/x", "is a dangling link"),
        ("file", "not a directory"),
        ("file/x", "look at"),
        (
            "/proc/x/y",
            "create the output directory /proc/x/y: write to /proc: ",
        ),
    ] {
        let failures = preflight(&dir.path().join(path));
        assert!(failures[0].to_string().contains(words), "{}", failures[0]);
    }
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(preflight(&dir.path().join("new/deep")).is_empty());
}

#[test]
fn only_directories_that_take_files_are_writable() {
    let dir = tempfile::tempdir().unwrap();
    try_to_write(dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    // Root meets the file system's refusal, everybody else that of the permissions; either is the system's own error.
    let error = try_to_write(Path::new("/proc")).unwrap_err();
    assert!(error.raw_os_error().is_some(), "{error}");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = try_to_write(&file).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
}
