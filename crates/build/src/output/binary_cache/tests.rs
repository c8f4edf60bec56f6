use super::*;

#[rustfmt::skip] // It is formatted as the other tests.
#[path = "../../../../../tests/support/door.rs"]
mod door;

mod binary_cache {
    use std::fs::File;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const KEY: &str = "k-1";

    fn hash(letter: char) -> String {
        letter.to_string().repeat(32)
    }

    /// An archive of these files, with its end.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            // `set_path` refuses names that lead out of a directory.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn exported(letter: char, content: &[u8]) -> Vec<u8> {
        let (nar, info) = (
            nar_with(Sha256Hash::of(content)),
            describing(&hash(letter), content, KEY),
        );
        let name = format!("{}.narinfo", hash(letter));
        archive(&[(&nar, content), (&name, info.as_bytes())])
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_archive_becomes_a_cache_that_knows_its_paths() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("new/cache");
        let cache = CacheDir::open(&dir).unwrap();
        let stream = [exported('a', b"one"), exported('b', b"two")].concat();
        cache.take(&stream[..], KEY).unwrap();
        let mut there = CacheDir::open(&dir).unwrap().exported(KEY).unwrap();
        there.sort();
        assert_eq!(there, [hash('a'), hash('b')]);
        assert!(cache.exported("other-1").unwrap().is_empty());
        let mode = dir
            .join(CACHE_INFO)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o444, 0o444, "a server may be another user");
        // A file that is cut off does not count.
        fs::write(dir.join(nar_with(Sha256Hash::of(b"one"))), "o").unwrap();
        assert_eq!(cache.exported(KEY).unwrap(), [hash('b')]);
    }

    #[test]
    fn exports_are_read_to_an_end() {
        let info = describing(&hash('a'), b"one", KEY);
        let one = exported('a', b"one");
        door::enter(&[&one, info.as_bytes()], |dir, bytes| {
            let mut archive = bytes.to_vec();
            door::fix_tar(&mut archive);
            let cache = CacheDir::open(&dir.join("cache")).unwrap();
            drop(cache.take(&archive[..], KEY));
            drop(NarInfo::parse(&String::from_utf8_lossy(bytes)));
        });
    }

    /// The tar crate by itself takes a name into memory, however long it is.
    #[test]
    fn an_export_with_an_endless_name_is_refused() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(1 << 40);
        header.set_cksum();
        let base = tempfile::tempdir().unwrap();
        let stream = header.as_bytes().chain(std::io::repeat(b'a').take(1 << 20));
        let refused = CacheDir::open(base.path()).unwrap().take(stream, KEY);
        let refused = format!("{:?}", refused.unwrap_err());
        assert!(refused.contains("a name is too long"), "{refused}");
    }

    #[test]
    fn an_export_that_breaks_off_leaves_what_is_complete() {
        let base = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(base.path()).unwrap();
        let (one, two) = (exported('a', b"one"), exported('b', &[7; 5000]));
        for length in [1, 512, 700, 512 + 5000, 512 + 5120 + 100] {
            let stream = [&one[..], &two[..length]].concat();
            drop(cache.take(&stream[..], KEY));
            assert_eq!(cache.exported(KEY).unwrap(), [hash('a')], "{length}");
            let infos = names(base.path())
                .into_iter()
                .filter(|name| name.ends_with("narinfo"));
            assert_eq!(infos.count(), 1, "{length}");
        }
        let (stale, held) = (
            base.path().join(".sdbuild-0123456789ab.part"),
            base.path().join("nar/.sdbuild-0123456789cd.part"),
        );
        fs::write(&stale, "half").unwrap();
        let file = File::create(&held).unwrap();
        file.try_lock().unwrap();
        let cache = CacheDir::open(base.path()).unwrap();
        assert!(!stale.exists() && held.exists());
        cache.take(&two[..], KEY).unwrap();
        assert_eq!(cache.exported(KEY).unwrap().len(), 2);
    }

    #[test]
    fn what_a_cache_does_not_have_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("cache");
        let cache = CacheDir::open(&dir).unwrap();
        let before = (names(&dir), names(&dir.join("nar")));
        let content = b"content";
        let (nar, info) = (
            nar_with(Sha256Hash::of(content)),
            describing(&hash('a'), content, KEY),
        );
        let (a, b) = (
            format!("{}.narinfo", hash('a')),
            format!("{}.narinfo", hash('b')),
        );
        let unsigned = describing(&hash('a'), content, "other-1");
        for files in [
            vec![("../evil", &content[..])],
            vec![("nar/../../evil", content)],
            vec![(CACHE_INFO, content)],
            vec![(a.as_str(), info.as_bytes())],
            vec![(nar.as_str(), b"changed")],
            vec![(nar.as_str(), &content[..]), (b.as_str(), info.as_bytes())],
            vec![(nar.as_str(), content), (a.as_str(), unsigned.as_bytes())],
        ] {
            let refused = cache.take(&archive(&files)[..], KEY).unwrap_err();
            assert!(
                refused.to_string().contains("damaged")
                    || format!("{refused:?}").contains("damaged"),
                "{refused:?}"
            );
            fs::remove_file(dir.join(&nar)).ok();
            assert_eq!((names(&dir), names(&dir.join("nar"))), before, "{files:?}");
        }
        assert_eq!(names(base.path()), ["cache"]);
    }

    #[test]
    fn a_directory_with_something_else_is_left_alone() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("notes"), "mine").unwrap();
        let refused = CacheDir::open(base.path()).unwrap_err();
        assert!(
            refused.to_string().contains("neither empty nor"),
            "{refused}"
        );
        fs::write(base.path().join(CACHE_INFO), "StoreDir: /gnu/store\n").unwrap();
        let refused = CacheDir::open(base.path()).unwrap_err();
        assert!(refused.to_string().contains("another store"), "{refused}");
        fs::write(
            base.path().join(CACHE_INFO),
            "StoreDir: /nix/store\nPriority: 3\n",
        )
        .unwrap();
        CacheDir::open(base.path()).unwrap();
    }
}

mod binary_cache_narinfo {
    use super::*;

    #[test]
    fn hashes_are_written_as_nix_does() {
        // `nix hash convert --hash-algo sha256 --to nix32` of the hash of nothing.
        let empty = "nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.zst";
        assert_eq!(nar_with(Sha256Hash::of(b"")), empty);
        assert!(is_nar(empty));
    }

    #[test]
    fn descriptions_that_lead_elsewhere_are_refused() {
        let good = describing(&"a".repeat(32), b"content", "k-1");
        let info = NarInfo::parse(&good).unwrap();
        assert_eq!(
            (info.file_size, info.hash.as_str()),
            (7, "a".repeat(32).as_str())
        );
        assert!(info.is_signed_by("k-1") && !info.is_signed_by("k"));
        for (from, to) in [
            ("/nix/store/", "/nix/"),
            ("URL: nar/", "URL: ../nar/"),
            ("URL: ", "URL: nar/../"),
            ("URL: ", "URL: http://evil/"),
            ("URL: ", "Other: "),
            ("zstd\n", "none\n"),
            ("References: ", "References: ../../etc"),
            ("FileSize: 7", "FileSize: -7"),
            ("NarSize: 8", "NarSize: 8\nNarSize: 9"),
            ("FileHash: sha256:", "FileHash: sha256:0"),
            ("Sig: ", "Sig\u{1b}: "),
            ("Deriver", "\n"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert!(NarInfo::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_names_of_a_cache_are_names() {
        let hash = "b".repeat(32);
        assert_eq!(described(&format!("{hash}.narinfo")), Some(hash.as_str()));
        for bad in [
            "../x.narinfo",
            "b.narinfo",
            &hash,
            &format!("{}.narinfo", "e".repeat(32)),
        ] {
            assert_eq!(described(bad), None);
        }
        for bad in ["nar/x.nar.zst", "nar/../../etc/passwd", "/nar"] {
            assert!(!is_nar(bad));
        }
    }
}
