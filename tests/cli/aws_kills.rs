//! Machines of a double of EC2 while sdbuild, or what holds the machine, is interrupted or killed.

use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};

use crate::aws_double::{AwsState, IN_REGION, REGION};
use crate::aws_machines::{Renter, SILENT};
use crate::support::*;

/// How often a build is killed; `SDBUILD_TEST_KILLS` sets another number.
const KILLS: u64 = 12;
/// Milliseconds until a machine runs and is connected to, and some more.
const WITHIN: u64 = 1500;

/// The signal goes to all processes that the terminal would send it to.
#[test]
fn a_signal_while_a_machine_is_used_gives_it_back() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let renter = Renter::new(SILENT);
        let mut running = Running::start(renter.build().process_group(0));
        running.wait_until("it connects", || !renter.ssh_calls().is_empty());
        killpg(running.pid(), signal).unwrap();
        let outcome = running.finish();
        assert_eq!(outcome.signal, Some(signal as i32), "{}", outcome.stderr);
        if signal == Signal::SIGKILL {
            renter.wait_until_given_back();
        }
        renter.assert_nothing_left();
        assert_eq!(renter.started().len(), 1, "{signal}");
    }
}

/// What this process has made is removed by its id.
#[test]
fn what_no_list_has_yet_is_given_back() {
    let renter = Renter::new(SILENT);
    {
        let machines = &mut renter.double.state().machines;
        (machines.unseen, machines.late_group) = (1000, 3);
    }
    let running = Running::start(&mut renter.build());
    let double = &renter.double;
    double.wait_until(|state| state.count("RunInstances") == 1);
    double.wait_until(|state| state.count("DescribeInstances") > 1);
    running.signal(Signal::SIGTERM);
    running.finish();
    assert_eq!(renter.started().len(), 1);
    renter.assert_nothing_left();
}

/// The machine ends by itself, and what is left of it is free of charge.
#[test]
fn what_nobody_can_give_back_ends_with_its_lease() {
    let renter = Renter::new(SILENT);
    let running = renter.connecting();
    renter.kill_all(running);
    assert_eq!(renter.records().len(), 2, "a record and a key");
    assert_eq!(renter.double.state().machines.live(), 1);
    let mut sweep = renter.user.sdbuild(&["clean", "--cloud", "--yes"]);
    let kept = run(&mut sweep).assert_exit_code(0);
    assert!(kept.stderr.contains("nothing to remove"), "{}", kept.stderr);
    assert!(kept.stderr.contains("has a machine until 20"), "{}", kept.stderr);
    renter.double.state().machines.let_leases_end();
    let mut listed = renter.user.sdbuild(&["clean", "--cloud", "--dry-run"]);
    let listed = run(&mut listed).assert_exit_code(0);
    assert!(listed.stdout.contains("security group sg-0"), "{}", listed.stdout);
    assert_eq!(renter.double.state().machines.live(), 0, "by itself");
    run(&mut sweep).assert_exit_code(0);
    assert_eq!(renter.left(), [""; 0]);
    // The record is for this machine's own `clean` and `build`.
    run(&mut renter.user.sdbuild(&["build"])).assert_stderr_contains(&["gave back machine i-0"]);
    renter.assert_nothing_left();
}

#[test]
fn what_a_killed_run_left_is_given_back_by_the_next_build() {
    let renter = Renter::new(SILENT);
    let running = renter.connecting();
    renter.kill_all(running);
    // Another region and other words for the same account: the record knows where the machine is.
    let mut build = renter.user.sdbuild(&["build"]);
    let next = run(build.env("AWS_REGION", "us-east-1")).assert_exit_code(3);
    assert!(next.stderr.contains("which a stale run left"), "{}", next.stderr);
    renter.assert_nothing_left();
}

/// A build that rents nothing tells what it waits for, and does not wait for long.
#[test]
fn a_stale_rental_delays_a_build_visibly_and_not_for_long() {
    let renter = Renter::new(SILENT);
    let running = renter.connecting();
    renter.kill_all(running);
    renter.double.state().faults.hang_after = Some(("TerminateInstances", 0));
    let started = std::time::Instant::now();
    let late = run(&mut renter.user.sdbuild(&["build"])).assert_exit_code(3);
    let words = late.stderr.replace('\n', " ");
    assert!(words.contains("it takes longer than 30 s"), "{}", late.stderr);
    assert!(words.contains("Give back"), "{}", late.stderr);
    assert!(started.elapsed() < Duration::from_secs(90));
    renter.double.state().faults.hang_after = None;
    run(&mut renter.user.sdbuild(&["build"])).assert_exit_code(3);
    renter.assert_nothing_left();
}

/// Its machine is not found with the credentials of another account: that must not count as given back.
#[test]
fn a_rental_is_not_looked_for_in_another_account() {
    let renter = Renter::new(SILENT);
    let running = renter.connecting();
    renter.kill_all(running);
    renter.double.state().account = Some("999999999999");
    let refused = run(&mut renter.user.sdbuild(&["build"])).assert_exit_code(3);
    let words = refused.stderr.replace('\n', " ");
    for part in [
        "a stale run left machine i-0",
        "rented with the AWS account 123456789012",
        "those of 999999999999",
    ] {
        assert!(words.contains(part), "{part}\n{}", refused.stderr);
    }
    assert_eq!(renter.records().len(), 2, "a record and a key");
    assert_eq!(renter.double.state().machines.live(), 1);
    renter.double.state().account = None;
    run(&mut renter.user.sdbuild(&["build"])).assert_exit_code(3);
    renter.assert_nothing_left();
}

/// Only what has the tag of a run is removed, and only snapshots that nobody sends to.
#[test]
fn clean_removes_nothing_of_others() {
    use crate::aws_double::machines::{StoredGroup, StoredVolume};
    let renter = Renter::new(SILENT);
    {
        let mut state = renter.double.state();
        state.faults.ignores_filters = true;
        let foreign = StoredGroup { name: "sdbuild-0123456789ab".into(), ..StoredGroup::default() };
        state.machines.groups.insert("sg-foreign".into(), foreign);
        let volume = |tag: &str| StoredVolume {
            tags: [(tag.to_owned(), "0123456789ab".to_owned())].into(),
            is_free: true,
        };
        state.machines.volumes.insert("vol-foreign".into(), volume("Name"));
        state.machines.volumes.insert("vol-ours".into(), volume("sdbuild:run"));
        // Somebody may go on with one that is pending, however old it is.
        for (id, started, is) in [
            ("snap-old", "2026-01-01T00:00:00.000Z", "completed"),
            ("snap-new", "2126-01-01T00:00:00.000Z", "completed"),
            ("snap-pending", "2026-01-01T00:00:00.000Z", "pending"),
        ] {
            let snapshot = state.snapshots.entry(id.into()).or_default();
            snapshot.state = is.into();
            snapshot.started = started.into();
            snapshot.tags = vec![("sdbuild:sha256".into(), "x".into())];
        }
    }
    let mut ask = renter.user.sdbuild(&["clean", "--cloud"]);
    run(&mut ask).assert_exit_code(2).assert_stderr_contains(&["--yes"]);
    let mut clean = renter.user.sdbuild(&["clean", "--cloud", "--yes"]);
    let cleaned = run(&mut clean).assert_exit_code(0);
    assert!(cleaned.stdout.contains("vol-ours"), "{}", cleaned.stdout);
    assert_eq!(renter.left(), ["sg-foreign", "vol-foreign"]);
    let state = renter.double.state();
    let kept: Vec<_> = state.snapshots.keys().collect();
    assert_eq!(kept, ["snap-new", "snap-pending"]);
    assert_eq!(state.mistakes, [""; 0]);
}

/// It was found without an image, and has one when the question is answered.
#[test]
fn clean_looks_again_before_it_deletes_a_snapshot() {
    let renter = Renter::new(SILENT);
    let stored = |state: &mut AwsState, id: &str| {
        let snapshot = state.snapshots.entry(id.into()).or_default();
        snapshot.state = "completed".into();
        snapshot.started = "2026-01-01T00:00:00.000Z".into();
        snapshot.tags = vec![("sdbuild:sha256".into(), "x".into())];
    };
    stored(&mut renter.double.state(), "snap-free");
    stored(&mut renter.double.state(), "snap-used");
    let clean = renter.user.sdbuild(&["clean", "--cloud"]);
    let mut screen = Screen::start(&clean, (100, 24));
    screen.wait_for("[y/N]");
    let image = [
        ("BlockDeviceMapping.1.Ebs.SnapshotId", "snap-used"),
        ("Name", "mine"),
        ("Architecture", "arm64"),
        (IN_REGION, REGION),
    ];
    let image = image.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut state = renter.double.state();
    state.images.insert("ami-1".into(), image.into());
    drop(state);
    screen.type_keys("y\n");
    screen.assert_exit_code(0);
    let state = renter.double.state();
    let kept: Vec<_> = state.snapshots.keys().collect();
    assert_eq!(kept, ["snap-used"]);
    assert_eq!(state.mistakes, [""; 0]);
}

/// Whenever it is, and whatever is killed: after the lease, and a `clean`, nothing is there.
#[test]
fn nothing_stays_at_aws_whenever_a_build_is_killed() {
    let kills = std::env::var("SDBUILD_TEST_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(kills);
    let renter = Renter::new(SILENT);
    let signals = [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM];
    for step in 0..kills {
        // Of runs that were killed with what holds their machine.
        let before = renter.left();
        let running = Running::start(&mut renter.build());
        std::thread::sleep(Duration::from_millis(random.u64(0..WITHIN)));
        if step % 4 == 3 {
            renter.kill_all(running);
            continue;
        }
        let signal = signals[usize::try_from(step % 4).unwrap()];
        running.signal(signal);
        let outcome = running.finish();
        // It may have been giving back what the run before left.
        let is_told = outcome.stderr.contains("not removed: machine");
        let is_expected = outcome.signal == Some(signal as i32) || is_told;
        assert!(is_expected, "{}", outcome.stderr);
        // Those that were given back are gone without any lease.
        wait_until(Duration::from_mins(1), "it is given back", || renter.holder().is_none());
        let mut left = renter.left();
        left.retain(|id| !before.contains(id));
        assert_eq!(left, [""; 0], "after {signal}, step {step}");
    }
    let (started, live) = {
        let mut state = renter.double.state();
        let started = state.machines.instances.len();
        let live = state.machines.live();
        state.machines.let_leases_end();
        (started, live)
    };
    eprintln!("{kills} kills, {started} machines, {live} left to their leases");
    assert!(started > 0);
    run(&mut renter.user.sdbuild(&["clean", "--cloud", "--yes"])).assert_exit_code(0);
    assert_eq!(renter.left(), [""; 0]);
    assert_eq!(renter.double.state().mistakes, [""; 0]);
    run(&mut renter.user.sdbuild(&["build"])).assert_exit_code(3);
    renter.assert_nothing_left();
}
