//! Paths that are what they should be, and what happens when the engine or the disk hangs.

use super::*;
use sdbuild_core::failure::Class;

#[test]
fn every_component_of_the_path_is_checked() {
    let stat = |kind| Some(PathStat { kind, size: 7 });
    let check = |stat, kind| {
        let size = check_kind(stat, "/o/a", kind, "/o/a/b.img");
        size.map_err(|failure| failure.to_string())
    };
    assert_eq!(check(stat(PathKind::File), PathKind::File), Ok(7));
    assert_eq!(check(stat(PathKind::Directory), PathKind::Directory), Ok(7));
    for (found, wanted, words) in [
        (None, PathKind::Directory, "no /o/a/b.img"),
        (
            stat(PathKind::Symlink),
            PathKind::Directory,
            "/o/a is a symbolic link",
        ),
        (
            stat(PathKind::Symlink),
            PathKind::File,
            "/o/a is a symbolic link",
        ),
        (stat(PathKind::File), PathKind::Directory, "not a directory"),
        (
            stat(PathKind::Directory),
            PathKind::File,
            "not a regular file",
        ),
        (stat(PathKind::Other), PathKind::File, "not a regular file"),
    ] {
        assert!(check(found, wanted).unwrap_err().contains(words), "{words}");
    }
}

#[tokio::test]
async fn interrupted_run_leaves_a_hanging_disk() {
    let cancel = Cancel::new();
    // The second signal shortens the wait.
    cancel.received(2);
    cancel.received(2);
    let (disk, hung) = std::sync::mpsc::channel::<()>();
    let hangs = tokio::task::spawn_blocking(move || {
        hung.recv().ok();
        Err(unusable_result("cut off"))
    });
    let failure = finish(hangs, &cancel).await.unwrap_err();
    assert_eq!(failure.class, Class::Interrupted);
    drop(disk);
    let fails = tokio::task::spawn_blocking(|| Err(unusable_result("cut off")));
    let failure = finish(fails, &cancel).await.unwrap_err();
    assert_eq!(
        failure.class,
        Class::Build,
        "a thread that ends is waited for"
    );
}
