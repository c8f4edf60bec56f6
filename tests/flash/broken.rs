//! Cards that are left half-written: by damaged images, failing disks, Ctrl-C.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::card::{Card, MIB, assert_contains, has_loop_devices, write_table};
use crate::{have, image, map_of, needs, run};

#[test]
fn damaged_image_leaves_a_half_written_card() {
    needs!(have(&["zstd", "xz", "gzip"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    let bytes = card.image("a.img");
    for pack in ["zstd -q a.img", "xz -k -0 a.img", "gzip -k -1 a.img"] {
        run(pack, card.dir.path());
    }
    // Of an incomplete gzip file the end states no length that a card has.
    let half = "(the card is half-written)";
    for (name, words) in [
        ("a.img.zst", [half, "data are damaged", "flash it again"]),
        ("a.img.xz", [half, "data are damaged", "flash it again"]),
        ("a.img.gz", ["(nothing was written)", "is too small", "damaged or incomplete"]),
    ] {
        let whole = fs::read(card.at(name)).unwrap();
        let cut = format!("cut-{name}");
        fs::write(card.at(&cut), &whole[..whole.len() - 100_000]).unwrap();
        let (code, text) = card.run_flash(&cut, &[]);
        assert_eq!(code, Some(2), "{text}");
        assert_contains(&text, &words);
    }
    // The bytes differ from the block map.
    fs::write(card.at("a.img.bmap"), map_of(&bytes).to_xml()).unwrap();
    for at in [7 * MIB, 10 * MIB] {
        let mut other = bytes.clone();
        other[usize::try_from(at).unwrap()] ^= 1;
        fs::write(card.at("a.img"), &other).unwrap();
        let (code, text) = card.run_flash("a.img", &[]);
        assert_eq!(code, Some(2), "{text}");
        assert_contains(&text, &["(the card is half-written)", "does not match its block map"]);
    }
}

#[test]
fn image_larger_than_the_card_is_found_while_writing() {
    needs!(have(&["gzip"]));
    let Some(card) = Card::new(16 * MIB) else { return };
    card.image("a.img");
    run("gzip -1 a.img", card.dir.path());
    // The end of the file states the length of its last part alone.
    fs::write(card.at("end"), "x").unwrap();
    run("gzip end", card.dir.path());
    let parts = ["a.img.gz", "end.gz"].map(|name| fs::read(card.at(name)).unwrap());
    fs::write(card.at("a.img.gz"), parts.concat()).unwrap();
    let (code, text) = card.run_flash("a.img.gz", &[]);
    assert_eq!(code, Some(2), "{text}");
    assert_contains(
        &text,
        &["(the card is half-written)", "larger than the disk", "16777216 bytes"],
    );
    // Unless the manifest states the size.
    let (before, size) = (card.bytes(), fs::metadata(card.at("a.img.gz")).unwrap().len());
    let hash = "ab".repeat(32);
    let text = format!(
        r#"{{"version": 1, "image": {{"size": {size}, "sha256": "{hash}"}}, "raw": {{"size": 25165824, "sha256": "{hash}"}}}}"#
    );
    fs::write(card.at("a.img.gz.json"), text).unwrap();
    let (code, text) = card.run_flash("a.img.gz", &[]);
    assert_eq!(code, Some(2), "{text}");
    assert_contains(&text, &["(nothing was written)", "is too small"]);
    assert!(card.bytes() == before);
}

#[test]
fn disk_that_fails_while_writing_is_reported() {
    needs!(has_loop_devices());
    // A sparse file on a file system that is smaller: writes fail when that is full.
    let dir = tempfile::tempdir().unwrap();
    run("mount -t tmpfs -o size=8m none .", dir.path());
    let point = dir.path().to_owned();
    image(&dir.path().join("card"), 32 * MIB, 1, &[]);
    let Some(card) = Card::in_dir(dir, 32 * MIB, vec![point]) else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("a.img");
    image(&path, 24 * MIB, 3, &[(0, 24 << 20)]);
    write_table(&path);
    let (code, text) = card.run_flash(path.to_str().unwrap(), &[]);
    assert_eq!(code, Some(3), "{text}");
    assert_contains(&text, &["(the card is half-written)", "write at byte", "error"]);
    assert_eq!(text.matches("error:").count(), 1, "{text}");
}

#[test]
fn interrupt_leaves_a_half_written_card() {
    needs!(have(&["mkfifo"]));
    let Some(card) = Card::new(400 * MIB) else { return };
    image(&card.at("a.img"), 384 * MIB, 4, &[(0, 384 << 20)]);
    write_table(&card.at("a.img"));
    let start = fs::read(card.at("a.img")).unwrap()[..4096].to_vec();
    // On a busy machine it may complete before the signal: then the test tries again.
    for _ in 0..10 {
        wipe(&card.at("card"));
        let mut command = card.flash("a.img", &["--allow-fixed", "--yes", "--no-verify"]);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        // Once the first bytes of the image are on the card, the write is in progress.
        let file = fs::File::open(card.at("card")).unwrap();
        let mut now = vec![0; 4096];
        let deadline = Instant::now() + Duration::from_mins(1);
        while now != start && Instant::now() < deadline {
            file.read_exact_at(&mut now, 0).unwrap();
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        kill(pid, Signal::SIGINT).unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            continue;
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.signal(), Some(2), "{text}");
        let parts = ["(the card is half-written)", "interrupted", "flash it again"];
        assert_contains(&text, &parts);
        return;
    }
    panic!("every attempt completed before the signal");
}

/// Overwrites the first bytes of a card with ones that no image has.
fn wipe(card: &Path) {
    let file = fs::OpenOptions::new().write(true).open(card).unwrap();
    file.write_all_at(&[0xff; 4096], 0).unwrap();
    file.sync_all().unwrap();
}
