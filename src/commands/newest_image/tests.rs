use super::*;

#[test]
fn newest_image_is_taken_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(newest(dir.path(), dir.path()), None);
    let names = [
        "a.img",
        "b.img.zst",
        "b.img.zst.bmap",
        ".c.img",
        "notes.txt",
    ];
    for (minutes, name) in (1..).zip(names) {
        let file = fs::File::create(dir.path().join(name)).unwrap();
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(minutes * 60);
        file.set_modified(at).unwrap();
    }
    fs::create_dir(dir.path().join("d.img")).unwrap();
    let taken = || newest(dir.path(), dir.path()).unwrap();
    assert_eq!(taken(), dir.path().join("b.img.zst"));
    // An older one that sdbuild made comes before a copy of a card.
    fs::write(dir.path().join("a.img.json"), "{}").unwrap();
    assert_eq!(taken(), dir.path().join("a.img"));
    // A build has found it up to date.
    let date = |name: &str, seconds| {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let manifest = fs::File::create(dir.path().join(name)).unwrap();
        manifest.set_modified(at).unwrap();
    };
    date("b.img.zst.json", 2);
    date("a.img.json", 1);
    assert_eq!(taken(), dir.path().join("b.img.zst"));
    date("a.img.json", 3);
    assert_eq!(taken(), dir.path().join("a.img"));
    fs::remove_file(dir.path().join("b.img.zst.json")).unwrap();
    // An image of another format, whose name other files have too.
    fs::write(dir.path().join("c.iso"), "").unwrap();
    date("c.iso.json", 5);
    assert_eq!(taken(), dir.path().join("a.img"));
    date("c.iso.sha256", 5);
    assert_eq!(taken(), dir.path().join("c.iso"));
    fs::remove_file(dir.path().join("c.iso")).unwrap();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("card.img"), "").unwrap();
    let both = |here: &tempfile::TempDir, output: &tempfile::TempDir| {
        newest(here.path(), output.path()).unwrap()
    };
    assert_eq!(both(&other, &dir), dir.path().join("a.img"));
    assert_eq!(both(&dir, &other), dir.path().join("a.img"));
}

#[test]
fn only_files_of_the_configuration_that_are_newer_count() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, minutes: u64| {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(60 * minutes);
        let file = fs::File::create(dir.path().join(name)).unwrap();
        file.set_modified(time).unwrap();
    };
    let image = dir.path().join("a.img");
    let newer = || changed_since(&image, dir.path());
    write("a.img", 9);
    write("a.img.json", 5);
    write("other.nix", 9);
    assert_eq!(newer(), None, "no configuration is here");
    write("other.nix", 4);
    write("sd-card.nix", 4);
    write("notes.txt", 9);
    assert_eq!(newer(), None);
    write("sdbuild.toml", 7);
    assert_eq!(newer(), Some("sdbuild.toml".into()));
    write("sd-card.nix", 8);
    assert_eq!(newer(), Some("sd-card.nix".into()));
}
