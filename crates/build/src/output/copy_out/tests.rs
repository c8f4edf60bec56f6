use super::*;

mod copy_out {
    use super::*;
    use sdbuild_core::failure::Class;

    #[test]
    fn headers_of_an_archive_are_bounded() {
        for kind in [tar::EntryType::XHeader, tar::EntryType::GNULongName] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(1 << 40);
            header.set_cksum();
            let endless = Read::chain(&header.as_bytes()[..], io::repeat(b'a'));
            assert!(FileArchive::new(endless).file().is_err());
        }
    }

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
}

mod put_together {
    use super::*;

    /// The engine's archive of a file of the store.
    fn sent(name: &str, content: &[u8], mode: u32) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_mtime(7);
        header.set_uid(1000);
        header.set_cksum();
        builder.append_data(&mut header, name, content).unwrap();
        builder.into_inner().unwrap()
    }

    fn file(name: &str, size: u64, archive: &[u8]) -> StoreFile<io::Cursor<Vec<u8>>> {
        StoreFile {
            name: name.to_owned(),
            size,
            archive: io::Cursor::new(archive.to_vec()),
        }
    }

    #[test]
    fn the_archive_has_the_files_in_one_directory() {
        let script = sent("xyz-kexec-boot", b"#!/bin/sh\n", 0o555);
        let initrd = sent("initrd", &[7; 1000], 0o444);
        let files = vec![file("run", 10, &script), file("initrd", 1000, &initrd)];
        let mut out = Vec::new();
        put_together("kexec", files, &mut out).unwrap();
        assert_eq!(out.len() as u64, archive_size([10, 1000].into_iter()));
        let mut archive = tar::Archive::new(out.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (1, 0));
            let path = entry.path().unwrap().display().to_string();
            (path, header.mode().unwrap(), entry.size())
        });
        let expected = [
            ("kexec/".to_owned(), 0o755, 0),
            ("kexec/run".to_owned(), 0o755, 10),
            ("kexec/initrd".to_owned(), 0o644, 1000),
        ];
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_file_of_another_length_is_refused() {
        let files = vec![file("a", 9, &sent("a", b"0123456789", 0o444))];
        let error = put_together("x", files, io::sink()).unwrap_err();
        assert!(matches!(error, PutTogetherError::Failed(_)), "{error:?}");
    }
}
