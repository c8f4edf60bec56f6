//! The command on loop devices that the tests make themselves; they need root.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use sdbuild::cancel::Cancel;
use sdbuild::event::Events;
use sdbuild::flash::{self, Allowed, Request, Source, State};

use crate::files::stopped_in_a_hole;
use crate::{have, image, map_of, run};

const MIB: u64 = 1 << 20;

/// A loop device of our own over a file of random bytes, as a used card holds them.
pub(crate) struct Card {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) node: String,
    mounted: Vec<PathBuf>,
}

impl Card {
    /// `None`, said aloud, where loop devices cannot be made.
    pub(crate) fn new(size: u64) -> Option<Self> {
        Self::below(tempfile::tempdir().unwrap(), size, Vec::new())
    }

    fn below(folder: tempfile::TempDir, size: u64, mounted: Vec<PathBuf>) -> Option<Self> {
        if !loops_are_here() {
            return None;
        }
        let file = folder.path().join("card");
        if !file.exists() {
            image(&file, size, 99, &[(0, usize::try_from(size).unwrap())]);
        }
        let node = run("losetup --find --show --partscan card", folder.path());
        let node = node.trim().to_owned();
        Some(Self {
            folder,
            node,
            mounted,
        })
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.at("card")).unwrap()
    }

    /// `sdbuild flash NAME` of an image in the folder.
    pub(crate) fn flash(&self, name: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
        command.arg("flash").arg(name).arg(&self.node).args(more);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// The same with all that a loop device needs; code and what was said.
    fn flashed(&self, name: &str, more: &[&str]) -> (Option<i32>, String) {
        let mut command = self.flash(name, &["--allow-fixed", "--yes"]);
        said(command.args(more))
    }

    /// An image of 24 MiB with data in some places, and its bytes.
    fn image(&self, name: &str) -> Vec<u8> {
        let path = self.at(name);
        let data = [
            (0, 9000),
            (3 * MIB, 5 << 20),
            (9 * MIB + 4096, 1),
            (23 * MIB, 1 << 20),
        ];
        image(&path, 24 * MIB, 5, &data);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0x55, 0xaa], 510).unwrap();
        // zeros that are no hole
        file.write_all_at(&vec![0; 4 << 20], 12 * MIB).unwrap();
        fs::read(path).unwrap()
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        run(
            &format!("losetup --detach {}", self.node),
            self.folder.path(),
        );
        for point in &self.mounted {
            run(&format!("umount {}", point.display()), Path::new("/"));
        }
    }
}

fn loops_are_here() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    let here = root && Path::new("/dev/loop-control").exists();
    let ci = std::env::var_os("CI").is_some();
    assert!(
        here || !ci,
        "in CI every test must run: loop devices need root"
    );
    if !here {
        eprintln!("SKIPPED: loop devices need root and /dev/loop-control");
    }
    here && have(&["losetup", "umount", "mount"])
}

fn said(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// All of `words` are in the text.
fn tells(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

#[test]
fn what_the_image_has_the_card_has() {
    let Some(card) = Card::new(32 * MIB) else {
        return;
    };
    let before = card.bytes();
    let bytes = card.image("a.img");
    let (code, text) = card.flashed("a.img", &[]);
    assert_eq!(code, Some(0), "{text}");
    tells(
        &text,
        &[
            "write the card: done",
            "read the card back: done",
            "is written and read back",
        ],
    );
    let after = card.bytes();
    assert!(
        after[..bytes.len()] == bytes[..],
        "the card is not the image"
    );
    assert!(
        after[bytes.len()..] == before[bytes.len()..],
        "something behind the image changed"
    );
}

#[test]
fn block_maps_and_compressed_images() {
    if !have(&["zstd", "xz", "gzip", "bmaptool"]) {
        return;
    }
    let Some(card) = Card::new(32 * MIB) else {
        return;
    };
    let bytes = card.image("a.img");
    run("bmaptool create -o a.img.bmap a.img", card.folder.path());
    for pack in [
        "true",
        "zstd -q a.img",
        "xz -k -0 a.img",
        "gzip -k -1 a.img",
    ] {
        run(pack, card.folder.path());
    }
    for name in ["a.img", "a.img.zst", "a.img.xz", "a.img.gz"] {
        for map in [true, false] {
            if !map {
                fs::rename(card.at("a.img.bmap"), card.at("away")).unwrap();
            }
            let worn = fs::OpenOptions::new()
                .write(true)
                .open(card.at("card"))
                .unwrap();
            worn.write_all_at(&vec![7; 32 << 20], 0).unwrap();
            let (code, text) = card.flashed(name, &[]);
            assert_eq!(code, Some(0), "{name}: {text}");
            assert!(
                card.bytes()[..bytes.len()] == bytes[..],
                "{name}, map: {map}"
            );
            if !map {
                fs::rename(card.at("away"), card.at("a.img.bmap")).unwrap();
            }
        }
    }
}

#[test]
fn the_kernel_forgets_the_old_partitions() {
    if !have(&["addpart", "sfdisk"]) {
        return;
    }
    let Some(card) = Card::new(32 * MIB) else {
        return;
    };
    card.image("a.img");
    run(
        &format!("addpart {} 1 2048 4096", card.node),
        card.folder.path(),
    );
    let name = card.node.trim_start_matches("/dev/");
    let part = PathBuf::from(format!("/sys/class/block/{name}/{name}p1"));
    assert!(part.exists());
    let node = format!("{}p1", card.node);
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
    command.args(["flash", "a.img", &node, "--allow-fixed", "--yes"]);
    let (code, text) = said(command.current_dir(card.folder.path()));
    assert_eq!(code, Some(2), "{text}");
    tells(
        &text,
        &["is a partition of", "a whole disk", "(nothing was written)"],
    );
    let (code, text) = card.flashed("a.img", &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        !part.exists(),
        "the partition of the old table is still there"
    );
}

#[test]
fn what_will_be_lost_is_told_and_asked() {
    if !have(&["sfdisk"]) {
        return;
    }
    let Some(card) = Card::new(32 * MIB) else {
        return;
    };
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
    let (code, text) = said(&mut card.flash("a.img", &["--allow-fixed"]));
    assert_eq!(code, Some(2), "{text}");
    let words = [
        "(nothing was written)",
        "no terminal to ask on",
        ": 2.1 MB",
        ": 29 MB",
        "give --yes",
    ];
    tells(&text, &words);
    assert!(card.bytes() == before);
}

#[test]
fn a_disk_that_cannot_clear_is_read_and_cleared_where_it_must_be() {
    if !loops_are_here() {
        return;
    }
    // Files on ramfs have no holes that could be punched into them.
    let folder = tempfile::tempdir().unwrap();
    run("mount -t ramfs none .", folder.path());
    let point = folder.path().to_owned();
    let Some(card) = Card::below(folder, 32 * MIB, vec![point]) else {
        return;
    };
    let bytes = card.image("a.img");
    // Full of something at first, then with a little here and there.
    for _ in 0..2 {
        let (code, text) = card.flashed("a.img", &[]);
        assert_eq!(code, Some(0), "{text}");
        assert!(
            card.bytes()[..bytes.len()] == bytes[..],
            "the card is not the image"
        );
        let file = fs::OpenOptions::new().write(true).open(card.at("card"));
        let file = file.unwrap();
        for at in [MIB, 2 * MIB, 17 * MIB + 5, 20 * MIB] {
            file.write_all_at(&[1], at).unwrap();
        }
    }
}

#[test]
fn reading_and_clearing_a_long_hole_can_be_stopped() {
    if !loops_are_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    run("mount -t ramfs none .", folder.path());
    let told = std::panic::catch_unwind(|| stopped_in_a_hole(folder.path(), 64 * MIB));
    run(
        &format!("umount {}", folder.path().display()),
        Path::new("/"),
    );
    assert_eq!(told.unwrap(), 8192 + 4 * MIB);
}

#[test]
fn what_is_refused_is_left_as_it_was() {
    if !have(&["mkfs.ext4"]) {
        return;
    }
    let Some(card) = Card::new(16 * MIB) else {
        return;
    };
    let before = card.bytes();
    let bytes = card.image("large.img");
    image(&card.at("a.img"), 2 * MIB, 2, &[(0, 4096)]);
    fs::write(card.at("empty.img"), "").unwrap();
    fs::write(card.at("bad.img"), &bytes[..9000]).unwrap();
    fs::write(
        card.at("bad.img.sha256"),
        format!("{}  bad.img\n", "ab".repeat(32)),
    )
    .unwrap();
    fs::write(card.at("other.img"), &bytes[..8192]).unwrap();
    fs::write(card.at("other.img.bmap"), map_of(&bytes).to_xml()).unwrap();
    fs::write(card.at("torn.img"), &bytes[..8192]).unwrap();
    fs::write(
        card.at("torn.img.bmap"),
        &map_of(&bytes[..8192]).to_xml()[..300],
    )
    .unwrap();
    for (name, words) in [
        (
            "large.img",
            "is too small: it has 17 MB (16777216 bytes), the image 25 MB (25165824)",
        ),
        ("empty.img", "the image is empty"),
        (
            "bad.img",
            "not the one that bad.img.sha256 tells the hash of",
        ),
        ("other.img", "is the block map of another image"),
        ("torn.img", "read the block map torn.img.bmap"),
        ("none.img", "No such file"),
    ] {
        let (code, text) = card.flashed(name, &[]);
        assert_eq!(code, Some(2), "{name}: {text}");
        tells(&text, &["(nothing was written)", words]);
        assert_eq!(text.matches("error:").count(), 1, "{text}");
    }
    let (code, text) = said(&mut card.flash("a.img", &["--yes"]));
    assert_eq!(code, Some(2), "{text}");
    tells(&text, &["is not removable", "--allow-fixed"]);
    assert!(card.bytes() == before);
}

#[test]
fn a_mounted_card_is_unmounted_only_when_asked_to() {
    if !have(&["mkfs.ext4"]) {
        return;
    }
    let Some(card) = Card::new(32 * MIB) else {
        return;
    };
    let bytes = card.image("a.img");
    run(
        &format!("mkfs.ext4 -q -L OLD {}", card.node),
        card.folder.path(),
    );
    fs::create_dir(card.at("point")).unwrap();
    let point = card.at("point").canonicalize().unwrap();
    run(
        &format!("mount {} {}", card.node, point.display()),
        card.folder.path(),
    );
    let (code, text) = card.flashed("a.img", &[]);
    assert_eq!(code, Some(2), "{text}");
    tells(
        &text,
        &["is mounted at", point.to_str().unwrap(), "--unmount"],
    );
    // somebody works there
    let held = fs::File::create(point.join("file")).unwrap();
    let (code, text) = card.flashed("a.img", &["--unmount"]);
    assert_eq!(code, Some(3), "{text}");
    tells(&text, &["(nothing was written)", "unmount", "busy"]);
    drop(held);
    let (code, text) = card.flashed("a.img", &["--unmount"]);
    assert_eq!(code, Some(0), "{text}");
    tells(&text, &["label OLD"]);
    assert!(card.bytes()[..bytes.len()] == bytes[..]);
}

#[test]
fn a_card_that_something_else_holds_is_in_use() {
    if !have(&["unshare", "mkfs.ext4"]) {
        return;
    }
    let Some(card) = Card::new(32 * MIB) else {
        return;
    };
    card.image("a.img");
    run(&format!("mkfs.ext4 -q {}", card.node), card.folder.path());
    let before = card.bytes();
    // Mounted where we do not see it: in another mount namespace, that of a container for instance.
    let mut away = Command::new("unshare");
    away.args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg("mount \"$1\" /mnt && echo there && read -r _")
        .args(["sh", &card.node])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut away = away.spawn().unwrap();
    let mut there = [0; 6];
    std::io::Read::read_exact(away.stdout.as_mut().unwrap(), &mut there).unwrap();
    let (code, text) = card.flashed("a.img", &[]);
    drop(away.stdin.take());
    away.wait().unwrap();
    assert_eq!(code, Some(3), "{text}");
    tells(&text, &["(nothing was written)", "is in use"]);
    // Mounting writes a few bytes of its own; the image's are not there.
    assert!(card.bytes()[8 << 20..] == before[8 << 20..]);
}

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
        run(pack, card.folder.path());
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
    run("gzip -1 a.img", card.folder.path());
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
    let folder = tempfile::tempdir().unwrap();
    run("mount -t tmpfs -o size=8m none .", folder.path());
    let point = folder.path().to_owned();
    image(&folder.path().join("card"), 32 * MIB, 1, &[]);
    let Some(card) = Card::below(folder, 32 * MIB, vec![point]) else {
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

/// The kernel's own make-believe disks, which can be removable; gone with the value.
struct Scsi;

impl Scsi {
    /// `None`, said aloud, where the kernel has none: no package brings them.
    fn new() -> Option<Self> {
        let loads = loops_are_here()
            && !Path::new("/sys/bus/pseudo/drivers/scsi_debug").exists()
            && crate::find("modprobe").is_some_and(|modprobe| {
                let words = ["scsi_debug", "dev_size_mb=64", "removable=1"];
                let status = Command::new(modprobe).args(words).status();
                status.is_ok_and(|status| status.success())
            });
        if !loads {
            eprintln!("SKIPPED: this kernel has no scsi_debug, or it is in use");
        }
        loads.then(|| Self)
    }

    fn name() -> Option<String> {
        let link = |name: &String| {
            let target = fs::read_link(format!("/sys/class/block/{name}"));
            target.is_ok_and(|target| target.to_string_lossy().contains("/pseudo_"))
        };
        let names = fs::read_dir("/sys/class/block").unwrap().flatten();
        let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names.find(link)
    }
}

impl Drop for Scsi {
    fn drop(&mut self) {
        run("modprobe --remove scsi_debug", Path::new("/"));
    }
}

#[test]
fn a_removable_disk_is_listed_and_taken_as_it_is() {
    let Some(_scsi) = Scsi::new() else {
        return;
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut found = None;
    while found.is_none() && Instant::now() < deadline {
        found = Scsi::name();
    }
    let node = format!("/dev/{}", found.unwrap());
    let folder = tempfile::tempdir().unwrap();
    image(&folder.path().join("a.img"), 24 * MIB, 6, &[(0, 9 << 20)]);
    let sdbuild = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
        let command = command.arg("flash").arg("a.img").args(words);
        said(command.current_dir(folder.path()).stdin(Stdio::null()))
    };
    let (code, text) = sdbuild(&[]);
    assert_eq!(code, Some(0), "{text}");
    tells(&text, &[&node]);
    let (code, text) = sdbuild(&[&node, "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    run(
        &format!("cmp --bytes {} a.img {node}", 24 * MIB),
        folder.path(),
    );
}

#[test]
fn another_disk_under_the_same_name_is_not_taken() {
    let Some(card) = Card::new(32 * MIB) else {
        return;
    };
    card.image("a.img");
    let (cancel, events, state) = (Cancel::new(), Events::none(), State::new());
    let request = Request {
        device: card.node.clone().into(),
        allowed: Allowed {
            fixed: true,
            unmount: false,
        },
        verify: true,
    };
    let source = Source::open(&card.at("a.img")).unwrap();
    let prepared = flash::prepare(source, request, (&cancel, &events)).unwrap();
    // While the person thinks about it, the card is changed for another one of the same size.
    image(&card.at("other"), 32 * MIB, 7, &[(0, 32 << 20)]);
    let before = fs::read(card.at("other")).unwrap();
    run(
        &format!("losetup --detach {}", card.node),
        card.folder.path(),
    );
    run(&format!("losetup {} other", card.node), card.folder.path());
    let failure = prepared.run((&cancel, &events, &state)).unwrap_err();
    let told = state.told(failure, "flash").to_string();
    tells(&told, &["(nothing was written)", "is another disk now"]);
    assert!(fs::read(card.at("other")).unwrap() == before);
}

#[test]
fn only_yes_is_a_yes() {
    if !have(&["script"]) {
        return;
    }
    let Some(card) = Card::new(32 * MIB) else {
        return;
    };
    let bytes = card.image("a.img");
    let before = card.bytes();
    let sdbuild = env!("CARGO_BIN_EXE_sdbuild");
    let command = format!("{sdbuild} flash a.img {} --allow-fixed", card.node);
    for (answer, written) in [("n\n", false), ("\n", false), ("yes\n", true)] {
        // A terminal of its own.
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
        let script = script.current_dir(card.folder.path()).stdin(Stdio::piped());
        let mut child = script.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let code = if written { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{text}");
        tells(
            &text,
            &[
                &card.node,
                "no partitions",
                "All of this will be lost",
                "[y/N]",
            ],
        );
        let now = card.bytes();
        if written {
            tells(&text, &["is written and read back"]);
            assert!(now[..bytes.len()] == bytes[..]);
        } else {
            tells(&text, &["(nothing was written): you did not agree"]);
            assert!(now == before, "{answer:?}");
        }
    }
}
