//! Signals, and the ends of programs that sdbuild starts.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::*;
use crate::user;

/// Nothing but git ended the wait for a git that hangs, on a network disk for instance.
#[test]
fn a_signal_ends_the_wait_for_git() {
    let user = user();
    user.write("flake.nix", "{ }");
    fs::create_dir(user.home.path().join(".git")).unwrap();
    let git = user.write_program("bin/git", "#!/bin/sh\n: >\"$0.started\"\nexec /bin/sleep 120\n");
    let user = user.with("PATH", git.parent().unwrap().to_str().unwrap());
    let running = Running::start(&mut user.sdbuild(&["build", "--flake", "."]));
    let started = git.with_extension("started");
    let start = Instant::now();
    while !started.exists() {
        assert!(start.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(20));
    }
    let start = Instant::now();
    running.signal(Signal::SIGTERM);
    let outcome = running.finish();
    assert_eq!(outcome.signal, Some(Signal::SIGTERM as i32), "{}", outcome.stderr);
    assert!(start.elapsed() < Duration::from_mins(1));
}

#[test]
fn program_ends_with_its_own_parent_only() {
    // Of init's, who did not start it.
    let user = user();
    let stranger = ["exec-with-parent", "1", "--", "/bin/echo", "loose"];
    let outcome = run(&mut user.sdbuild(&stranger)).assert_exit_code(3);
    assert_eq!(outcome.stdout, "");
}
