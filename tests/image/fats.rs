//! FAT file systems made by mkfs.vfat and mtools.

use super::*;
use sdbuild_image::Error;
use sdbuild_image::files::EntryKind;

/// Options of mkfs.vfat, the size, and the expected kind.
const SIZES: [(&str, u64, &str); 5] = [
    ("-F 12", 2 << 20, "fat12"),
    ("-F 12 -s 4 -S 512", 5 << 20, "fat12"),
    ("-F 16", 30 << 20, "fat16"),
    ("-F 32", 64 << 20, "fat32"),
    ("-F 32 -s 1 -S 2048", 160 << 20, "fat32"),
];
const LONG: &str = "Ein ziemlich langer Name, länger als 13 – und mit ü.txt";

fn make(dir: &Path, options: &str, size: u64) -> PathBuf {
    let path = dir.join("fat");
    blank(&path, size);
    run(&format!("mkfs.vfat -i 2178694E -n FIRMWARE {options} fat"), dir);
    fs::write(dir.join("big"), noise(700_001)).unwrap();
    fs::write(dir.join(LONG), "long").unwrap();
    fs::write(dir.join("lower.txt"), "").unwrap();
    run("mmd -i fat ::/overlays ::/overlays/Deeper", dir);
    run("mcopy -i fat big ::/start4.elf", dir);
    run("mcopy -i fat big ::/overlays/Deeper/other", dir);
    run("mcopy -i fat lower.txt ::/lower.txt", dir);
    let long = Command::new(find("mcopy").unwrap())
        .args(["-i", "fat", LONG, "::/overlays/"])
        .env("LC_ALL", "C.UTF-8")
        .current_dir(dir)
        .status();
    assert!(long.unwrap().success());
    run("mdel -i fat ::/start4.elf", dir);
    run("mcopy -i fat big ::/START.ELF", dir);
    path
}

/// Free bytes by fsck.vfat: `fat: 7 files, 1376/15321 clusters`.
fn free(dir: &Path) -> u64 {
    let text = run("fsck.vfat -n -v fat", dir);
    let number = |line: &str| line.split_whitespace().next().unwrap().parse::<u64>().unwrap();
    let cluster = text.lines().find(|l| l.contains("bytes per cluster")).map(number).unwrap();
    let counts = text.lines().last().unwrap().split(' ').nth_back(1).unwrap();
    let (used, all) = counts.split_once('/').unwrap();
    (all.parse::<u64>().unwrap() - used.parse::<u64>().unwrap()) * cluster
}

#[test]
fn every_fat_width_is_read_like_debians_tools() {
    needs!(have(&["mkfs.vfat", "fsck.vfat", "mcopy", "blkid"]));
    for (options, size, kind) in SIZES {
        let dir = tempfile::tempdir().unwrap();
        let fs = file_system(&make(dir.path(), options, size));
        let summary = fs.summary().unwrap();
        assert_eq!(summary.kind, kind, "{options}");
        let blkid = blkid("fat", dir.path());
        assert_eq!(summary.label.unwrap(), blkid("LABEL"));
        assert_eq!(summary.uuid.unwrap(), blkid("UUID"));
        assert_eq!(summary.free.unwrap(), free(dir.path()), "{options}");
        assert_eq!(content(&fs, "/Start.elf"), noise(700_001));
        assert_eq!(content(&fs, "overlays/deeper/../Deeper/OTHER"), noise(700_001));
        assert_eq!(content(&fs, &format!("/overlays/{LONG}")), b"long");
        assert_eq!(content(&fs, "/lower.txt"), b"");
        let names = |path| -> Vec<_> {
            let entries = fs.list(path).unwrap();
            entries.into_iter().map(|e| (e.name, e.kind, e.size)).collect()
        };
        assert_eq!(
            names("/"),
            [
                ("START.ELF".to_owned(), EntryKind::File, 700_001),
                ("lower.txt".to_owned(), EntryKind::File, 0),
                ("overlays".to_owned(), EntryKind::Directory, 0),
            ]
        );
        assert_eq!(names("/overlays")[1].0, LONG);
        assert_eq!(names("/lower.txt").len(), 1);
        assert!(matches!(fs.list("/none"), Err(Error::Refused(_))));
        assert!(matches!(fs.list("/lower.txt/x"), Err(Error::Refused(_))));
        assert!(matches!(fs.copy("/overlays", &mut |_| Ok(true)), Err(Error::Refused(_))));
    }
}

#[test]
fn label_of_the_root_directory_is_used() {
    needs!(have(&["mkfs.vfat", "mlabel", "blkid"]));
    let dir = tempfile::tempdir().unwrap();
    blank(&dir.path().join("fat"), 4 << 20);
    run("mkfs.vfat fat", dir.path());
    assert_eq!(file_system(&dir.path().join("fat")).summary().unwrap().label, None);
    run("mlabel -i fat ::NEWNAME", dir.path());
    let label = file_system(&dir.path().join("fat")).summary().unwrap().label;
    assert_eq!(label.unwrap(), "NEWNAME");
}

/// A FAT16 whose table is changed, and with it the chains of `overlays` and `START.ELF`.
fn with_table(change: impl Fn(&mut [u8], usize)) -> FileSystem {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(make(dir.path(), "-F 16", 30 << 20)).unwrap();
    let table = usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) * 512;
    change(&mut bytes, table);
    FileSystem::detect(&section(bytes)).unwrap().unwrap()
}

#[test]
fn looping_and_invalid_chains_end() {
    needs!(have(&["mkfs.vfat", "mcopy"]));
    let set = |value: u16| {
        with_table(move |bytes, table| {
            for cluster in 2..2000 {
                let at = table + cluster * 2;
                bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
            }
        })
    };
    let says = |fs: &FileSystem, what: &str| {
        let error = fs.copy("/START.ELF", &mut |_| Ok(true)).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        // One cluster holds all entries: without a bound it would be read again and again.
        drop(fs.list("/overlays"));
        fs.summary().unwrap();
    };
    says(&set(0), "cluster 0, which does not exist");
    says(&set(0xfff0), "cluster 65520, which does not exist");
    says(&set(0xffff), "bytes before its length");
    // In a loop the file still ends at its length; a directory full of entries has no length.
    let looping = set(5);
    assert_eq!(looping.list("/overlays").map_or(0, |e| e.len()), 2);
}

#[test]
fn full_directory_in_a_loop_ends() {
    needs!(have(&["mkfs.vfat", "mcopy"]));
    let fs = with_table(|bytes, table| {
        // `overlays` is the first cluster: it is filled with entries, and followed by itself.
        let at = table + 2 * 2;
        bytes[at..at + 2].copy_from_slice(&2u16.to_le_bytes());
        let root = table + 2 * usize::from(u16::from_le_bytes([bytes[22], bytes[23]])) * 512;
        let data = root + 512 * 32;
        let entry = *b"A          \x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        bytes[data..data + 2048].copy_from_slice(&entry.repeat(64));
    });
    let error = fs.list("/overlays").unwrap_err().to_string();
    assert_eq!(error, "a chain in the FAT is too long");
}
