use super::*;

#[test]
fn older_image_needs_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("b.img"), dir.path().join("a.img"));
    fs::write(&old, "").unwrap();
    assert!(is_newest_in_its_directory(&old));
    let later = SystemTime::now() + std::time::Duration::from_secs(60);
    fs::File::create(&new).unwrap().set_modified(later).unwrap();
    assert!(is_newest_in_its_directory(&new) && !is_newest_in_its_directory(&old));
}

#[test]
fn a_host_name_means_its_images() {
    let candidate = |name: &str| Candidate {
        built: None,
        written: SystemTime::UNIX_EPOCH,
        size: 0,
        path: Path::new("/x").join(name),
    };
    let names = [
        "nixos-kitchen-sd-card-1-aarch64-linux.img",
        "nixos-kitchen-sd-card-2-aarch64-linux.img",
        "nixos-kitchen-2-sd-card-1-aarch64-linux.img",
        "card.img",
        "nixos-sd-sd-card-1-aarch64-linux.img",
        "nixos-nixos-sd-sd-card-1-aarch64-linux.img",
        "nixos-nixos-sd2-sd-card-1-aarch64-linux.img",
    ];
    let meant = |word: &str| {
        let images = names.map(candidate).into_iter().collect();
        let meant = meant_by(word, images);
        let name = |image: Candidate| names.iter().position(|name| image.path.ends_with(name));
        meant.into_iter().filter_map(name).collect::<Vec<_>>()
    };
    assert_eq!(meant("kitchen"), [0, 1]);
    assert_eq!(meant("nixos-kitchen"), [0, 1]);
    assert_eq!(meant("nixos-kitchen-2"), [2]);
    assert_eq!(meant("nixos-kit"), [0, 1, 2]);
    assert_eq!(meant("kitchen-2-sd"), [0; 0]);
    assert_eq!(meant("card"), [3]);
    assert_eq!(meant("n"), [0; 0]);
    // The host name of the example begins as all file names do.
    assert_eq!(meant("sd"), [4]);
    assert_eq!(meant("nixos-sd"), [5]);
    assert_eq!(meant("nixos-nixos-sd"), [5]);
}

#[test]
fn a_card_gets_an_image_for_cards_if_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let taken = || newest_for_card(dir.path(), dir.path());
    assert_eq!(taken(), None);
    let write = |name: &str| {
        let path = dir.path().join(name);
        for sidecar in [Sidecar::Manifest, Sidecar::Checksum] {
            fs::write(sidecar.path(&path), "{}").unwrap();
        }
        fs::write(&path, "").unwrap();
        path
    };
    let iso = write("nixos.iso");
    assert_eq!(taken(), Some(iso.clone()));
    let card = write("nixos.img.zst");
    let earlier = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(60);
    let manifest = fs::File::options()
        .append(true)
        .open(Sidecar::Manifest.path(&card));
    manifest.unwrap().set_modified(earlier).unwrap();
    assert_eq!(newest(dir.path(), dir.path()), Some(iso));
    assert_eq!(taken(), Some(card));
}

#[test]
fn newest_image_is_taken_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(newest_in(dir.path()), None);
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
    let taken = || newest_in(dir.path()).unwrap().path;
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
