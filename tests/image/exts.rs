//! ext file systems made by mkfs.ext2, mkfs.ext3 and mkfs.ext4.

use std::os::unix::fs::symlink;

use super::*;
use sdbuild_image::Error;
use sdbuild_image::files::EntryKind;

/// Tools and options; the last ones make what old tools made.
const MADE: [&str; 7] = [
    "mkfs.ext4 -b 4096",
    "mkfs.ext4 -b 1024",
    "mkfs.ext4 -O ^metadata_csum,^64bit",
    "mkfs.ext4 -O ^metadata_csum_seed,metadata_csum -I 128",
    "mkfs.ext4 -b 4096 -g 1024 -O ^flex_bg",
    "mkfs.ext3 -b 1024",
    "mkfs.ext2 -b 2048",
];
const MANY: usize = 600;

/// Fills a directory with the files of every file system.
fn fill_tree(dir: &Path) {
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("many")).unwrap();
    fs::create_dir_all(tree.join("a/b")).unwrap();
    for n in 0..MANY {
        let name =
            format!("many/{n:04}-a-name-that-fills-the-directory-quickly-so-that-it-is-a-tree");
        fs::write(tree.join(name), n.to_string()).unwrap();
    }
    fs::write(tree.join("big"), noise(3_000_001)).unwrap();
    let sparse = tree.join("sparse");
    blank(&sparse, 5_000_000);
    let file = fs::OpenOptions::new().write(true).open(&sparse).unwrap();
    for at in [1_000_000, 2_500_000, 4_999_990] {
        std::os::unix::fs::FileExt::write_all_at(&file, b"island", at).unwrap();
    }
    fs::write(tree.join("a/b/file"), "content\n").unwrap();
    fs::write(tree.join("wild\u{1b}[2J\nname"), "").unwrap();
    symlink("../a/./b", tree.join("a/relative")).unwrap();
    symlink("/a/relative/file", tree.join("absolute")).unwrap();
    let long = format!("/{}a/b/file", "./".repeat(60));
    symlink(long, tree.join("long")).unwrap();
    symlink("round", tree.join("circle")).unwrap();
    symlink("circle", tree.join("round")).unwrap();
    symlink("/nowhere", tree.join("dangling")).unwrap();
}

fn make(dir: &Path, tool: &str) -> PathBuf {
    let path = dir.join("ext");
    blank(&path, 16 << 20);
    run(&format!("{tool} -q -L NIXOS_SD -d tree ext"), dir);
    path
}

#[test]
fn every_ext_kind_is_read_like_debians_tools() {
    needs!(have(&["mkfs.ext4", "dumpe2fs", "blkid"]));
    let dir = tempfile::tempdir().unwrap();
    fill_tree(dir.path());
    for tool in MADE {
        let fs = file_system(&make(dir.path(), tool));
        let (summary, blkid) = (fs.summary().unwrap(), blkid("ext", dir.path()));
        assert_eq!(summary.kind, blkid("TYPE"), "{tool}");
        assert_eq!(summary.label.unwrap(), blkid("LABEL"));
        assert_eq!(summary.uuid.unwrap(), blkid("UUID"));
        let text = run("dumpe2fs -h ext", dir.path());
        let number = |key: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(key)).unwrap();
            line.trim().parse::<u64>().unwrap()
        };
        let block = number("Block size:");
        assert_eq!(summary.size.unwrap(), number("Block count:") * block);
        assert_eq!(summary.free.unwrap(), number("Free blocks:") * block, "{tool}");
        same_files(&fs, &dir.path().join("tree"));
    }
}

#[test]
fn unwritten_extents_are_zeros() {
    needs!(have(&["mkfs.ext4", "debugfs"]));
    let dir = tempfile::tempdir().unwrap();
    fill_tree(dir.path());
    fs::write(dir.path().join("ext"), vec![0xaa; 16 << 20]).unwrap();
    let at = dir.path();
    run("mkfs.ext4 -q -b 4096 -E nodiscard -d tree ext", at);
    let allocate = Command::new(find("debugfs").unwrap())
        .args(["-w", "-R", "fallocate /sparse 0 100", "ext"])
        .current_dir(at)
        .output();
    assert!(allocate.unwrap().status.success());
    let dump = Command::new(find("debugfs").unwrap())
        .args(["-R", "dump_extents /sparse", "ext"])
        .current_dir(at)
        .output();
    let dump = String::from_utf8(dump.unwrap().stdout).unwrap();
    assert!(dump.contains("Uninit"), "{dump}");
    let read = content(&file_system(&at.join("ext")), "/sparse");
    assert!(read == fs::read(at.join("tree/sparse")).unwrap());
}

#[track_caller]
fn same_files(fs: &FileSystem, tree: &Path) {
    for path in ["big", "sparse", "a/b/file"] {
        assert!(content(fs, path) == fs::read(tree.join(path)).unwrap(), "{path}");
    }
    for path in ["/a/relative/file", "/absolute", "/long", "/a/../a/b/../b/file"] {
        assert_eq!(content(fs, path), b"content\n", "{path}");
    }
    let many = fs.list("/many").unwrap();
    assert_eq!(many.len(), MANY);
    for (n, entry) in many.iter().enumerate() {
        assert_eq!(content(fs, &format!("/many/{}", entry.name)), n.to_string().into_bytes());
    }
    let root = fs.list("/").unwrap();
    let names: Vec<_> = root.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "a",
            "absolute",
            "big",
            "circle",
            "dangling",
            "long",
            "lost+found",
            "many",
            "round",
            "sparse",
            "wild\u{1b}[2J\nname",
        ]
    );
    assert_eq!(root[1].target.as_deref(), Some("/a/relative/file"));
    assert_eq!((root[1].kind, root[2].kind), (EntryKind::Link, EntryKind::File));
    let circle = fs.list("/circle/x").unwrap_err().to_string();
    assert_eq!(circle, "/circle/x has too many symbolic links");
    assert_eq!(fs.find("/dangling").unwrap(), None);
    assert_eq!(fs.find("/a/b/file/x").unwrap(), None);
    assert!(matches!(fs.copy("/a", &mut |_| Ok(true)), Err(Error::Refused(_))));
}

fn changed(dir: &Path, tool: &str, change: impl Fn(&mut Vec<u8>)) -> Result<FileSystem, Error> {
    let mut bytes = fs::read(make(dir, tool)).unwrap();
    change(&mut bytes);
    FileSystem::detect(&section(bytes)).map(Option::unwrap)
}

#[test]
fn invalid_superblocks_are_refused() {
    needs!(have(&["mkfs.ext4"]));
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    let plain = "mkfs.ext4 -O ^metadata_csum";
    let field = |at: usize, value: u32| {
        let made = changed(dir.path(), plain, |bytes| {
            bytes[1024 + at..1028 + at].copy_from_slice(&value.to_le_bytes());
        });
        made.unwrap_err().to_string()
    };
    let absurd = "the ext superblock's sizes are inconsistent";
    assert_eq!(field(0x18, 7), absurd);
    assert_eq!(field(0x18, u32::MAX), absurd);
    assert_eq!(field(0x20, 0), absurd);
    assert_eq!(field(0x28, 0), absurd);
    assert_eq!(field(0x58, 0), absurd);
    assert_eq!(field(0x58, 0xffff), absurd);
    assert_eq!(field(0x14, u32::MAX), absurd);
    assert!(field(4, u32::MAX).contains("its partition 16777216"));
    let wrong = changed(dir.path(), "mkfs.ext4", |bytes| bytes[1024 + 0x30] ^= 1);
    assert_eq!(wrong.unwrap_err().to_string(), "the ext4 superblock's checksum is wrong");
}

#[test]
fn damaged_inode_is_reported() {
    needs!(have(&["mkfs.ext4", "debugfs"]));
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    fs::write(dir.path().join("tree/file"), "x").unwrap();
    let path = make(dir.path(), "mkfs.ext4 -b 4096");
    // `Inode 12, ... located at block 35, offset 0x0b00`
    let imap = Command::new(find("debugfs").unwrap())
        .args(["-R", "imap /file", "ext"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let imap = String::from_utf8(imap.stdout).unwrap();
    let word = |before: &str| {
        let rest = imap.split(before).nth(1).unwrap();
        rest.split([',', '\n']).next().unwrap().trim().to_owned()
    };
    let block: usize = word("located at block ").parse().unwrap();
    let offset = usize::from_str_radix(word("offset 0x").as_str(), 16).unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[block * 4096 + offset + 0x10] ^= 1;
    let fs = FileSystem::detect(&section(bytes)).unwrap().unwrap();
    let error = fs.copy("/file", &mut |_| Ok(true)).unwrap_err().to_string();
    assert!(error.ends_with("has a wrong checksum"), "{error}");
}
