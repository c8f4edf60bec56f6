//! Builds on a rented machine: a container with an SSH server stands for it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::registrar::{builder_image, engine};
use crate::support::*;

async fn provider() -> MachineProvider {
    MachineProvider::new(&builder_image(&engine().await).await)
}

/// The records of rentals, and of runs, that `user` has.
fn records(user: &TestUser) -> Vec<String> {
    let state = user.state.path().join(".local/state/sdbuild");
    let names = ["machines", "runs"].map(|dir| state.join(dir));
    let existing = names.iter().filter(|dir| dir.exists());
    existing.flat_map(|dir| file_names(dir)).collect()
}

#[tokio::test]
async fn a_rented_machine_builds_and_is_given_back() {
    needs!(MachineProvider::can_run());
    let provider = provider().await;
    let user = provider.known_to(TestUser::new());
    let runs = user.track_runs();
    let plan =
        user.build_of(&product(&fresh(SMALL_IMAGE)), &["--dry-run=plan"]).assert_exit_code(0);
    assert!(plan.stdout.contains("rented"), "{}", plan.stdout);
    assert_eq!(provider.calls(), ["price"], "no machine is asked for");
    let built = run(&mut user.build(&[])).assert_exit_code(0);
    assert_eq!(fs::read_to_string(built.image()).unwrap(), "small\n");
    let place = ":2222";
    assert!(built.stderr.contains(place), "{}", built.stderr);
    assert_eq!(provider.machines(), [""; 0]);
    assert_eq!(provider.calls(), ["price", "price", "create", "destroy"]);
    assert_eq!(records(&user), [""; 0]);
    runs.assert_nothing_left();

    provider.announce("other");
    let refused = run(&mut user.build(&["--force"])).assert_exit_code(3);
    for part in [
        "presents a different host key than the provider reported",
        &provider.fingerprint("host"),
        &provider.fingerprint("other"),
    ] {
        assert!(refused.stderr.contains(part), "{part}\n{}", refused.stderr);
    }
    assert_eq!(provider.machines(), [""; 0]);
    assert_eq!(records(&user), [""; 0]);
}

#[tokio::test]
async fn a_rented_machine_is_given_back_when_a_build_is_killed() {
    needs!(MachineProvider::can_run());
    let provider = provider().await;
    let user = provider.known_to(TestUser::new());
    let runs = user.track_runs();
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let running = Running::in_mid_build(&user, &[]);
        assert_eq!(provider.machines().len(), 1);
        running.signal(signal);
        let outcome = running.finish();
        assert_eq!(outcome.signal, Some(signal as i32), "{}", outcome.stderr);
        if signal == Signal::SIGINT {
            assert_eq!(provider.machines(), [""; 0], "{}", outcome.stderr);
            runs.assert_nothing_left();
        }
        let limit = Duration::from_secs(20);
        let took = wait_until(limit, "the machine is given back", || {
            provider.machines().is_empty() && records(&user).is_empty()
        });
        eprintln!("{signal}: given back after {took:?}");
    }
    remove_containers_of(&runs);
}

/// They would be gone with a machine that has an engine of its own.
pub fn remove_containers_of(runs: &RunTracker) {
    wait_until(Duration::from_mins(1), "the builder has ended", || {
        runs.running_containers().is_empty()
    });
    for container in runs.containers() {
        // It fails where somebody else is removing the container already: every run of another test sweeps what stale runs left.
        run(Command::new("docker").args(["rm", "--force", "--volumes", &container]));
    }
    wait_until(Duration::from_mins(1), "the containers are gone", || runs.containers().is_empty());
    runs.assert_nothing_left();
}

/// The machine does not answer any more, and what was to be removed there goes with it.
#[tokio::test]
async fn a_rented_machine_that_is_lost_is_given_back() {
    needs!(MachineProvider::can_run());
    let provider = provider().await;
    let user = provider.known_to(TestUser::new());
    let runs = user.track_runs();
    let running = Running::in_mid_build(&user, &[]);
    pause(&provider.machines()[0]);
    let outcome = running.finish().assert_exit_code(3);
    assert!(!outcome.stderr.contains("not removed"), "{}", outcome.stderr);
    assert_eq!(provider.machines(), [""; 0]);
    assert_eq!(records(&user), [""; 0]);
    remove_containers_of(&runs);
}
