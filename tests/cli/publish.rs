//! `sdbuild publish` against a double of AWS.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::aws_double::{AwsDouble, BLOCK, Faults, SECRET};
use crate::support::*;
use crate::user;

/// Blocks of the disk. `scripts/publish-trial` takes more.
pub fn blocks() -> u64 {
    std::env::var("SDBUILD_PUBLISH_BLOCKS").map_or(200, |text| text.parse().unwrap())
}

/// Those of them that are not all zeros, with the first and the last one, where the partition tables are.
pub const FILLED: [u64; 12] = [5, 6, 7, 8, 40, 60, 61, 62, 100, 120, 150, 151];

/// A user of the account of `double`, and a sparse disk with a GPT.
pub fn publisher(double: &AwsDouble) -> (TestUser, PathBuf) {
    let mut user = user();
    for (name, value) in double.variables() {
        user = user.with(name, value);
    }
    let path = user.home.path().join("nixos-kit-aarch64-linux.img");
    let file = File::create(&path).unwrap();
    file.set_len(blocks() * BLOCK as u64).unwrap();
    let mut sfdisk =
        Command::new("sfdisk").arg("-q").arg(&path).stdin(Stdio::piped()).spawn().unwrap();
    sfdisk.stdin.take().unwrap().write_all(b"label: gpt\nstart=2048, type=linux\n").unwrap();
    assert!(sfdisk.wait().unwrap().success());
    for index in FILLED {
        file.write_all_at(&index.to_le_bytes(), index * BLOCK as u64 + 77).unwrap();
    }
    (user, path)
}

/// Blocks with the partition tables, the first and the last one, and those that are filled.
pub fn expected() -> Vec<u64> {
    let mut all: Vec<u64> = [0].into_iter().chain(FILLED).chain([blocks() - 1]).collect();
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
        assert_eq!(snapshot.blocks.keys().copied().collect::<Vec<_>>(), expected());
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
    assert!(again.stderr.contains("was published before"), "{}", again.stderr);
    assert_eq!(double.state().count("StartSnapshot"), 1);
    // Another disk with the same name.
    File::options().write(true).open(&path).unwrap().write_all_at(b"x", 9 * BLOCK as u64).unwrap();
    publish(&user, &[]).assert_exit_code(2).assert_stderr_contains(&[
        "has a different image called nixos-kit-aarch64-linux",
        "sdbuild publish remove ami-",
    ]);
}

#[test]
fn what_was_published_is_removed_and_nothing_else() {
    let double = AwsDouble::start();
    let (user, path) = publisher(&double);
    // An upload that is given up.
    double.state().faults =
        Faults { hang_after: Some(("CompleteSnapshot", 0)), ..Faults::default() };
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
    let image = publish(&user, &["--name", "kit 1"]).assert_exit_code(0).stdout;
    let listed = run(&mut user.sdbuild(&["publish", "list"])).assert_exit_code(0);
    assert!(listed.stdout.contains(" kit 1\n"), "{}", listed.stdout);
    run(&mut user.sdbuild(&["publish", "remove", "--yes", image.trim()])).assert_exit_code(0);
    assert!(double.state().images.is_empty() && double.state().snapshots.is_empty());
    // Killed between the two steps of a removal, elsewhere.
    let image = publish(&user, &["--name", "kit 2"]).assert_exit_code(0).stdout;
    double.state().images.remove(image.trim()).unwrap();
    let listed = run(&mut user.sdbuild(&["publish", "list"])).assert_exit_code(0);
    listed.assert_stderr_contains(&["without an image: snap-"]);
    let id = double.state().snapshots.keys().next().unwrap().clone();
    run(&mut user.sdbuild(&["publish", "remove", "--yes", &id])).assert_exit_code(0);
    // Of somebody else's making.
    let image = publish(&user, &["--name", "theirs"]).assert_exit_code(0).stdout;
    let tag = "TagSpecification.1.Tag.2.Key".to_owned();
    let theirs = double.state().images.get_mut(image.trim()).unwrap().insert(tag, "other".into());
    assert_eq!(theirs.as_deref(), Some("sdbuild:sha256"));
    run(&mut user.sdbuild(&["publish", "remove", "--yes", image.trim()]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["was not published by sdbuild"]);
    assert_eq!(double.state().images.len(), 1);
    // No disk.
    std::fs::write(&path, "no disk").unwrap();
    publish(&user, &[]).assert_exit_code(2).assert_stderr_contains(&["--format amazon"]);
}
