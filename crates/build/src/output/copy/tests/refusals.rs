//! What is written, and what is refused: archives without a file, existing names, full disks.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt;

use super::*;

#[test]
fn image_is_copied_and_hashed_and_keeps_its_holes() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = vec![0; 3 << 20];
    bytes[2_000_000] = 7;
    let image = copy(dir.path(), plain(false))
        .run(archive(tar::EntryType::Regular, &bytes).as_slice())
        .unwrap();
    assert_eq!(image.size, 3 << 20);
    assert_eq!(image.sha256, Sha256Hash::of(&bytes));
    assert_eq!(std::fs::read(&image.path).unwrap(), bytes);
    assert!(image.path.metadata().unwrap().blocks() * 512 < 100_000);
}

#[test]
fn broken_stream_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let whole = archive(tar::EntryType::Regular, &vec![1; 1 << 20]);
    for cut in [0, 100, 512, 700_000] {
        let failure = copy(dir.path(), plain(false))
            .run(&whole[..cut])
            .unwrap_err();
        assert!(empty(dir.path()), "{failure}");
    }
    let failure = copy(dir.path(), plain(false))
        .run(&whole[..700_000])
        .unwrap_err();
    assert_eq!(failure.class, Class::Environment);
    assert!(
        failure.to_string().contains("of the image's 1048576 bytes"),
        "{failure}"
    );
}

#[test]
fn entries_that_are_no_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Directory,
        tar::EntryType::Char,
    ] {
        let failure = copy(dir.path(), plain(false))
            .run(archive(kind, b"").as_slice())
            .unwrap_err();
        assert_eq!(failure.class, Class::Build);
    }
    assert!(empty(dir.path()));
}

#[test]
fn existing_name_is_a_usage_error_with_hints() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = archive(tar::EntryType::Regular, b"new");
    let mut old = std::fs::File::create(dir.path().join("a.img")).unwrap();
    old.write_all(b"old").unwrap();
    let failure = copy(dir.path(), plain(false))
        .run(bytes.as_slice())
        .unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    assert!(failure.hints.iter().any(|h| h.contains("--force")));
    assert_eq!(std::fs::read(dir.path().join("a.img")).unwrap(), b"old");
    copy(dir.path(), plain(true)).run(bytes.as_slice()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("a.img")).unwrap(), b"new");
}

#[test]
fn existing_sidecar_prevents_everything() {
    for name in ["a.img.sha256", "a.img.bmap", "a.img.json"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), "mine").unwrap();
        let bytes = archive(tar::EntryType::Regular, b"new");
        let kept = copy(dir.path(), plain(false));
        let before = kept.prepare().unwrap_err();
        let after = kept.run(bytes.as_slice()).unwrap_err();
        for failure in [before, after] {
            assert_eq!(failure.class, Class::Usage);
            assert!(failure.to_string().contains(name), "{failure}");
        }
        assert_eq!(read(dir.path(), name), b"mine");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        copy(dir.path(), plain(true)).run(bytes.as_slice()).unwrap();
        assert_ne!(read(dir.path(), name), b"mine");
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("a.img.json")).unwrap();
    let bytes = archive(tar::EntryType::Regular, b"new");
    let failure = copy(dir.path(), plain(true))
        .run(bytes.as_slice())
        .unwrap_err();
    assert!(failure.to_string().contains("is a directory"), "{failure}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn full_disk_is_an_environment_error() {
    let failure = write_failed(Path::new("out"), io::ErrorKind::StorageFull.into());
    assert_eq!(failure.class, Class::Environment);
    assert!(failure.hints[0].contains("free some space"));
    let failure = copy(Path::new("/nowhere"), plain(false))
        .run(archive(tar::EntryType::Regular, b"x").as_slice())
        .unwrap_err();
    assert_eq!(failure.class, Class::Environment);
}

#[test]
fn image_that_was_changed_meanwhile_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = archive(tar::EntryType::Regular, &content(1000));
    let job = || {
        let mut job = copy(dir.path(), plain(false));
        job.request.origin.configuration.id = "mine".into();
        job
    };
    job().run(bytes.as_slice()).unwrap();
    let newer = archive(tar::EntryType::Regular, &content(2000));
    let next = |store_path: &str| {
        let mut next = job();
        next.request.origin.result.store_path = store_path.into();
        let Prepared::Write { replace, .. } = next.prepare().unwrap() else {
            panic!("it is another result");
        };
        (next, replace)
    };
    let (second, replace) = next("/nix/store/b");
    second.write(newer.as_slice(), replace).unwrap();
    let (late, replace) = next("/nix/store/c");
    std::fs::write(dir.path().join("a.img"), "mine").unwrap();
    let failure = late.write(bytes.as_slice(), replace).unwrap_err();
    assert!(failure.to_string().contains("already exists"), "{failure}");
    assert_eq!(read(dir.path(), "a.img"), b"mine");
}

#[test]
fn another_run_may_have_written_the_image_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = archive(tar::EntryType::Regular, &content(1000));
    let prepared = |id: &str| {
        let mut job = copy(dir.path(), plain(false));
        job.request.origin.configuration.id = id.into();
        let Prepared::Write { replace, .. } = job.prepare().unwrap() else {
            panic!("it is not there yet");
        };
        (job, replace)
    };
    let [(first, replace), (second, nothing), (other, none)] =
        ["mine", "mine", "other"].map(prepared);
    let written = first.write(bytes.as_slice(), replace).unwrap();
    let same = second.write(bytes.as_slice(), nothing).unwrap();
    assert_eq!((same.sha256, same.up_to_date), (written.sha256, true));
    let failure = other.write(bytes.as_slice(), none).unwrap_err();
    assert!(failure.to_string().contains("already exists"), "{failure}");
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 4);
}
