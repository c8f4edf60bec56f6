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
