use std::fs;
use std::io::Write as _;

use super::*;
use crate::output::pending_file::PUBLIC;

const IMAGE: &str = "a.img";
const SIDECARS: [&str; 3] = ["a.img.sha256", "a.img.bmap", "a.img.json"];
const OBSOLETE: &str = "a.img.rpi-imager.json";

/// Starts publishing an image and sidecars that all contain `word`, has `drive` carry out as many steps as it
/// likes, and completes the rest.
fn publish_with(
    dir: &Path,
    word: &str,
    force: bool,
    drive: impl FnOnce(&mut Publication<'_>),
) -> Result<(), PublishError> {
    remove_orphans(dir);
    let named = |name: &str| {
        check_name(dir, name, force)?;
        let file = PendingFile::create(dir, PUBLIC).unwrap();
        file.file().write_all(word.as_bytes()).unwrap();
        let name = name.to_owned();
        Ok(NamedFile { name, file })
    };
    let sidecars = SIDECARS.iter().map(|name| {
        let sha256 = Sha256Hash::of(word.as_bytes());
        named(name).map(|file| NamedSidecar { file, sha256 })
    });
    let sidecars = sidecars.collect::<Result<_, _>>()?;
    let publisher = Publisher {
        dir,
        force,
        owner: None,
        obsolete: vec![OBSOLETE.to_owned()],
        cancel: &Cancel::new(),
    };
    let mut publication = publisher.begin(named(IMAGE)?, sidecars)?;
    drive(&mut publication);
    publication.complete()
}

fn publish(dir: &Path, word: &str, force: bool) -> Result<(), PublishError> {
    publish_with(dir, word, force, |_| {})
}

/// Carries out the next step.
fn step(publication: &mut Publication<'_>) {
    let step = publication.steps.pop_front().unwrap();
    publication.apply(step).unwrap();
}

fn read(dir: &Path, name: &str) -> Option<String> {
    fs::read_to_string(dir.join(name)).ok()
}

/// The content of each file.
fn words(dir: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let word = read(dir, &name).unwrap_or_default();
            (name, word)
        })
        .collect()
}

/// Copies the directory: no process holds a lock on the copies, as after a KILL.
fn killed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for (name, word) in words(dir) {
        fs::write(copy.path().join(name), word).unwrap();
    }
    copy
}

/// What a KILL before each step leaves, and at last what the whole publication leaves.
fn every_kill(dir: &Path, force: bool) -> Vec<tempfile::TempDir> {
    let mut left = Vec::new();
    let published = publish_with(dir, "new", force, |publication| {
        while !publication.steps.is_empty() {
            left.push(killed(dir));
            step(publication);
        }
        left.push(killed(dir));
    });
    published.unwrap();
    left.push(killed(dir));
    left
}

/// Whatever is there of an image and its sidecars, they belong together.
fn assert_no_wrong_pair(dir: &Path) {
    let image = read(dir, IMAGE);
    for name in SIDECARS.iter().chain([&OBSOLETE]) {
        let sidecar = read(dir, name);
        let wrong = image.is_some() && sidecar.is_some() && sidecar != image;
        assert!(!wrong, "{name}: {sidecar:?} beside {image:?}");
    }
}

fn assert_whole(dir: &Path, word: &str) {
    for name in SIDECARS.iter().chain([&IMAGE]) {
        assert_eq!(read(dir, name).as_deref(), Some(word), "{name}");
    }
    assert_eq!(read(dir, OBSOLETE), None);
}

fn with_old_image() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "old", false).unwrap();
    fs::write(dir.path().join(OBSOLETE), "old").unwrap();
    dir
}

/// The sidecars that it left had the next build say that they exist already.
#[test]
fn killed_publication_never_blocks_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let left = every_kill(dir.path(), false);
    assert!(left.len() > SIDECARS.len() + 2, "{}", left.len());
    for left in left {
        let dir = left.path();
        assert_no_wrong_pair(dir);
        if dir.join(IMAGE).exists() {
            assert_whole(dir, "new");
            publish(dir, "next", false).unwrap_err();
            assert_whole(dir, "new");
        } else {
            publish(dir, "next", false).unwrap();
            assert_whole(dir, "next");
        }
    }
    assert_eq!(words(dir.path()).len(), SIDECARS.len() + 1);
}

/// The new sidecars came beside the old image, before the new one.
#[test]
fn killed_replacement_leaves_no_foreign_sidecar() {
    let dir = with_old_image();
    for left in every_kill(dir.path(), true) {
        let dir = left.path();
        assert!(dir.join(IMAGE).exists());
        assert_no_wrong_pair(dir);
        publish(dir, "next", true).unwrap();
        assert_whole(dir, "next");
    }
    assert_whole(dir.path(), "new");
    assert_eq!(words(dir.path()).len(), SIDECARS.len() + 1);
}

/// Makes the next step that names a file fail: its hidden name is gone, or without `force` a directory has its
/// final name.
fn hinder(dir: &Path, force: bool) {
    for (name, word) in words(dir) {
        if force && name.starts_with(".sdbuild-") && word == "new" {
            fs::remove_file(dir.join(name)).unwrap();
        }
    }
    for name in SIDECARS.iter().chain([&IMAGE]).filter(|_| !force) {
        fs::create_dir(dir.join(name)).ok();
    }
}

fn remove_hindrances(dir: &Path) {
    for name in SIDECARS.iter().chain([&IMAGE]) {
        fs::remove_dir(dir.join(name)).ok();
    }
}

/// Some were replaced and some not.
#[test]
fn error_in_the_middle_rolls_everything_back() {
    let (empty, old) = (tempfile::tempdir().unwrap(), with_old_image());
    for (dir, force) in [(empty, false), (old, true)] {
        let dir = dir.path();
        let before = words(dir);
        let mut at = 0;
        loop {
            let mut changes_left = 0;
            let failed = publish_with(dir, "new", force, |publication| {
                (0..at).for_each(|_| step(publication));
                let steps = publication.steps.iter();
                changes_left = steps.filter(|step| !matches!(step, Step::Sync)).count();
                if changes_left > 0 {
                    hinder(dir, force);
                }
            });
            if changes_left == 0 {
                failed.unwrap();
                break;
            }
            remove_hindrances(dir);
            assert!(failed.is_err(), "step {at}");
            assert_eq!(words(dir), before, "step {at}");
            at += 1;
        }
        assert!(at > SIDECARS.len(), "{at}");
    }
}

#[test]
fn replaced_image_is_restored_when_the_new_one_is_gone() {
    let dir = with_old_image();
    let dir = dir.path();
    publish_with(dir, "new", true, |publication| {
        while read(dir, IMAGE).as_deref() == Some("old") {
            step(publication);
        }
        fs::remove_file(dir.join(IMAGE)).unwrap();
        hinder(dir, true);
    })
    .unwrap_err();
    assert_eq!(read(dir, IMAGE).as_deref(), Some("old"));
    assert_eq!(words(dir).len(), SIDECARS.len() + 2);
}

/// It stayed under a hidden name, which the next run removed after a minute.
#[test]
fn what_cannot_be_restored_stays_under_a_visible_name() {
    let dir = with_old_image();
    let dir = dir.path();
    fs::write(dir.join("a.img.bmap.old"), "another").unwrap();
    let failed = publish_with(dir, "new", true, |publication| {
        while read(dir, IMAGE).as_deref() == Some("old") {
            step(publication);
        }
        // Something else takes the names meanwhile.
        fs::remove_file(dir.join(IMAGE)).unwrap();
        for name in [IMAGE, SIDECARS[1]] {
            fs::create_dir(dir.join(name)).unwrap();
        }
    });
    let error = failed.unwrap_err();
    let PublishError::NotRestored { displaced, .. } = &error else {
        panic!("{error:?}");
    };
    let names: Vec<_> = displaced
        .iter()
        .map(|file| (file.name.as_str(), file.now.as_str()))
        .collect();
    assert_eq!(
        names,
        [(IMAGE, "a.img.old"), (SIDECARS[1], "a.img.bmap.old-2")]
    );
    for (_, now) in names {
        assert_eq!(read(dir, now).as_deref(), Some("old"), "{now}");
    }
    let hints = crate::output::copy::publish_failed(error, dir).hints;
    let hint = hints
        .iter()
        .find(|hint| hint.ends_with("a.img.old; rename it"));
    assert!(hint.is_some(), "{hints:?}");
}

#[test]
fn force_does_not_replace_directories() {
    for name in [IMAGE, SIDECARS[0]] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(name)).unwrap();
        match publish(dir.path(), "new", true) {
            Err(PublishError::Name { name: named, error }) => {
                assert_eq!(
                    (named.as_str(), error.kind()),
                    (name, io::ErrorKind::IsADirectory)
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(dir.path().join(name).is_dir());
    }
}

#[test]
fn sidecar_that_a_user_keeps_is_no_orphan() {
    let dir = tempfile::tempdir().unwrap();
    let left = every_kill(dir.path(), false);
    let left = left.iter().find(|left| {
        let dir = left.path();
        SIDECARS.iter().all(|name| dir.join(name).exists()) && !dir.join(IMAGE).exists()
    });
    let dir = left.unwrap().path();
    fs::write(dir.join(SIDECARS[0]), "changed since").unwrap();
    remove_orphans(dir);
    let visible = |(name, _): &(String, String)| !name.starts_with('.');
    let kept: Vec<_> = words(dir).into_iter().filter(visible).collect();
    assert_eq!(kept, [(SIDECARS[0].to_owned(), "changed since".to_owned())]);
    publish(dir, "next", false).unwrap_err();
}

fn write_record(dir: &Path, nth: usize, image: &str, name: &str, content: &[u8]) {
    let hash = Sha256Hash::of(content);
    let text = serde_json::json!({ "image": image, "sidecars": { name: hash } });
    let record = dir.join(format!(".sdbuild-00000000000{nth}.names"));
    fs::write(record, text.to_string()).unwrap();
}

#[test]
fn record_reaches_only_sidecars_in_its_directory() {
    let outside = tempfile::tempdir().unwrap();
    let dir = outside.path().join("out");
    fs::create_dir(&dir).unwrap();
    for name in ["a.img.json", "out/b", "out/a.imgx", "out/a.img.x"] {
        fs::write(outside.path().join(name), "kept").unwrap();
    }
    for (nth, (image, name)) in [
        ("../a.img", "../a.img.json"),
        ("a.img", "../a.img.json"),
        ("a.img", "b"),
        ("a.img", "a.imgx"),
        ("a.img", "a.img.x"),
        ("", "b"),
        ("..", "../a.img.json"),
    ]
    .into_iter()
    .enumerate()
    {
        write_record(&dir, nth, image, name, b"kept");
    }
    remove_orphans(&dir);
    assert_eq!(read(outside.path(), "a.img.json").as_deref(), Some("kept"));
    assert_eq!(words(&dir).len(), 3);
}

/// A sparse file of 4 TiB kept a run busy for hours, deaf to signals.
#[test]
fn huge_sidecar_of_a_record_is_not_hashed() {
    let dir = tempfile::tempdir().unwrap();
    let huge = fs::File::create(dir.path().join("a.img.bmap")).unwrap();
    huge.set_len(4 << 40).unwrap();
    fs::write(dir.path().join("b.img.bmap"), "small").unwrap();
    write_record(dir.path(), 0, "a.img", "a.img.bmap", b"");
    write_record(dir.path(), 1, "b.img", "b.img.bmap", b"small");
    remove_orphans(dir.path());
    let names: Vec<_> = words(dir.path())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["a.img.bmap"]);
}

proptest::proptest! {
    /// Whatever a record says, what is not a sidecar of its image stays.
    #[test]
    fn any_record_leaves_other_files_alone(
        image in "[a./]{0,4}", name in "(\\.\\./|/)?[a./]{0,4}(\\.bmap)?", text in "(?s).{0,60}", valid in proptest::bool::ANY,
    ) {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("a");
        fs::create_dir(&dir).unwrap();
        let kept = ["aaa", "a.a", "a.bmap", "aa.bmap"];
        fs::write(outside.path().join("a.bmap"), "kept").unwrap();
        for kept in kept {
            fs::write(dir.join(kept), "kept").unwrap();
        }
        if valid {
            write_record(&dir, 0, &image, &name, b"kept");
        } else {
            fs::write(dir.join(".sdbuild-000000000000.names"), text).unwrap();
        }
        remove_orphans(&dir);
        proptest::prop_assert_eq!(read(outside.path(), "a.bmap").unwrap(), "kept");
        for kept in kept {
            let sidecar = kept == name && kept == format!("{image}.bmap");
            proptest::prop_assert!(dir.join(kept).exists() || valid && sidecar, "{}", kept);
        }
    }
}
