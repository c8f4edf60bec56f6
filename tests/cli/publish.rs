//! `sdbuild publish` against a double of AWS.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::aws_double::{AwsDouble, BLOCK, Faults, SECRET};
use crate::support::*;
use crate::user;

/// Blocks of the disk. `scripts/publish-trial` takes more.
fn blocks() -> u64 {
    std::env::var("SDBUILD_PUBLISH_BLOCKS").map_or(200, |text| text.parse().unwrap())
}

/// Those of them that are not all zeros, with the first and the last one, where the partition tables are.
const FILLED: [u64; 12] = [5, 6, 7, 8, 40, 60, 61, 62, 100, 120, 150, 151];

/// A user of the account of `double`, and a sparse disk with a GPT.
pub fn publisher(double: &AwsDouble) -> (TestUser, PathBuf) {
    let mut user = user();
    for (name, value) in double.variables() {
        user = user.with(name, value);
    }
    let path = user.home.path().join("nixos-kit-aarch64-linux.img");
    let file = File::create(&path).unwrap();
    file.set_len(blocks() * BLOCK as u64).unwrap();
    let mut sfdisk = Command::new("sfdisk")
        .arg("-q")
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    sfdisk
        .stdin
        .take()
        .unwrap()
        .write_all(b"label: gpt\nstart=2048, type=linux\n")
        .unwrap();
    assert!(sfdisk.wait().unwrap().success());
    for index in FILLED {
        file.write_all_at(&index.to_le_bytes(), index * BLOCK as u64 + 77)
            .unwrap();
    }
    (user, path)
}

/// Blocks with the partition tables, the first and the last one, and those that are filled.
pub fn expected() -> Vec<u64> {
    let mut all: Vec<u64> = [0]
        .into_iter()
        .chain(FILLED)
        .chain([blocks() - 1])
        .collect();
    all.sort_unstable();
    all
}

pub fn publish(user: &TestUser, more: &[&str]) -> Outcome {
    run(user.sdbuild(&["publish", "aws", "--yes"]).args(more))
}

#[test]
fn a_sparse_disk_becomes_an_image() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let dry = publish(&user, &["--dry-run"]).assert_exit_code(0);
    let sends = "nixos-kit-aarch64-linux (arm64) in eu-central-1: sends 7.3 MB of ";
    assert!(dry.stderr.contains(sends), "{}", dry.stderr);
    assert_eq!(double.state().calls, [""; 0]);
    let first = publish(&user, &[]).assert_exit_code(0);
    {
        let state = double.state();
        assert_eq!(state.mistakes, [""; 0]);
        let snapshot = state.snapshots.values().next().unwrap();
        assert_eq!(snapshot.state, "completed");
        assert_eq!(
            snapshot.blocks.keys().copied().collect::<Vec<_>>(),
            expected()
        );
        assert!(snapshot.blocks.values().all(|(times, _)| *times == 1));
        let image = &state.images[first.stdout.trim()];
        for (key, value) in [
            ("Architecture", "arm64"),
            ("BootMode", "uefi"),
            ("EnaSupport", "true"),
            ("ImdsSupport", "v2.0"),
            ("RootDeviceName", "/dev/xvda"),
            ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
            ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
            ("VirtualizationType", "hvm"),
        ] {
            assert_eq!(image[key], value, "{key}");
        }
    }
    for text in [&first, &dry] {
        assert!(!format!("{}{}", text.stdout, text.stderr).contains(SECRET));
    }
}

#[test]
fn the_same_image_is_published_once() {
    let double = AwsDouble::start();
    let (user, path) = publisher(&double);
    let first = publish(&user, &[]).assert_exit_code(0);
    let again = publish(&user, &[]).assert_exit_code(0);
    assert_eq!(again.stdout, first.stdout);
    assert!(
        again.stderr.contains("was published before"),
        "{}",
        again.stderr
    );
    assert_eq!(double.state().count("StartSnapshot"), 1);
    // Another disk with the same name.
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all_at(b"x", 9 * BLOCK as u64)
        .unwrap();
    publish(&user, &[])
        .assert_exit_code(2)
        .assert_stderr_contains(&[
            "has a different image called nixos-kit-aarch64-linux",
            "sdbuild publish remove ami-",
        ]);
}

#[test]
fn a_killed_upload_goes_on_without_sending_a_block_twice() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    double.state().faults.hang_after = Some(("PutSnapshotBlock", 6));
    let running = Running::start(
        user.sdbuild(&["publish", "aws", "--yes"])
            .env_remove("SDBUILD_LOG"),
    );
    let all = expected().len();
    double.wait_until(|state| state.count("PutSnapshotBlock") == all);
    // Time to write down the six that were answered.
    let records = user.state.path().join(".local/state/sdbuild/snapshots");
    let lines = || {
        let record = std::fs::read_dir(&records)
            .unwrap()
            .flatten()
            .next()
            .unwrap();
        std::fs::read_to_string(record.path())
            .unwrap()
            .matches("\"Sent\"")
            .count()
    };
    let started = Instant::now();
    while lines() < 6 {
        assert!(started.elapsed().as_secs() < 30, "{} blocks", lines());
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal(Signal::SIGKILL);
    running.finish();
    let listed = run(&mut user.sdbuild(&["publish", "list"])).assert_exit_code(0);
    listed.assert_stderr_contains(&[
        "unfinished in eu-central-1: nixos-kit-aarch64-linux (snap-",
        "6 blocks sent",
    ]);
    double.state().faults = Faults::default();
    publish(&user, &[]).assert_exit_code(0);
    let state = double.state();
    assert_eq!(state.mistakes, [""; 0]);
    assert_eq!(
        (
            state.count("StartSnapshot"),
            state.snapshots.len(),
            state.images.len()
        ),
        (1, 1, 1)
    );
    let snapshot = state.snapshots.values().next().unwrap();
    assert_eq!(
        snapshot.blocks.keys().copied().collect::<Vec<_>>(),
        expected()
    );
    assert!(
        snapshot.blocks.values().all(|(times, _)| *times == 1),
        "{:?}",
        snapshot.blocks.keys()
    );
    assert_eq!(
        std::fs::read_dir(&records).unwrap().count(),
        0,
        "no record is left"
    );
}

#[test]
fn an_image_that_changes_meanwhile_is_not_published() {
    let double = AwsDouble::start();
    let (user, path) = publisher(&double);
    double.state().faults.delay = Duration::from_millis(100);
    let running = Running::start(&mut user.sdbuild(&["publish", "aws", "--yes"]));
    double.wait_until(|state| state.count("DescribeImages") == 1);
    let disk = File::options().write(true).open(&path).unwrap();
    disk.write_all_at(b"x", 160 * BLOCK as u64).unwrap();
    let outcome = running.finish().assert_exit_code(3);
    let changed = outcome
        .stderr
        .contains("the image changed while it was sent");
    assert!(changed, "{}", outcome.stderr);
    let there = || {
        let state = double.state();
        (state.snapshots.len(), state.images.len())
    };
    assert_eq!(there(), (0, 0));
    publish(&user, &[]).assert_exit_code(0);
    assert_eq!(there(), (1, 1));
}

/// Kills at calls that follow from a seed, before AWS does what the call says or after, until image and copy are there: one snapshot, one
/// image in each region, and no record. `SDBUILD_PUBLISH_KILLS` says how many.
#[test]
fn kills_at_any_call_leave_one_image() {
    let seed: u64 = std::env::var("SDBUILD_FAULTS_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4711);
    println!("SDBUILD_FAULTS_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let kills = std::env::var("SDBUILD_PUBLISH_KILLS").map_or(15, |text| text.parse().unwrap());
    let words = ["--share", "123456789012", "--copy-to", "us-east-1"];
    for _ in 0..kills {
        let at = double.state().calls.len() + random.usize(1..30);
        double.state().faults.stop_at = Some((at, random.bool()));
        let running = Running::start(user.sdbuild(&["publish", "aws", "--yes"]).args(words));
        // It may come to its end before.
        while double.state().calls.len() < at && !running.is_ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
        running.signal(Signal::SIGKILL);
        running.finish();
        double.state().faults = Faults::default();
        if random.u8(0..8) == 0 {
            // The state directory is lost too.
            std::fs::remove_dir_all(user.state.path().join(".local")).ok();
        }
    }
    publish(&user, &words).assert_exit_code(0);
    let state = double.state();
    assert_eq!(state.mistakes, [""; 0]);
    assert_eq!((state.snapshots.len(), state.images.len()), (1, 2));
    let snapshot = state.snapshots.values().next().unwrap();
    let sent: Vec<u64> = snapshot.blocks.keys().copied().collect();
    assert_eq!((snapshot.state.as_str(), sent), ("completed", expected()));
    // There is no such directory if it was lost when everything was done.
    let records = user.state.path().join(".local/state/sdbuild/snapshots");
    let records = std::fs::read_dir(&records).map_or(0, Iterator::count);
    assert_eq!(records, 0);
}

/// Such a call was done: it is not an error that it cannot be done again.
#[test]
fn lost_answers_cost_nothing() {
    for call in ["StartSnapshot", "CompleteSnapshot", "RegisterImage"] {
        let double = AwsDouble::start();
        let (user, _) = publisher(&double);
        double.state().faults.lose_answer_to = Some(call);
        // What AWS completes is pending for a while.
        double.state().faults.slow_completion = 1;
        publish(&user, &[]).assert_exit_code(0);
        let state = double.state();
        assert_eq!(
            (state.count(call), state.snapshots.len(), state.images.len()),
            (2, 1, 1),
            "{call}"
        );
        let records = user.state.path().join(".local/state/sdbuild/snapshots");
        assert_eq!(std::fs::read_dir(&records).unwrap().count(), 0, "{call}");
    }
}

#[test]
fn throttled_failing_and_cut_calls_are_repeated() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    double.state().faults.every = Some(5);
    publish(&user, &[]).assert_exit_code(0);
    let state = double.state();
    assert_eq!(state.mistakes, [""; 0]);
    let snapshot = state.snapshots.values().next().unwrap();
    assert_eq!(
        snapshot.blocks.keys().copied().collect::<Vec<_>>(),
        expected()
    );
    assert!(state.count("PutSnapshotBlock") > expected().len());
}

#[test]
fn refusals_are_explained() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let refused = |fault: (u16, &'static str, &'static str), parts: &[&str]| {
        double.state().faults.refuse = Some(fault);
        publish(&user, &[])
            .assert_exit_code(3)
            .assert_stderr_contains(parts);
    };
    refused(
        (
            400,
            "ExpiredToken",
            "The security token included in the request is expired",
        ),
        &["credentials have expired", "aws sso login"],
    );
    refused(
        (403, "UnauthorizedOperation", "You are not authorized"),
        &["DescribeImages", "docs/publishing.md"],
    );
    refused(
        (
            400,
            "RequestExpired",
            "Signature expired: 1 is now earlier than 2",
        ),
        &["this machine's clock is wrong"],
    );
    double.state().faults = Faults {
        padding: 9 << 20,
        ..Faults::default()
    };
    publish(&user, &[])
        .assert_exit_code(3)
        .assert_stderr_contains(&["more than 8388608 bytes"]);
}

#[test]
fn what_was_published_is_removed_and_nothing_else() {
    let double = AwsDouble::start();
    let (user, path) = publisher(&double);
    // An upload that is given up.
    double.state().faults = Faults {
        hang_after: Some(("CompleteSnapshot", 0)),
        ..Faults::default()
    };
    let running = Running::start(&mut user.sdbuild(&["publish", "aws", "--yes"]));
    double.wait_until(|state| state.count("CompleteSnapshot") == 1);
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().signal, Some(Signal::SIGINT as i32));
    double.state().faults = Faults::default();
    let id = double.state().snapshots.keys().next().unwrap().clone();
    run(&mut user.sdbuild(&["publish", "remove", &id]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["--yes"]);
    run(&mut user.sdbuild(&["publish", "remove", "--yes", &id])).assert_exit_code(0);
    assert!(double.state().snapshots.is_empty());
    let listed = run(&mut user.sdbuild(&["publish", "list"])).assert_exit_code(0);
    assert!(!listed.stderr.contains("unfinished"), "{}", listed.stderr);
    // Published and removed.
    let image = publish(&user, &["--name", "kit 1"])
        .assert_exit_code(0)
        .stdout;
    let listed = run(&mut user.sdbuild(&["publish", "list"])).assert_exit_code(0);
    assert!(listed.stdout.contains(" kit 1\n"), "{}", listed.stdout);
    run(&mut user.sdbuild(&["publish", "remove", "--yes", image.trim()])).assert_exit_code(0);
    assert!(double.state().images.is_empty() && double.state().snapshots.is_empty());
    // Killed between the two steps of a removal, elsewhere.
    let image = publish(&user, &["--name", "kit 2"])
        .assert_exit_code(0)
        .stdout;
    double.state().images.remove(image.trim()).unwrap();
    let listed = run(&mut user.sdbuild(&["publish", "list"])).assert_exit_code(0);
    listed.assert_stderr_contains(&["without an image: snap-"]);
    let id = double.state().snapshots.keys().next().unwrap().clone();
    run(&mut user.sdbuild(&["publish", "remove", "--yes", &id])).assert_exit_code(0);
    // Of somebody else's making.
    let image = publish(&user, &["--name", "theirs"])
        .assert_exit_code(0)
        .stdout;
    let tag = "TagSpecification.1.Tag.2.Key".to_owned();
    let theirs = double
        .state()
        .images
        .get_mut(image.trim())
        .unwrap()
        .insert(tag, "other".into());
    assert_eq!(theirs.as_deref(), Some("sdbuild:sha256"));
    run(&mut user.sdbuild(&["publish", "remove", "--yes", image.trim()]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["was not published by sdbuild"]);
    assert_eq!(double.state().images.len(), 1);
    // No disk.
    std::fs::write(&path, "no disk").unwrap();
    publish(&user, &[])
        .assert_exit_code(2)
        .assert_stderr_contains(&["--format amazon"]);
}
