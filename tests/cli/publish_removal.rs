//! `sdbuild publish remove` and `list`: where they look, and what they do not lose.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use crate::aws_double::{AwsDouble, Faults};
use crate::publish::{publish, publisher};
use crate::support::*;

fn records(user: &TestUser) -> Vec<PathBuf> {
    let dir = user.state.path().join(".local/state/sdbuild/snapshots");
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Begins an upload that stops before its end.
fn stopped_upload(double: &AwsDouble, user: &TestUser) -> Running {
    stopped_at("CompleteSnapshot", double, user)
}

/// Begins an upload that stops at `call`.
fn stopped_at(call: &'static str, double: &AwsDouble, user: &TestUser) -> Running {
    let before = double.state().count(call);
    double.state().faults.hang_after = Some((call, before));
    let running = Running::start(&mut user.sdbuild(&["publish", "aws", "--yes"]));
    double.wait_until(|state| state.count(call) > before);
    running
}

fn killed(running: Running, double: &AwsDouble) {
    running.signal(Signal::SIGKILL);
    running.finish();
    double.state().faults = Faults::default();
}

/// The same, killed; returns the snapshot.
fn killed_upload(double: &AwsDouble, user: &TestUser) -> String {
    killed(stopped_upload(double, user), double);
    double.state().snapshots.keys().next().unwrap().clone()
}

fn remove(user: &TestUser, words: &[&str]) -> Outcome {
    run(user.sdbuild(&["publish", "remove"]).args(words))
}

fn list(user: &TestUser) -> String {
    run(&mut user.sdbuild(&["publish", "list"])).assert_exit_code(0).stderr
}

#[test]
fn a_removal_whose_answer_is_lost_goes_on() {
    for call in ["DeregisterImage", "DeleteSnapshot"] {
        let double = AwsDouble::start();
        let (user, _) = publisher(&double);
        let image = publish(&user, &[]).assert_exit_code(0).stdout;
        double.state().faults.lose_answer_to = Some(call);
        remove(&user, &["--yes", image.trim()]).assert_exit_code(0);
        let state = double.state();
        assert_eq!(state.count(call), 2);
        assert!(state.images.is_empty() && state.snapshots.is_empty());
    }
}

/// Killed between its two calls, and afterwards: AWS needs a moment to notice that the image is gone.
#[test]
fn a_killed_removal_is_completed_by_the_same_command() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let image = publish(&user, &[]).assert_exit_code(0).stdout;
    let image = image.trim();
    double.state().faults.hang_after = Some(("DeleteSnapshot", 0));
    let running = Running::start(&mut user.sdbuild(&["publish", "remove", "--yes", image]));
    double.wait_until(|state| state.count("DeleteSnapshot") == 1);
    killed(running, &double);
    assert!(double.state().images.is_empty());
    double.state().faults.late_release = 1;
    remove(&user, &[image]).assert_exit_code(2).assert_stderr_contains(&["--yes"]);
    remove(&user, &["--yes", image]).assert_exit_code(0);
    assert!(double.state().snapshots.is_empty());
    assert_eq!(double.state().mistakes, [""; 0]);
    // It may be a typing error, or another region.
    remove(&user, &["--yes", image])
        .assert_exit_code(2)
        .assert_stderr_contains(&["the account has no ami-"]);
}

#[test]
fn a_running_upload_is_neither_listed_nor_removed() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let running = stopped_upload(&double, &user);
    double.state().faults = Faults::default();
    let listed = list(&user);
    assert!(!listed.contains("snap-"), "{listed}");
    let snapshot = double.state().snapshots.keys().next().unwrap().clone();
    remove(&user, &["--yes", &snapshot])
        .assert_exit_code(3)
        .assert_stderr_contains(&["another sdbuild is uploading"]);
    // Another machine does not know whether it is running.
    let (other, _) = publisher(&double);
    let listed = list(&other);
    let pending = format!("being uploaded, or abandoned: {snapshot}");
    assert!(listed.contains(&pending), "{listed}");
    killed(running, &double);
}

#[test]
fn an_upload_that_aws_has_discarded_is_forgotten() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    // `clean` is not for the downloads that all tests share.
    let cache = user.state.path().join("cache").display().to_string();
    let user = user.with("XDG_CACHE_HOME", cache);
    let age = |hours: u64| {
        let then = SystemTime::now() - Duration::from_secs(hours * 3600);
        let record = File::options().append(true).open(&records(&user)[0]);
        record.unwrap().set_modified(then).unwrap();
    };
    let snapshot = killed_upload(&double, &user);
    age(48);
    assert!(list(&user).contains("unfinished in"), "AWS has it still");
    double.state().snapshots.remove(&snapshot).unwrap();
    age(20);
    assert!(list(&user).contains("unfinished in"), "it is too young");
    age(48);
    let listed = list(&user);
    assert!(listed.contains("was removed from the records"), "{listed}");
    assert!(records(&user).is_empty());
    // Killed before there was an answer with a snapshot.
    killed(stopped_at("StartSnapshot", &double, &user), &double);
    assert!(list(&user).contains("no snapshot yet"));
    let status = run(&mut user.sdbuild(&["status"])).assert_exit_code(0);
    status.assert_stderr_contains(&["unfinished upload of nixos-kit", "sdbuild publish list"]);
    // There is no engine, which is another matter.
    let clean = || run(&mut user.sdbuild(&["clean", "--yes"])).assert_exit_code(3);
    clean();
    assert_eq!(records(&user).len(), 1);
    age(48);
    assert!(clean().stdout.contains("discarded by AWS"));
    assert!(records(&user).is_empty());
}
