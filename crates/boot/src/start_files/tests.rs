use super::*;

mod start_files {
    use super::*;

    #[test]
    fn a_damaged_device_tree_is_reported() {
        let scratch = tempfile::tempdir().unwrap();
        let write = |tree: &[u8]| {
            let start = PiStart {
                kernel: Some(tempfile::tempfile().unwrap()),
                device_tree: Some(tree.to_vec()),
                ..PiStart::default()
            };
            StartFiles::write(
                start,
                Path::new("/x"),
                1 << 20,
                scratch.path(),
                "Raspberry Pi 3",
            )
        };
        assert!(write(b"\xd0\x0d\xfe\xed...").is_ok());
        let error = write(b"bcm2710").unwrap_err().to_string();
        let damaged =
            "a Raspberry Pi 3 cannot start this image, because its device tree is damaged";
        assert_eq!(error, damaged);
    }
}

mod archive_start {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> File {
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        for (name, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, format!("x/{name}"), content.as_bytes())
                .unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn content(part: ArchivePart, file: &File) -> String {
        let mut text = String::new();
        part.reader(file)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn scripts_name_what_starts() {
        let kexec = "kexec --load ${SCRIPT_DIR}/bzImage \\\n  --command-line \"init=/nix/x/init loglevel=4\"\nkexec -e\n";
        let ipxe = "#!ipxe\n# kernel\nkernel Image init=/nix/x/init initrd=initrd loglevel=4 ${cmdline}\ninitrd initrd\nboot\n";
        for (kernel, initrd, script, text) in [
            ("bzImage", "initrd.gz", "kexec-boot", kexec),
            ("Image", "initrd", "netboot.ipxe", ipxe),
        ] {
            let file = archive(&[(kernel, "the kernel"), (initrd, "the disk"), (script, text)]);
            let start = archive_start(&file).unwrap().unwrap();
            assert_eq!(content(start.kernel, &file), "the kernel");
            assert_eq!(content(start.initrd, &file), "the disk");
            assert_eq!(start.command_line, "init=/nix/x/init loglevel=4");
        }
    }

    #[test]
    fn other_archives_are_refused() {
        let refused = |files| matches!(archive_start(&archive(files)), Err(Error::Refused(_)));
        assert!(refused(&[("a", "b")]));
        assert!(refused(&[
            ("kexec-boot", "--command-line \"x\""),
            ("bzImage", "k")
        ]));
        for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(1 << 40);
            header.set_cksum();
            let mut huge = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut huge, header.as_bytes()).unwrap();
            // A hole, which no memory could take.
            huge.set_len(1 << 40).unwrap();
            let error = archive_start(&huge).unwrap_err();
            assert!(matches!(error, Error::Damaged(_)), "{error:?}");
        }
        let mut other = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut other, &[0; 2048]).unwrap();
        assert_eq!(archive_start(&other).unwrap(), None);
    }
}

mod qcow2 {
    use super::*;

    #[test]
    fn header_has_the_size_and_the_image() {
        let file = overlay(Path::new("/proc/7/fd/9"), 4 << 30).unwrap();
        assert_eq!(file.len(), 4 << 16);
        assert_eq!(&file[..8], b"QFI\xfb\0\0\0\x03");
        assert_eq!(file[24..32], (4u64 << 30).to_be_bytes());
        assert_eq!(file[36..40], 8u32.to_be_bytes());
        let name_at = usize::from(file[15]);
        assert_eq!(&file[name_at..name_at + 12], b"/proc/7/fd/9");
        assert!(overlay(Path::new("/x"), 1 << 50).is_err());
    }

    /// What `qemu-img check` looks at. QEMU itself reads the file in a test that boots.
    #[test]
    fn tables_are_in_the_file_and_exactly_its_clusters_are_counted() {
        let file = overlay(Path::new("/card.img"), 4 << 30).unwrap();
        let number = |at: usize| u64::from_be_bytes(file[at..at + 8].try_into().unwrap());
        let table = |at: usize| {
            let offset = usize::try_from(number(at)).unwrap();
            assert!(offset.is_multiple_of(CLUSTER_BYTES) && offset < file.len());
            &file[offset..offset + CLUSTER_BYTES]
        };
        // Nothing of the disk is in this file: all is in the image.
        assert!(table(40).iter().all(|byte| *byte == 0));
        let blocks_at = usize::try_from(number(48)).unwrap();
        let (counts, further) = (table(blocks_at), &table(48)[8..]);
        assert!(further.iter().all(|byte| *byte == 0));
        let (used, free) = counts.split_at(2 * file.len() / CLUSTER_BYTES);
        assert!(used.chunks(2).all(|count| count == [0, 1]), "{used:?}");
        assert!(free.iter().all(|byte| *byte == 0));
    }
}
