//! Paths that are what they should be, and ends that are waited for.

use super::*;

#[test]
fn every_step_of_the_path_is_judged() {
    let stat = |kind| Some(PathStat { kind, size: 7 });
    let judge =
        |stat, wanted| judge(stat, ("/o/a", "/o/a/b.img"), wanted).map_err(|f| f.to_string());
    assert_eq!(judge(stat(PathKind::File), PathKind::File), Ok(7));
    assert_eq!(judge(stat(PathKind::Directory), PathKind::Directory), Ok(7));
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
        assert!(judge(found, wanted).unwrap_err().contains(words), "{words}");
    }
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_an_interrupted_run() {
    let cancel = Cancel::new();
    // The second one shortens the wait.
    cancel.received(2);
    cancel.received(2);
    let (disk, hung) = std::sync::mpsc::channel::<()>();
    let hangs = tokio::task::spawn_blocking(move || {
        hung.recv().unwrap_or(());
        Err(refuse("cut off"))
    });
    let failure = finish(hangs, &cancel).await.unwrap_err();
    assert_eq!(failure.class, Class::Interrupted);
    drop(disk);
    let fails = tokio::task::spawn_blocking(|| Err(refuse("cut off")));
    let failure = finish(fails, &cancel).await.unwrap_err();
    assert_eq!(failure.class, Class::Build, "one that ends is heard out");
}
