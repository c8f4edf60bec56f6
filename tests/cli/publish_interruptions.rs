//! `publish aws` while it is killed, its calls fail or are lost, or the image changes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::aws_double::{AwsDouble, BLOCK, Faults};
use crate::publish::*;
use crate::support::*;

#[test]
fn a_killed_upload_goes_on_without_sending_a_block_twice() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    double.state().faults.hang_after = Some(("PutSnapshotBlock", 6));
    let running =
        Running::start(user.sdbuild(&["publish", "aws", "--yes"]).env_remove("SDBUILD_LOG"));
    let all = expected().len();
    double.wait_until(|state| state.count("PutSnapshotBlock") == all);
    // Time to write down the six that were answered.
    let records = user.state.path().join(".local/state/sdbuild/snapshots");
    let lines = || {
        let record = std::fs::read_dir(&records).unwrap().flatten().next().unwrap();
        std::fs::read_to_string(record.path()).unwrap().matches("\"Sent\"").count()
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
        (state.count("StartSnapshot"), state.snapshots.len(), state.images.len()),
        (1, 1, 1)
    );
    let snapshot = state.snapshots.values().next().unwrap();
    assert_eq!(snapshot.blocks.keys().copied().collect::<Vec<_>>(), expected());
    assert!(snapshot.blocks.values().all(|(times, _)| *times == 1), "{:?}", snapshot.blocks.keys());
    assert_eq!(std::fs::read_dir(&records).unwrap().count(), 0, "no record is left");
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
    let changed = outcome.stderr.contains("the image changed while it was sent");
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
    assert_eq!(snapshot.blocks.keys().copied().collect::<Vec<_>>(), expected());
    assert!(state.count("PutSnapshotBlock") > expected().len());
}
