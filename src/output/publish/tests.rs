//! What is in the directory after each change to it, as a KILL right there would leave it, and what the next
//! publication makes of that; what is there again after an error in between.

use std::cell::RefCell;
use std::fs;
use std::io::Write as _;

use super::*;

const IMAGE: &str = "a.img";
const SIDECARS: [&str; 3] = ["a.img.sha256", "a.img.bmap", "a.img.json"];
const STALE: &str = "a.img.rpi-imager.json";

type Look = Box<dyn FnMut(&Path)>;

thread_local! {
    static LOOK: RefCell<Option<Look>> = const { RefCell::new(None) };
}

/// Called after each change to the directory.
pub(super) fn seen(dir: &Path) {
    LOOK.with_borrow_mut(|look| look.iter_mut().for_each(|look| look(dir)));
}

fn each_time(look: impl FnMut(&Path) + 'static) {
    LOOK.set(Some(Box::new(look)));
}

/// Publishes an image and sidecars that all say `word`.
fn publish(dir: &Path, word: &str, force: bool) -> Result<(), Failure> {
    undo_killed(dir);
    let named = |name: &&str| {
        let id = crate::engine::RunId::random().unwrap();
        let target = Target::create(dir, id.as_str()).unwrap();
        target.file().write_all(word.as_bytes()).unwrap();
        PendingFile {
            target,
            name: (*name).to_owned(),
        }
    };
    let files = SIDECARS.iter().chain([&IMAGE]).map(named).collect();
    let release = Publisher {
        dir,
        force,
        stale: Some(STALE.to_owned()),
        cancel: &Cancel::new(),
    };
    release.publish(files)
}

fn read(dir: &Path, name: &str) -> Option<String> {
    fs::read_to_string(dir.join(name)).ok()
}

/// What each name says.
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

/// Copies what is in the directory: nobody holds a lock on the copies, as after a KILL.
fn killed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for (name, word) in words(dir) {
        fs::write(copy.path().join(name), word).unwrap();
    }
    copy
}

/// What a KILL after each change leaves, and at last what is there without one.
fn every_kill(dir: &Path, force: bool) -> Vec<tempfile::TempDir> {
    let (send, left) = std::sync::mpsc::channel();
    each_time(move |dir| send.send(killed(dir)).unwrap());
    publish(dir, "new", force).unwrap();
    LOOK.set(None);
    left.into_iter().chain([killed(dir)]).collect()
}

/// All that an image and its sidecars may be found as.
fn is_no_wrong_pair(dir: &Path) {
    let image = read(dir, IMAGE);
    for name in SIDECARS.iter().chain([&STALE]) {
        let sidecar = read(dir, name);
        let wrong = image.is_some() && sidecar.is_some() && sidecar != image;
        assert!(!wrong, "{name}: {sidecar:?} beside {image:?}");
    }
}

fn is_whole(dir: &Path, word: &str) {
    for name in SIDECARS.iter().chain([&IMAGE]) {
        assert_eq!(read(dir, name).as_deref(), Some(word), "{name}");
    }
    assert_eq!(read(dir, STALE), None);
}

fn with_an_old_image() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "old", false).unwrap();
    fs::write(dir.path().join(STALE), "old").unwrap();
    dir
}

/// The sidecars that it left had the next build say that they exist already.
#[test]
fn a_killed_publication_never_blocks_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let left = every_kill(dir.path(), false);
    assert!(left.len() > SIDECARS.len() + 2, "{}", left.len());
    for left in left {
        let dir = left.path();
        is_no_wrong_pair(dir);
        if dir.join(IMAGE).exists() {
            is_whole(dir, "new");
            publish(dir, "next", false).unwrap_err();
            is_whole(dir, "new");
        } else {
            publish(dir, "next", false).unwrap();
            is_whole(dir, "next");
        }
    }
    assert_eq!(words(dir.path()).len(), SIDECARS.len() + 1);
}

/// The new sidecars came beside the old image, before the new one.
#[test]
fn a_killed_replacement_leaves_no_sidecar_of_another_image() {
    let dir = with_an_old_image();
    for left in every_kill(dir.path(), true) {
        let dir = left.path();
        assert!(dir.join(IMAGE).exists());
        is_no_wrong_pair(dir);
        publish(dir, "next", true).unwrap();
        is_whole(dir, "next");
    }
    is_whole(dir.path(), "new");
    assert_eq!(words(dir.path()).len(), SIDECARS.len() + 1);
}

/// Has whatever comes next fail: its file is gone, or a directory has its name.
fn hinder(dir: &Path) {
    for (name, word) in words(dir) {
        if name.starts_with(".sdbuild-") && word == "new" {
            fs::remove_file(dir.join(name)).unwrap();
        }
    }
    for name in SIDECARS.iter().chain([&IMAGE]) {
        fs::create_dir(dir.join(name)).unwrap_or(());
    }
}

fn no_hindrance(dir: &Path) {
    for name in SIDECARS.iter().chain([&IMAGE]) {
        fs::remove_dir(dir.join(name)).unwrap_or(());
    }
}

/// Some were replaced and some not.
#[test]
fn an_error_in_the_middle_takes_all_back() {
    let (empty, old) = (tempfile::tempdir().unwrap(), with_an_old_image());
    for (dir, force) in [(empty, false), (old, true)] {
        let dir = dir.path();
        let before = words(dir);
        let changes = every_kill(killed(dir).path(), force).len() - 1;
        for at in 1..changes {
            let mut nth = 0;
            each_time(move |dir| {
                nth += 1;
                if nth == at {
                    hinder(dir);
                    if force {
                        no_hindrance(dir);
                    }
                }
            });
            let failed = publish(dir, "new", force);
            LOOK.set(None);
            no_hindrance(dir);
            assert!(failed.is_err(), "{at} of {changes}");
            assert_eq!(words(dir), before, "{at} of {changes}");
        }
    }
}

#[test]
fn a_sidecar_that_somebody_keeps_is_not_taken_for_a_dead_runs() {
    let dir = tempfile::tempdir().unwrap();
    let left = every_kill(dir.path(), false);
    let left = left.iter().find(|left| {
        let dir = left.path();
        SIDECARS.iter().all(|name| dir.join(name).exists()) && !dir.join(IMAGE).exists()
    });
    let dir = left.unwrap().path();
    fs::write(dir.join(SIDECARS[0]), "changed since").unwrap();
    undo_killed(dir);
    assert_eq!(
        words(dir),
        [(SIDECARS[0].to_owned(), "changed since".to_owned())]
    );
    publish(dir, "next", false).unwrap_err();
}

#[test]
fn a_note_names_nothing_outside_its_dir_and_nothing_but_sidecars() {
    let outside = tempfile::tempdir().unwrap();
    let dir = outside.path().join("out");
    fs::create_dir(&dir).unwrap();
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest("kept"));
    for name in ["a.img.json", "out/b", "out/a.imgx"] {
        fs::write(outside.path().join(name), "kept").unwrap();
    }
    for (nth, (image, name)) in [
        ("../a.img", "../a.img.json"),
        ("a.img", "../a.img.json"),
        ("a.img", "b"),
        ("a.img", "a.imgx"),
        ("", "b"),
        ("..", "../a.img.json"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = serde_json::json!({ "image": image, "sidecars": { name: hash } });
        let note = dir.join(format!(".sdbuild-00000000000{nth}.names"));
        fs::write(note, text.to_string()).unwrap();
    }
    undo_killed(&dir);
    assert_eq!(read(outside.path(), "a.img.json").as_deref(), Some("kept"));
    assert_eq!(words(&dir).len(), 2);
}

proptest::proptest! {
    /// Whatever a note says, what is not a sidecar of its image stays.
    #[test]
    fn any_note_leaves_the_rest_alone(
        image in "[a./]{0,4}", name in "(\\.\\./|/)?[a./]{0,6}", text in "(?s).{0,60}", whole in proptest::bool::ANY,
    ) {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("a");
        fs::create_dir(&dir).unwrap();
        for kept in ["a.a", "a/aaa", "a/a."] {
            fs::write(outside.path().join(kept), "kept").unwrap();
        }
        let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest("kept"));
        let json = serde_json::json!({ "image": image, "sidecars": { name.clone(): hash } });
        let text = if whole { json.to_string() } else { text };
        fs::write(dir.join(".sdbuild-000000000000.names"), text).unwrap();
        undo_killed(&dir);
        proptest::prop_assert_eq!(read(outside.path(), "a.a").unwrap(), "kept");
        for kept in ["aaa", "a."] {
            let of_the_image = !image.is_empty() && kept == name && kept.starts_with(&format!("{image}."));
            proptest::prop_assert!(dir.join(kept).exists() || whole && of_the_image, "{}", kept);
        }
    }
}
