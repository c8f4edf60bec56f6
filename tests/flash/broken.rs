//! A card that is left half-written: damaged images, failing disks, Ctrl-C.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::card::{Card, MIB, loops_are_here, tells};
use crate::{have, image, map_of, run};

#[test]
fn a_damaged_image_leaves_a_half_written_card() {
    if !have(&["zstd", "xz", "gzip"]) {
        return;
    }
    let Some(card) = Card::new(32 * MIB) else {
        return;
    };
    let bytes = card.image("a.img");
    for pack in ["zstd -q a.img", "xz -k -0 a.img", "gzip -k -1 a.img"] {
        run(pack, card.dir.path());
    }
    for name in ["a.img.zst", "a.img.xz", "a.img.gz"] {
        let whole = fs::read(card.at(name)).unwrap();
        let cut = format!("cut-{name}");
        fs::write(card.at(&cut), &whole[..whole.len() - 100_000]).unwrap();
        let (code, text) = card.flashed(&cut, &[]);
        assert_eq!(code, Some(2), "{text}");
        tells(
            &text,
            &[
                "(the card is half-written)",
                "data are damaged",
                "flash it again",
            ],
        );
    }
    // the bytes are not those of the block map
    fs::write(card.at("a.img.bmap"), map_of(&bytes).to_xml()).unwrap();
    for at in [7 * MIB, 10 * MIB] {
        let mut other = bytes.clone();
        other[usize::try_from(at).unwrap()] ^= 1;
        fs::write(card.at("a.img"), &other).unwrap();
        let (code, text) = card.flashed("a.img", &[]);
        assert_eq!(code, Some(2), "{text}");
        tells(
            &text,
            &["(the card is half-written)", "not the one of its block map"],
        );
    }
}

#[test]
fn what_decompresses_to_more_than_the_card_is_found_while_writing() {
    if !have(&["gzip"]) {
        return;
    }
    let Some(card) = Card::new(16 * MIB) else {
        return;
    };
    card.image("a.img");
    run("gzip -1 a.img", card.dir.path());
    let (code, text) = card.flashed("a.img.gz", &[]);
    assert_eq!(code, Some(2), "{text}");
    tells(
        &text,
        &[
            "(the card is half-written)",
            "larger than the disk",
            "16777216 bytes",
        ],
    );
    // unless the manifest tells it before
    let (before, size) = (
        card.bytes(),
        fs::metadata(card.at("a.img.gz")).unwrap().len(),
    );
    let text = format!(
        r#"{{"version": 1, "image": {{"size": {size}, "sha256": ""}}, "raw": {{"size": 25165824, "sha256": ""}}}}"#
    );
    fs::write(card.at("a.img.gz.json"), text).unwrap();
    let (code, text) = card.flashed("a.img.gz", &[]);
    assert_eq!(code, Some(2), "{text}");
    tells(&text, &["(nothing was written)", "is too small"]);
    assert!(card.bytes() == before);
}

#[test]
fn a_disk_that_fails_in_the_middle_is_told() {
    if !loops_are_here() {
        return;
    }
    // A file without its bytes on a full file system: what is written there has no place.
    let dir = tempfile::tempdir().unwrap();
    run("mount -t tmpfs -o size=8m none .", dir.path());
    let point = dir.path().to_owned();
    image(&dir.path().join("card"), 32 * MIB, 1, &[]);
    let Some(card) = Card::below(dir, 32 * MIB, vec![point]) else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("a.img");
    image(&path, 24 * MIB, 3, &[(0, 24 << 20)]);
    let (code, text) = card.flashed(path.to_str().unwrap(), &[]);
    assert_eq!(code, Some(3), "{text}");
    tells(
        &text,
        &["(the card is half-written)", "write at byte", "error"],
    );
    assert_eq!(text.matches("error:").count(), 1, "{text}");
}

#[test]
fn interrupted_in_the_middle() {
    if !have(&["mkfifo"]) {
        return;
    }
    let Some(card) = Card::new(400 * MIB) else {
        return;
    };
    image(&card.at("a.img"), 384 * MIB, 4, &[(0, 384 << 20)]);
    let start = fs::read(card.at("a.img")).unwrap()[..4096].to_vec();
    // A busy machine may let it come to its end between our look and the signal: then once more.
    for _ in 0..10 {
        wipe(&card.at("card"));
        let mut command = card.flash("a.img", &["--allow-fixed", "--yes", "--no-verify"]);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        // The first bytes of the image are on the card: it is in the middle.
        let file = fs::File::open(card.at("card")).unwrap();
        let mut now = vec![0; 4096];
        let deadline = Instant::now() + Duration::from_secs(60);
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
        let told = [
            "(the card is half-written)",
            "interrupted",
            "flash it again",
        ];
        tells(&text, &told);
        return;
    }
    panic!("no signal came in time");
}

/// Makes the first bytes of a card unlike any image's.
fn wipe(card: &Path) {
    let file = fs::OpenOptions::new().write(true).open(card).unwrap();
    file.write_all_at(&[0xff; 4096], 0).unwrap();
    file.sync_all().unwrap();
}
