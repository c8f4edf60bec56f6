//! Rented machines while sdbuild, or what holds the machine, is interrupted or killed.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};

use crate::machines::*;
use crate::support::*;

/// The signal goes to all processes that the terminal would send it to, and that a supervisor would kill.
#[test]
fn a_signal_while_the_machine_is_made_gives_it_back() {
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGKILL] {
        let renter = Renter::new(&[("create", HANGS)]);
        let mut build = renter.build(&[]);
        let mut running = Running::start(build.process_group(0));
        running.wait_until("the machine is being made", || renter.at("begun").exists());
        killpg(running.pid(), signal).unwrap();
        let outcome = running.finish();
        assert_eq!(outcome.signal, Some(signal as i32), "{}", outcome.stderr);
        if signal == Signal::SIGKILL {
            renter.wait_until_given_back();
        }
        assert_eq!(renter.verbs(), ["price", "create", "destroy"], "{signal}");
        assert_eq!(renter.records(), [""; 0], "{signal}");
    }
}

/// Nobody was left to give it back, and its making went on.
#[test]
fn what_nobody_gave_back_is_given_back_by_the_next_build() {
    let asked_to_end = "trap 'echo ended >>calls; exit 1' TERM; touch begun; sleep 300 & wait";
    let renter = Renter::new(&[("create", asked_to_end)]);
    let mut running = Running::start(&mut renter.build(&[]));
    running.wait_until("the machine is being made", || renter.at("begun").exists());
    let holder = renter.holder().unwrap();
    running.signal(Signal::SIGSTOP);
    kill(holder, Signal::SIGKILL).unwrap();
    // Its lock of the record has ended when it is a zombie, and a little later than its open files. Nobody reaps it: its parent is stopped.
    let stat = format!("/proc/{holder}/stat");
    running.wait_until("the holder is gone", || {
        fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "))
    });
    running.signal(Signal::SIGKILL);
    running.finish();
    assert_eq!(renter.records().len(), 1);
    let shown = run(&mut renter.user.sdbuild(&["status", "--json"])).assert_exit_code(0);
    let status = shown.json();
    assert_eq!(status["machines"][0]["life"], "dead", "{status}");
    run(&mut renter.user.sdbuild(&["build"]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["gave back machine"]);
    assert_eq!(renter.verbs(), ["price", "create", "ended", "destroy"]);
    assert_eq!(renter.records(), [""; 0]);
}

/// The machine was destroyed before what `create` had left running made it.
#[test]
fn what_a_failed_create_left_ends_before_destroy() {
    let left = "(trap '' TERM; touch begun; sleep 1; echo made >>calls) >&- 2>&- &\n\
        until [ -e begun ]; do sleep 0.01; done; exit 1";
    let renter = Renter::new(&[("create", left)]);
    run(&mut renter.build(&[])).assert_exit_code(3);
    assert_eq!(renter.verbs(), ["price", "create", "made", "destroy"]);
    assert_eq!(renter.records(), [""; 0]);
}

#[test]
fn a_holder_that_is_killed_is_replaced_at_the_end() {
    let renter = Renter::new(&[("create", HANGS)]);
    let mut running = Running::start(&mut renter.build(&[]));
    running.wait_until("the machine is being made", || renter.at("begun").exists());
    kill(renter.holder().unwrap(), Signal::SIGKILL).unwrap();
    running
        .finish()
        .assert_exit_code(3)
        .assert_stderr_contains(&["the process that holds the rented machine has ended"]);
    assert_eq!(renter.verbs(), ["price", "create", "destroy"]);
    assert_eq!(renter.records(), [""; 0]);
}

/// A cloud that takes a moment for everything: whenever a build is killed, nothing stays there.
#[test]
fn nothing_stays_rented_whenever_a_build_is_killed() {
    let create = "sleep 0.1; mkdir -p cloud; touch \"cloud/$SDBUILD_RUN\"; sleep 0.1\n\
        echo host=me@127.0.0.1:1; echo \"host-key=$(cat key.pub)\"";
    let renter = Renter::new(&[("create", create), ("destroy", "rm -f \"cloud/$SDBUILD_RUN\"")]);
    renter.user.write(
        "rent/key.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c",
    );
    let signals = [Signal::SIGKILL, Signal::SIGINT, Signal::SIGKILL, Signal::SIGTERM];
    for step in 0..24 {
        let running = Running::start(&mut renter.build(&[]));
        std::thread::sleep(Duration::from_millis(30 * step));
        let signal = signals[usize::try_from(step).unwrap() % signals.len()];
        running.signal(signal);
        let outcome = running.finish();
        assert_eq!(outcome.signal, Some(signal as i32), "{}", outcome.stderr);
    }
    renter.wait_until_given_back();
    assert_eq!(file_names(&renter.at("cloud")), [""; 0]);
    // Some came as far as a machine.
    let created = renter.verbs().iter().filter(|verb| *verb == "create").count();
    assert!(created > 0, "{:?}", renter.verbs());
}

#[test]
fn a_second_signal_does_not_wait_until_a_machine_is_given_back() {
    let renter = Renter::new(&[("create", HANGS), ("destroy", "touch ending; sleep 9")]);
    let mut running = Running::start(&mut renter.build(&[]));
    running.wait_until("the machine is being made", || renter.at("begun").exists());
    running.signal(Signal::SIGINT);
    running.wait_until("it is given back", || renter.at("ending").exists());
    let start = Instant::now();
    running.signal(Signal::SIGINT);
    let outcome = running.finish().assert_exit_code(5);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let words = outcome.stderr.replace('\n', " ");
    assert!(words.contains("it is still being given back"), "{words}");
    assert_eq!(renter.records().len(), 1);
    renter.wait_until_given_back();
}
