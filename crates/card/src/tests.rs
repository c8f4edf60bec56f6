//! File systems that Debian's tools made, and the script of the container on this machine.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::Events;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::program::find_program;
use sdbuild_image::FileSystem;
use sdbuild_image::disk::Section;
use tempfile::TempDir;

use crate::blocks::{Blocks, append_file, end};
use crate::container::archive;
use crate::copy::ImageCopy;
use crate::plan::{Changes, Partition, plan};
use crate::put::Put;

const SCRIPT: &str = include_str!("../../../containers/card/put");
/// A content that only files in the store have.
const STORED: &str = "what only the store has";

/// Whether this machine has the programs of the container. When it does not, prints so, and fails with `CI` set.
#[expect(clippy::disallowed_methods, reason = "tests ask whether they must run")]
fn has_tools() -> bool {
    let path = std::ffi::OsStr::new("/usr/sbin:/usr/bin");
    let mut missing = Vec::from(["mkfs.ext4", "mkfs.vfat", "debugfs", "e2fsck", "mcopy"]);
    missing.retain(|name| find_program(name, path).is_none());
    let is_ci = std::env::var_os("CI").is_some();
    assert!(
        missing.is_empty() || !is_ci,
        "in CI every test must run: no {missing:?}"
    );
    if !missing.is_empty() {
        eprintln!("SKIPPED: no {missing:?}; run scripts/setup --test");
    }
    missing.is_empty()
}

fn run(program: &str, words: &[&str]) -> String {
    let mut command = Command::new(program);
    let command = command.env("PATH", "/usr/sbin:/usr/bin").args(words);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn put(path: &str, content: impl Into<Vec<u8>>) -> Put {
    Put {
        path: path.to_owned(),
        content: content.into(),
        mode: 0o644,
        owner: (0, 0),
    }
}

/// An image with the partitions of a Raspberry Pi's: a FAT with the firmware, and an ext4 as NixOS makes it.
struct Card {
    dir: TempDir,
}

/// Where the partitions begin and how long they are, in MiB.
const FAT: (u64, u64) = (1, 34);
const EXT: (u64, u64) = (35, 96);

impl Card {
    fn make(block: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        for name in ["nix/store/a-system/etc/ssh", "etc", "root", "boot"] {
            fs::create_dir_all(tree.join(name)).unwrap();
        }
        // Files whose blocks the tools must not take.
        for number in 0..500 {
            fs::write(
                tree.join(format!("nix/store/{number}")),
                format!("{STORED}{number}"),
            )
            .unwrap();
        }
        fs::write(tree.join("nix/store/large"), vec![b'x'; 20 << 20]).unwrap();
        fs::write(tree.join("etc/there"), vec![b'y'; 3 << 20]).unwrap();
        for name in ["z", "etc/z"] {
            fs::write(tree.join(name), name).unwrap();
        }
        symlink("/etc/static/linked", tree.join("etc/linked")).unwrap();
        symlink("/nix/store", tree.join("etc/dir")).unwrap();
        let card = Self { dir };
        let part = |name: &str, mib: u64| {
            let path = card.dir.path().join(name);
            File::create(&path).unwrap().set_len(mib << 20).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let ext = part("ext", EXT.1);
        let tree = tree.to_str().unwrap();
        let label = ["-q", "-b", block, "-L", "NIXOS_SD", "-d", tree, &ext];
        run("mkfs.ext4", &label);
        let fat = part("fat", FAT.1);
        run("mkfs.vfat", &["-n", "FIRMWARE", &fat]);
        let there = format!("{tree}/etc/there");
        run("mcopy", &["-i", &fat, &there, "::bootcode.bin"]);
        let image = File::create(card.image()).unwrap();
        image.set_len((FAT.1 + EXT.1 + 2) << 20).unwrap();
        // The partition table: kind, first sector and sectors of each.
        for (at, kind, (start, len)) in [(446, 0xc, FAT), (462, 0x83, EXT)] {
            let numbers = [start << 11, len << 11].map(|n| u32::try_from(n).unwrap().to_le_bytes());
            let entry = [&[0, 0, 0, 0, kind, 0, 0, 0], numbers.as_flattened()].concat();
            image.write_all_at(&entry, at).unwrap();
        }
        image.write_all_at(&[0x55, 0xaa], 510).unwrap();
        for (name, (start, _)) in [("fat", FAT), ("ext", EXT)] {
            image
                .write_all_at(&fs::read(card.dir.path().join(name)).unwrap(), start << 20)
                .unwrap();
        }
        card
    }

    fn image(&self) -> std::path::PathBuf {
        self.dir.path().join("card.img")
    }

    fn disk(&self) -> Section {
        let file = File::open(self.image()).unwrap();
        let len = file.metadata().unwrap().len();
        Section::whole(file, len, &Cancel::new())
    }

    fn refused(&self, path: &str) -> String {
        plan(&self.disk(), vec![put(path, "new")], None)
            .unwrap_err()
            .to_string()
    }

    /// Whether the file systems of `image` are sound by the words of their own tools.
    fn check(&self, image: &Path) {
        let image = File::open(image).unwrap();
        for (name, (start, len)) in [("fat", FAT), ("ext", EXT)] {
            let mut bytes = vec![0; usize::try_from(len << 20).unwrap()];
            image.read_exact_at(&mut bytes, start << 20).unwrap();
            fs::write(self.dir.path().join(name), bytes).unwrap();
        }
        let path = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        run("e2fsck", &["-fn", &path("ext")]);
        run("fsck.vfat", &["-n", &path("fat")]);
    }
}

/// What the container does, on this machine.
fn work(partition: &Partition) -> Blocks {
    let dir = tempfile::tempdir().unwrap();
    let script = SCRIPT.replace("cd /work", &format!("cd {}", dir.path().display()));
    let sent = archive(partition).unwrap();
    let input = dir.path().join("input");
    fs::write(&input, &sent).unwrap();
    let mut command = Command::new("/bin/sh");
    let command = command
        .env("PATH", "/usr/sbin:/usr/bin")
        .arg("-c")
        .arg(script);
    let output = command.stdin(File::open(&input).unwrap()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let max = sent.len() as u64 + (16 << 20);
    let after = partition.skeleton.changed(output.stdout.as_slice(), max);
    after.unwrap()
}

fn changes(partitions: Vec<Partition>) -> Changes {
    let mut changes = Changes::default();
    for partition in partitions {
        let after = work(&partition);
        changes.add(partition.compare(&after).unwrap());
    }
    changes
}

fn context() -> Context {
    Context {
        cancel: Cancel::new(),
        events: Events::none(),
    }
}

#[test]
fn files_are_put_into_a_copy_whose_file_systems_are_sound() {
    if has_tools() {
        for block in ["1024", "4096"] {
            copy_is_sound(block);
        }
    }
}

fn copy_is_sound(block: &str) {
    let card = Card::make(block);
    let before = Sha256Hash::of(&fs::read(card.image()).unwrap());
    let mut key = put("/etc/ssh/ssh_host_ed25519_key", "secret key");
    (key.mode, key.owner) = (0o600, (70_000, 3));
    // Zeros in the middle of a file are its holes.
    let large = [vec![1; 9000], vec![0; 200_000], vec![2; 900_000]].concat();
    let puts = vec![
        key,
        put("/a b/c'd$(e)/f", large.clone()),
        put("/etc/there", "replaced"),
        put("/etc/empty", ""),
        put("/z", "replaced"),
        put("/boot/firmware/config.txt", large),
        put("/boot/firmware/overlays/a long name.dtbo", "overlay"),
        put("/boot/firmware/BOOTCODE.BIN", "replaced"),
    ];
    let output = card.dir.path().join("out.img");
    let copy = ImageCopy::make(&card.image(), &output, None, &context()).unwrap();
    let disk = copy.disk(&Cancel::new()).unwrap();
    let partitions = plan(&disk, puts, None).unwrap();
    let changes = changes(partitions);
    copy.finish(&changes, jiff::Timestamp::UNIX_EPOCH, &context())
        .unwrap();
    assert_eq!(Sha256Hash::of(&fs::read(card.image()).unwrap()), before);
    card.check(&output);
    let read = |image: &Path, path: &str| {
        let file = File::open(image).unwrap();
        let len = file.metadata().unwrap().len();
        let part = Section::whole(file, len, &Cancel::new()).part(EXT.0 << 20, EXT.1 << 20);
        let fs = FileSystem::detect(&part).unwrap().unwrap();
        fs.start_of(path, 30 << 20).unwrap().unwrap()
    };
    for number in 0..500 {
        let path = format!("/nix/store/{number}");
        assert_eq!(read(&output, &path), read(&card.image(), &path), "{path}");
    }
    assert!(
        read(&output, "/nix/store/large")
            .iter()
            .all(|byte| *byte == b'x')
    );
    assert_eq!(fs::metadata(&output).unwrap().mode() & 0o777, 0o600);
    let stat = run(
        "debugfs",
        &[
            "-R",
            "stat /etc/ssh/ssh_host_ed25519_key",
            card.dir.path().join("ext").to_str().unwrap(),
        ],
    );
    assert!(
        stat.contains("Mode:  0600") && stat.contains("User: 70000"),
        "{stat}"
    );
    let manifest = fs::read_to_string(card.dir.path().join("out.img.json")).unwrap();
    assert!(manifest.contains("/etc/ssh/ssh_host_ed25519_key") && !manifest.contains("secret key"));
}

#[test]
fn a_copy_has_the_same_bytes_however_its_image_is_packed_and_a_damaged_image_is_refused() {
    if !has_tools() {
        return;
    }
    let card = Card::make("4096");
    let mut changes = Changes::default();
    changes.blocks = vec![(4096, vec![7; 4096]), (9 << 20, vec![8; 512])];
    let copied = |image: &Path, name: &str| {
        let output = card.dir.path().join(name);
        let copy = ImageCopy::make(image, &output, None, &context()).unwrap();
        copy.finish(&changes, jiff::Timestamp::UNIX_EPOCH, &context())
            .map(|()| output)
    };
    let mut expected = fs::read(card.image()).unwrap();
    for (at, block) in &changes.blocks {
        let at = usize::try_from(*at).unwrap();
        expected[at..at + block.len()].copy_from_slice(block);
    }
    run("gzip", &["--keep", "-1", card.image().to_str().unwrap()]);
    let packed = card.image().with_added_extension("gz");
    let [plain, unpacked] = [(card.image(), "plain.img"), (packed, "unpacked.img")]
        .map(|(image, name)| copied(&image, name).unwrap());
    let map = |image: &Path| fs::read(image.with_added_extension("bmap")).unwrap();
    assert!(fs::read(&plain).unwrap() == expected && fs::read(&unpacked).unwrap() == expected);
    assert!(map(&plain) == map(&unpacked));
    // The hashes beside it are its own.
    copied(&plain, "again.img").unwrap();
    let file = fs::OpenOptions::new().write(true).open(&plain).unwrap();
    file.write_all_at(b"damaged", (EXT.0 + EXT.1) << 20)
        .unwrap();
    copied(&plain, "damaged.img").unwrap_err();
    assert!(!card.dir.path().join("damaged.img").exists());
}

#[test]
fn only_what_the_tools_read_travels() {
    if !has_tools() {
        return;
    }
    let card = Card::make("4096");
    let puts = vec![put("/etc/new", "new"), put("/boot/firmware/new", "new")];
    for partition in plan(&card.disk(), puts, None).unwrap() {
        let sent = archive(&partition).unwrap();
        assert!(sent.len() < 4 << 20, "{}", sent.len());
        let text = String::from_utf8_lossy(&sent);
        assert!(!text.contains(STORED) && !text.contains("yyyyyyyy"));
    }
}

#[test]
fn what_would_not_stay_or_has_no_room_is_refused() {
    if !has_tools() {
        return;
    }
    let card = Card::make("4096");
    for path in ["/etc/linked", "/etc/dir/new"] {
        let refused = card.refused(path);
        assert!(refused.contains("symbolic link"), "{refused}");
    }
    for path in [
        "/etc",
        "/etc/there/new",
        "/boot/firmware/a:b",
        "/boot/firmware/ä",
    ] {
        card.refused(path);
    }
    let twice = ["A", "a"].map(|name| put(&format!("/boot/firmware/{name}"), ""));
    let refused = plan(&card.disk(), twice.to_vec(), None).unwrap_err();
    assert!(refused.to_string().contains("twice"), "{refused}");
    plan(&card.disk(), vec![put("/A", ""), put("/a", "")], None).unwrap();
    for path in ["/large", "/boot/firmware/large"] {
        let refused = plan(&card.disk(), vec![put(path, vec![1; 90 << 20])], None).unwrap_err();
        assert!(refused.to_string().contains("free"), "{refused}");
    }
}

#[test]
fn an_image_without_the_firmwares_partition_is_told_so() {
    if !has_tools() {
        return;
    }
    let card = Card::make("4096");
    let image = fs::OpenOptions::new().write(true).open(card.image());
    // Its entry in the partition table.
    image.unwrap().write_all_at(&[0; 16], 446).unwrap();
    let refused = card.refused("/boot/firmware/config.txt");
    assert!(refused.contains("no partition FIRMWARE"), "{refused}");
}

#[test]
fn an_answer_with_another_content_is_not_written() {
    if !has_tools() {
        return;
    }
    let card = Card::make("4096");
    let planned = |put: Put| plan(&card.disk(), vec![put], None).unwrap().remove(0);
    let asked = put("/etc/new", "new");
    let after = work(&planned(asked.clone()));
    for other in [
        put("/etc/new", "other"),
        put("/etc/new", "newer"),
        Put {
            mode: 0o600,
            ..asked.clone()
        },
        Put {
            owner: (0, 1),
            ..asked.clone()
        },
    ] {
        let refused = planned(other.clone()).compare(&after);
        assert!(refused.is_err(), "{:o} {:?}", other.mode, other.owner);
    }
    let partition = planned(asked);
    let nothing = Blocks::read(&card.disk().part(EXT.0 << 20, EXT.1 << 20), &[], 4096).unwrap();
    assert!(partition.compare(&nothing).is_err());
}

#[test]
fn an_answer_that_changes_other_entries_is_not_written() {
    if !has_tools() {
        return;
    }
    let card = Card::make("4096");
    for dir in ["/etc", "/boot/firmware"] {
        let planned = |names: &[&str]| {
            let puts = names
                .iter()
                .map(|name| put(&format!("{dir}/{name}"), "new"));
            plan(&card.disk(), puts.collect(), None).unwrap().remove(0)
        };
        let more = work(&planned(&["new", "other"]));
        planned(&["new", "other"]).compare(&more).unwrap();
        let refused = planned(&["new"]).compare(&more).unwrap_err();
        assert!(refused.to_string().contains(" more "), "{refused}");
    }
}

#[test]
fn a_name_of_a_free_inode_is_no_file() {
    if !has_tools() {
        return;
    }
    let card = Card::make("4096");
    let ext = card.dir.path().join("ext");
    let found = || {
        let file = File::open(&ext).unwrap();
        let section = Section::whole(file, EXT.1 << 20, &Cancel::new());
        let fs = FileSystem::detect(&section).unwrap().unwrap();
        fs.permissions("/etc/there")
    };
    assert!(found().unwrap().is_some());
    let free = "sif /etc/there links_count 0";
    run("debugfs", &["-w", "-R", free, ext.to_str().unwrap()]);
    found().unwrap_err();
}

#[test]
fn more_than_the_programs_take_is_not_read() {
    let read = |mib: u64| {
        let len = mib << 20;
        let bytes = vec![1; usize::try_from(len).unwrap()];
        let section = Section::whole(bytes, len, &Cancel::new());
        Blocks::read(&section, &[0..4096, 4096..len], 4096)
    };
    assert_eq!(read(3).unwrap().bytes(), 3 << 20);
    read(65).unwrap_err();
}

#[test]
fn other_answers_are_refused() {
    let len = 10 * 4096 + 100;
    let mut blocks = Blocks::default();
    (blocks.unit, blocks.len) = (4096, len);
    blocks
        .known
        .extend([(0, vec![1; 4096]), (10, vec![2; 100])]);
    blocks
        .known
        .extend((2..9).step_by(2).map(|number| (number, vec![3; 4096])));
    let mut sparse = Vec::new();
    blocks.append_to(&mut sparse).unwrap();
    let read = |bytes: &[u8], len, max| {
        let sent = Blocks {
            len,
            ..blocks.clone()
        };
        sent.changed(bytes, max)
    };
    assert_eq!(read(&sparse, len, 1 << 20).unwrap().known, blocks.known);
    assert!(read(&sparse, len + 1, 1 << 20).is_err());
    assert!(read(&sparse, len, 4096).is_err());
    // A byte of a block counts as all of it, which is in memory.
    let mut bytes = sparse.clone();
    for header in [398, 422, 446, 470] {
        bytes[header..header + 11].copy_from_slice(b"00000000001");
    }
    assert!(read(&bytes, len, 6 * 4096).is_ok() && read(&bytes, len, 5 * 4096).is_err());
    assert!(read(&sparse[..2000], len, 1 << 20).is_err());
    let mut other = Vec::new();
    append_file(&mut other, "other", b"abc").unwrap();
    end(&mut other).unwrap();
    assert!(read(&other, 3, 1 << 20).is_err());
    // A segment outside, one that is too long, or one before that which precedes it.
    for (offset, text) in [
        (386 + 24, "77777777777"),
        (512 + 2 * 24 + 12, "00000000001"),
        (386 + 24, "00000000000"),
    ] {
        let mut hostile = sparse.clone();
        hostile[offset..offset + 11].copy_from_slice(text.as_bytes());
        assert!(read(&hostile, len, 1 << 20).is_err(), "{text}");
    }
}
