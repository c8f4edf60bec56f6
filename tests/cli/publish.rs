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

/// Blocks of the disk, and those of them that are not all zeros: the first two, the last one, and some in the middle.
const BLOCKS: u64 = 200;
const FILLED: [u64; 12] = [5, 6, 7, 8, 40, 60, 61, 62, 100, 120, 150, 151];

/// A user of the account of `double`, and a sparse disk with a GPT.
fn publisher(double: &AwsDouble) -> (TestUser, PathBuf) {
    let mut user = user();
    for (name, value) in double.variables() {
        user = user.with(name, value);
    }
    let path = user.home.path().join("nixos-kit-aarch64-linux.img");
    let file = File::create(&path).unwrap();
    file.set_len(BLOCKS * BLOCK as u64).unwrap();
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
fn expected() -> Vec<u64> {
    let mut all: Vec<u64> = [0].into_iter().chain(FILLED).chain([BLOCKS - 1]).collect();
    all.sort_unstable();
    all
}

fn publish(user: &TestUser, more: &[&str]) -> Outcome {
    run(user.sdbuild(&["publish", "aws", "--yes"]).args(more))
}

#[test]
fn a_sparse_disk_becomes_an_image() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let dry = publish(&user, &["--dry-run"]).assert_exit_code(0);
    let sends = "nixos-kit-aarch64-linux (arm64) in eu-central-1: sends 7.3 MB of 105 MB; a volume has 1 GiB;";
    assert!(dry.stderr.contains(sends), "{}", dry.stderr);
    assert_eq!(double.state().calls, [""; 0]);
    let words = [
        "--share",
        "123456789012",
        "--copy-to",
        "us-east-1",
        "--deprecate-after",
        "90",
    ];
    let first = publish(&user, &words).assert_exit_code(0);
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
        assert_eq!(
            (
                state.count("ModifyImageAttribute"),
                state.count("EnableImageDeprecation")
            ),
            (1, 1)
        );
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
            "has another image called nixos-kit-aarch64-linux",
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

/// Kills at moments that follow from a seed, until the image is there: one snapshot, one image, and no record.
#[test]
fn kills_at_any_moment_leave_one_image() {
    let seed: u64 = std::env::var("SDBUILD_FAULTS_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4711);
    println!("SDBUILD_FAULTS_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    double.state().faults.delay = Duration::from_millis(20);
    let kills = 15;
    for _ in 0..kills {
        let running = Running::start(&mut user.sdbuild(&["publish", "aws", "--yes"]));
        std::thread::sleep(Duration::from_millis(random.u64(50..400)));
        running.signal(Signal::SIGKILL);
        running.finish();
    }
    publish(&user, &[]).assert_exit_code(0);
    let state = double.state();
    assert_eq!(state.mistakes, [""; 0]);
    assert_eq!((state.snapshots.len(), state.images.len()), (1, 1));
    let snapshot = state.snapshots.values().next().unwrap();
    let sent: Vec<u64> = snapshot.blocks.keys().copied().collect();
    assert_eq!((snapshot.state.as_str(), sent), ("completed", expected()));
    let records = user.state.path().join(".local/state/sdbuild/snapshots");
    assert_eq!(std::fs::read_dir(&records).unwrap().count(), 0);
}

/// Such a call was done: it is not an error that it cannot be done again.
#[test]
fn lost_answers_cost_nothing() {
    for call in ["StartSnapshot", "CompleteSnapshot", "RegisterImage"] {
        let double = AwsDouble::start();
        let (user, _) = publisher(&double);
        double.state().faults.lose_answer_to = Some(call);
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
        &["hint: "],
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

#[test]
fn credentials_come_from_where_awss_tools_have_them() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let write = |name: &str, text: &str| {
        std::fs::write(user.state.path().join(".aws").join(name), text).unwrap();
    };
    let list = |more: &[&str]| {
        let mut list = user.sdbuild(&["publish", "list"]);
        list.args(more)
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_REGION")
            .env("PATH", "/usr/bin:/bin");
        run(&mut list)
    };
    list(&[])
        .assert_exit_code(2)
        .assert_stderr_contains(&["no region of AWS is known"]);
    list(&["--region", "eu-central-1"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["no credentials of AWS", "AWS_ACCESS_KEY_ID"]);
    list(&["--profile", "team"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["no profile team"]);
    std::fs::create_dir(user.state.path().join(".aws")).unwrap();
    write(
        "credentials",
        &format!("[team]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {SECRET}\n"),
    );
    write(
        "config",
        "[profile team]\nregion = eu-central-1\n[profile process]\nregion = eu-central-1\ncredential_process = printer \"a b\"\n",
    );
    list(&["--profile", "team"]).assert_exit_code(0);
    let printer = user.home.path().join("printer");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = 'a b' ] || exit 1\necho '{{\"Version\": 1, \"AccessKeyId\": \"AKIDEXAMPLE\", \"SecretAccessKey\": \"{SECRET}\"}}'\n"
    );
    std::fs::write(&printer, text).unwrap();
    std::fs::set_permissions(
        &printer,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let config = format!(
        "[profile process]\nregion = eu-central-1\ncredential_process = {} \"a b\"\n",
        printer.display().to_string().replace(' ', "\\ ")
    );
    write("config", &config);
    list(&["--profile", "process"]).assert_exit_code(0);
    write("config", &format!("[profile team]\n{SECRET}\n"));
    let damaged = list(&["--profile", "team"]).assert_exit_code(2);
    assert!(
        damaged.stderr.contains("KEY = VALUE") && !damaged.stderr.contains(SECRET),
        "{}",
        damaged.stderr
    );
    assert_eq!(double.state().mistakes, [""; 0]);
}
