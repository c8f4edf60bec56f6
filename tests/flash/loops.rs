//! The command on loop devices that the tests create, which needs root.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::card::{Card, MIB, assert_contains, has_loop_devices, run_output};
use crate::files::interrupt_in_a_hole;
use crate::{have, needs, run};

#[test]
fn card_holds_the_image() {
    let Some(card) = Card::new(32 * MIB) else { return };
    let before = card.bytes();
    let bytes = card.image("a.img");
    let (code, text) = card.run_flash("a.img", &[]);
    assert_eq!(code, Some(0), "{text}");
    assert_contains(&text, &["Write: done", "Verify: done", "is written and verified"]);
    let after = card.bytes();
    assert!(after[..bytes.len()] == bytes[..], "the card is not the image");
    assert!(after[bytes.len()..] == before[bytes.len()..], "something behind the image changed");
}

/// Its content is in an image of a virtual machine, which was written to it in place of the disk that the image describes.
#[test]
fn a_disk_with_the_file_of_a_virtual_machine_is_not_inspected() {
    needs!(have(&["qemu-img"]));
    let Some(card) = Card::new(8 * MIB) else { return };
    run("qemu-img create -q -f qcow2 a.qcow2 64M", card.dir.path());
    let file = fs::read(card.at("a.qcow2")).unwrap();
    let disk = fs::OpenOptions::new().write(true).open(&card.node).unwrap();
    disk.write_all_at(&file, 0).unwrap();
    let mut inspect = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
    let (code, text) = run_output(inspect.args(["inspect", &card.node]));
    let message = format!(
        "error: could not inspect {}: the disk holds a qcow2 file itself, not its content",
        card.node
    );
    assert_eq!(code, Some(2), "{text}");
    assert_contains(&text, &[&message]);
}

#[test]
fn compressed_images_with_and_without_block_map() {
    needs!(have(&["zstd", "xz", "gzip", "bmaptool"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    let bytes = card.image("a.img");
    run("bmaptool create -o a.img.bmap a.img", card.dir.path());
    for pack in ["true", "zstd -q a.img", "xz -k -0 a.img", "gzip -k -1 a.img"] {
        run(pack, card.dir.path());
    }
    for name in ["a.img", "a.img.zst", "a.img.xz", "a.img.gz"] {
        for map in [true, false] {
            if !map {
                fs::rename(card.at("a.img.bmap"), card.at("away")).unwrap();
            }
            let worn = fs::OpenOptions::new().write(true).open(card.at("card")).unwrap();
            worn.write_all_at(&vec![7; 32 << 20], 0).unwrap();
            let (code, text) = card.run_flash(name, &[]);
            assert_eq!(code, Some(0), "{name}: {text}");
            assert!(card.bytes()[..bytes.len()] == bytes[..], "{name}, map: {map}");
            if !map {
                fs::rename(card.at("away"), card.at("a.img.bmap")).unwrap();
            }
        }
    }
}

#[test]
fn kernel_reads_the_new_partition_table() {
    needs!(have(&["addpart", "sfdisk"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    card.image("a.img");
    run(&format!("addpart {} 1 2048 4096", card.node), card.dir.path());
    let name = card.node.trim_start_matches("/dev/");
    let part = PathBuf::from(format!("/sys/class/block/{name}/{name}p1"));
    assert!(part.exists());
    let node = format!("{}p1", card.node);
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
    command.args(["flash", "a.img", &node, "--allow-fixed", "--yes"]);
    let (code, text) = run_output(command.current_dir(card.dir.path()));
    assert_eq!(code, Some(2), "{text}");
    assert_contains(&text, &["is a partition of", "a whole disk", "(nothing was written)"]);
    let (code, text) = card.run_flash("a.img", &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!part.exists(), "the partition of the old table is still there");
}

#[test]
fn lost_partitions_are_listed_in_the_question() {
    needs!(have(&["sfdisk"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    let mut sfdisk = Command::new("/usr/sbin/sfdisk");
    let sfdisk = sfdisk.args(["-q", "--no-reread"]).arg(&card.node);
    let mut child = sfdisk.stdin(Stdio::piped()).spawn().unwrap();
    let table = "label: dos\nstart=2048, size=4096\nstart=8192\n";
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(table.as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    card.image("a.img");
    let before = card.bytes();
    let (code, text) = run_output(&mut card.flash("a.img", &["--allow-fixed"]));
    assert_eq!(code, Some(2), "{text}");
    let words = [
        "(nothing was written)",
        "sdbuild cannot ask whether to overwrite this",
        ": 2.1 MB",
        ": 29 MB",
        "give --yes",
    ];
    assert_contains(&text, &words);
    assert!(card.bytes() == before);
}

#[test]
fn disk_that_cannot_clear_is_read_and_overwritten() {
    needs!(has_loop_devices());
    // ramfs does not support punching holes.
    let dir = tempfile::tempdir().unwrap();
    run("mount -t ramfs none .", dir.path());
    let point = dir.path().to_owned();
    let Some(card) = Card::in_dir(dir, 32 * MIB, vec![point]) else { return };
    let bytes = card.image("a.img");
    // With random bytes everywhere at first, then with a few bytes here and there.
    for _ in 0..2 {
        let (code, text) = card.run_flash("a.img", &[]);
        assert_eq!(code, Some(0), "{text}");
        assert!(card.bytes()[..bytes.len()] == bytes[..], "the card is not the image");
        let file = fs::OpenOptions::new().write(true).open(card.at("card"));
        let file = file.unwrap();
        for at in [MIB, 2 * MIB, 17 * MIB + 5, 20 * MIB] {
            file.write_all_at(&[1], at).unwrap();
        }
    }
}

#[test]
fn clearing_a_long_hole_by_writing_can_be_interrupted() {
    needs!(has_loop_devices());
    let dir = tempfile::tempdir().unwrap();
    run("mount -t ramfs none .", dir.path());
    let reported = std::panic::catch_unwind(|| interrupt_in_a_hole(dir.path(), 64 * MIB));
    run(&format!("umount {}", dir.path().display()), Path::new("/"));
    assert_eq!(reported.unwrap(), 8192 + 4 * MIB);
}
