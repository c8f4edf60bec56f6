//! Archives as an engine sends them, whole and broken, and folders that do not want them.

use std::io::Write;
use std::os::unix::fs::MetadataExt;

use super::*;

fn archive(kind: tar::EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o444);
    if kind == tar::EntryType::Symlink {
        builder
            .append_link(&mut header, "a.img", "/etc/passwd")
            .unwrap();
    } else {
        builder.append_data(&mut header, "a.img", bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn copy(dir: &Path, force: bool) -> Copy {
    let settings = OutputSettings {
        dir: dir.to_path_buf(),
        force,
        owner: None,
    };
    Copy {
        name: "a.img".into(),
        part: "0123456789ab".into(),
        settings,
        events: Events::none(),
    }
}

fn empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn an_image_is_copied_hashed_and_keeps_its_holes() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = vec![0; 3 << 20];
    bytes[2_000_000] = 7;
    let image = copy(dir.path(), false)
        .write(archive(tar::EntryType::Regular, &bytes).as_slice())
        .unwrap();
    assert_eq!(image.size, 3 << 20);
    assert_eq!(image.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
    assert_eq!(std::fs::read(&image.path).unwrap(), bytes);
    assert!(image.path.metadata().unwrap().blocks() * 512 < 100_000);
}

#[test]
fn a_broken_stream_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let whole = archive(tar::EntryType::Regular, &vec![1; 1 << 20]);
    for cut in [0, 100, 512, 700_000] {
        let failure = copy(dir.path(), false).write(&whole[..cut]).unwrap_err();
        assert!(empty(dir.path()), "{failure}");
    }
    let failure = copy(dir.path(), false)
        .write(&whole[..700_000])
        .unwrap_err();
    assert_eq!(failure.class, Class::Environment);
    assert!(
        failure.to_string().contains("of the image's 1048576 bytes"),
        "{failure}"
    );
}

#[test]
fn anything_but_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Directory,
        tar::EntryType::Char,
    ] {
        let failure = copy(dir.path(), false)
            .write(archive(kind, b"").as_slice())
            .unwrap_err();
        assert_eq!(failure.class, Class::Build);
    }
    assert!(empty(dir.path()));
}

#[test]
fn a_name_that_is_taken_is_a_usage_error_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = archive(tar::EntryType::Regular, b"new");
    let mut old = std::fs::File::create(dir.path().join("a.img")).unwrap();
    old.write_all(b"old").unwrap();
    let failure = copy(dir.path(), false).write(bytes.as_slice()).unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    assert!(failure.hints.iter().any(|h| h.contains("--force")));
    assert_eq!(std::fs::read(dir.path().join("a.img")).unwrap(), b"old");
    copy(dir.path(), true).write(bytes.as_slice()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("a.img")).unwrap(), b"new");
}

#[test]
fn a_full_disk_is_this_machines() {
    let failure = cannot_write(Path::new("out"), io::ErrorKind::StorageFull.into());
    assert_eq!(failure.class, Class::Environment);
    assert!(failure.hints[0].contains("free some space"));
    let failure = copy(Path::new("/nowhere"), false)
        .write(archive(tar::EntryType::Regular, b"x").as_slice())
        .unwrap_err();
    assert_eq!(failure.class, Class::Environment);
}

#[tokio::test]
async fn a_feed_that_is_dropped_ends_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, receiver) = bridge::channel();
    let work = copy(dir.path(), false);
    let writer = tokio::task::spawn_blocking(move || work.write(receiver));
    let whole = archive(tar::EntryType::Regular, &vec![1; 4 << 20]);
    sender.send(Ok(whole[..CHUNK].to_vec())).await.unwrap();
    drop(sender);
    assert_eq!(writer.await.unwrap().unwrap_err().class, Class::Environment);
    assert!(empty(dir.path()));
}

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
        (stat(PathKind::File), PathKind::Directory, "not a folder"),
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
