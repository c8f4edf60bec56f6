//! However a build is interrupted, it releases everything.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::*;

/// A build that reports when it is in the middle, and stays there.
fn sleeping(name: &str) -> String {
    product(&fresh(&format!("    echo in the middle of {name}\n    sleep 600")))
}

fn start(user: &TestUser, name: &str) -> Running {
    user.write("sd-card.nix", &sleeping(name));
    let mut running = Running::start(&mut user.build(&["-v"]));
    running.wait_for(&format!("in the middle of {name}"));
    running
}

fn ends_by(signal: Signal) {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let running = start(&user, signal.as_str());
    assert_eq!(runs.handlers().len(), 1, "the handler is held during the build");
    running.signal(signal);
    let outcome = running.finish();
    assert_eq!(outcome.signal, Some(signal as i32), "dies of its signal\n{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
    assert!(user.outputs().is_empty(), "{:?}", user.outputs());
    runs.assert_nothing_left();
}

#[test]
fn interrupt_releases_everything() {
    ends_by(Signal::SIGINT);
}

#[test]
fn termination_releases_everything() {
    ends_by(Signal::SIGTERM);
}

#[test]
fn hangup_releases_everything() {
    ends_by(Signal::SIGHUP);
}

#[test]
fn second_interrupt_ends_sooner_and_releases_everything() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let running = start(&user, "twice");
    running.signal(Signal::SIGINT);
    running.signal(Signal::SIGINT);
    let outcome = running.finish();
    assert_eq!(outcome.signal, Some(Signal::SIGINT as i32), "{}", outcome.stderr);
    runs.assert_nothing_left();
}

#[test]
fn interrupt_in_any_phase_releases_everything() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    user.write("sd-card.nix", &sleeping("phases"));
    for delay in [0, 30, 100, 250, 400, 600, 900, 1300, 1800] {
        let running = Running::start(&mut user.build(&[]));
        std::thread::sleep(Duration::from_millis(delay));
        running.signal(Signal::SIGINT);
        let outcome = running.finish();
        assert_eq!(
            outcome.signal,
            Some(Signal::SIGINT as i32),
            "after {delay} ms: {}",
            outcome.stderr
        );
        runs.assert_no_objects();
    }
}

/// A flood in the log keeps nothing from acting on a signal.
#[test]
fn a_build_that_floods_its_log_ends_at_once() {
    const KEYS: &str = "    keys() { (yes -- '-----BEGIN PRIVATE KEY-----' || :) | head -n 150000 | tr -d '\\n'; }\n";
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let ending = |flood: &str| {
        let script = format!("{KEYS}    echo the flood begins\n{flood}");
        user.write("sd-card.nix", &product(&fresh(&script)));
        let mut running = Running::start(&mut user.build(&["-v"]));
        running.wait_for("the flood begins");
        std::thread::sleep(Duration::from_secs(3));
        let begun = Instant::now();
        running.signal(Signal::SIGINT);
        running.wait_for("interrupted");
        let took = begun.elapsed();
        let outcome = running.finish();
        let end: String = outcome.stderr.chars().rev().take(500).collect();
        let end: String = end.chars().rev().collect();
        assert_eq!(outcome.signal, Some(Signal::SIGINT as i32), "{flood}: {end}");
        assert!(took < Duration::from_secs(1), "{took:?}: {flood}");
    };
    for flood in [
        "    while :; do keys; echo; done",
        "    while :; do keys; echo; done >/proc/1/fd/2",
        "    while :; do printf '@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"'; keys; printf '\"}\\n'; done >/proc/1/fd/2",
        "    tr '\\0' x </dev/zero >/proc/1/fd/2",
    ] {
        ending(flood);
    }
    runs.assert_nothing_left();
}

#[test]
fn failed_build_shows_its_last_lines_and_releases_everything() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let outcome = user
        .build_of(&product("    seq 1 30\n    echo the last words >&2\n    exit 7"), &[])
        .assert_exit_code(4);
    let outcome = outcome.assert_stderr_contains(&[
        "product",
        "exit code 7",
        "the last words",
        "the whole log: ",
    ]);
    assert!(!outcome.stderr.contains("> 5\n"), "only the end is shown: {}", outcome.stderr);
    let log = outcome.stderr.lines().find_map(|l| l.strip_prefix("the whole log: ")).unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("> 5\n") && log.contains("the last words"), "{log}");
    assert!(user.outputs().is_empty());
    runs.assert_nothing_left();
}

#[test]
fn ctrl_z_and_fg_keep_the_handler_and_the_build() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let script = format!("    echo put me away\n    sleep 25\n{SMALL_IMAGE}");
    user.write("sd-card.nix", &product(&fresh(&script)));
    let mut running = Running::start(&mut user.build(&["-v"]));
    running.wait_for("put me away");
    running.signal(Signal::SIGTSTP);
    wait_until(Duration::from_secs(2), "it is stopped", || running.is_stopped());
    // Longer than the registrar waits for a heartbeat.
    std::thread::sleep(Duration::from_secs(20));
    assert_eq!(runs.handlers().len(), 1, "the handler is kept");
    running.signal(Signal::SIGCONT);
    running.finish().assert_exit_code(0);
    runs.assert_nothing_left();
}

#[test]
fn stopped_sdbuild_loses_the_handler_and_reports_it() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let running = start(&user, "stopped");
    running.signal(Signal::SIGSTOP);
    wait_until(Duration::from_secs(25), "the silence takes the handler away", || {
        runs.handlers().is_empty()
    });
    running.signal(Signal::SIGCONT);
    std::thread::sleep(Duration::from_secs(1));
    running.signal(Signal::SIGINT);
    let outcome = running.finish();
    assert!(outcome.stderr.contains("container that registers QEMU"), "{}", outcome.stderr);
    runs.assert_nothing_left();
}

/// Runs `command` in our builder's container, with the builder's programs and a short heartbeat timeout.
fn entry_in_builder(options: &[&str], command: &[&str]) -> std::process::Child {
    let user = TestUser::new();
    user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    let image = builder_image().unwrap();
    let programs = root().join("containers/builder");
    let mut run = std::process::Command::new("docker");
    run.args(["run", "--rm", "--interactive", "--network", "none"]);
    run.args(["--volume", &format!("{}:/build/sdbuild:ro", programs.display())]);
    for variable in [
        "SDBUILD_RUN=0123456789ab",
        "SDBUILD_LIVE=",
        "SDBUILD_NIXPKGS=tree",
        "SDBUILD_WATCHDOG_TICK=0.3",
        "SDBUILD_WATCHDOG_SILENT=10",
        "TMPDIR=/nix/var/sdbuild/build/0123456789ab",
    ] {
        run.args(["--env", variable]);
    }
    run.args(options).arg(image).args(command);
    run.stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn builder_ends_when_the_heartbeat_stops() {
    use std::io::Write as _;
    needs!(engine_ready());
    let command = "mkdir -p /nix/var/sdbuild/nixpkgs/tree; \
        exec /bin/sh /build/sdbuild/watchdog /bin/sh /build/sdbuild/entry sleep 600";
    let mut builder = entry_in_builder(&[], &["/bin/sh", "-c", command]);
    let mut input = builder.stdin.take().unwrap();
    for beat in 0..30 {
        writeln!(input).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(builder.try_wait().unwrap(), None, "beat {beat}");
    }
    // The pipe stays open, without heartbeats.
    let output = builder.wait_with_output().unwrap();
    let ended = Outcome::of(&output).assert_exit_code(143);
    assert!(ended.stderr.contains("nothing was heard"), "{}", ended.stderr);
    drop(input);
}

/// A build could once kill the watchdog; its container then ran on when sdbuild was killed.
#[test]
fn build_that_kills_the_watchdog_ends_with_sdbuild() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let script = "    for process in /proc/[0-9]*; do\n      \
            case $(tr '\\0' ' ' <$process/cmdline) in\n        \
                */watchdog*) kill -9 ''${process#/proc/} || : ;;\n      \
            esac\n    done\n    echo cut\n    sleep 600";
    user.write("sd-card.nix", &product(&fresh(script)));
    let mut running = Running::start(&mut user.build(&["-v"]));
    running.wait_for("cut");
    running.signal(Signal::SIGKILL);
    running.finish();
    wait_until(Duration::from_secs(20), "the builder ends", || {
        runs.running_containers().is_empty()
    });
    user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    runs.assert_nothing_left();
}

/// A power cut of the engine's machine must not leave truncated files under a name that promises their content.
#[test]
fn nixpkgs_is_synced_before_it_has_its_name() {
    needs!(engine_ready());
    let dir = tempfile::tempdir().unwrap();
    let stub = dir.path().join("sync");
    let script = "#!/bin/sh\n[ -e /nix/var/sdbuild/nixpkgs/tree ] && echo late || echo \"first: $*\"\n\
        [ ! -e \"$2.tar\" ] || echo kept\n";
    std::fs::write(&stub, script).unwrap();
    run(std::process::Command::new("chmod").args(["-R", "a+rx"]).arg(dir.path()));
    let prepare = "incoming=/nix/var/sdbuild/incoming-0123456789ab; \
        mkdir -p $incoming /tmp/nixpkgs/nixos; echo '{ }' >/tmp/nixpkgs/nixos/default.nix; \
        tar -C /tmp -cf $incoming/tree.tar nixpkgs; export PATH=/stubs:$PATH; \
        exec /bin/sh /build/sdbuild/watchdog /bin/sh /build/sdbuild/entry ls /nix/var/sdbuild/nixpkgs";
    let stubs = format!("{}:/stubs:ro", dir.path().display());
    let mut builder = entry_in_builder(&["--volume", &stubs], &["/bin/sh", "-c", prepare]);
    let input = builder.stdin.take().unwrap();
    let ended = Outcome::of(&builder.wait_with_output().unwrap()).assert_exit_code(0);
    drop(input);
    let expected = "first: -f /nix/var/sdbuild/incoming-0123456789ab/tree\ntree\n";
    assert_eq!(ended.stdout, expected);
}

/// The pid on this machine of the process in a container whose command line begins with `command`.
fn process_in(container: &str, command: &str) -> Option<nix::unistd::Pid> {
    let mut top = std::process::Command::new("docker");
    let listed = run(top.args(["top", container, "-eo", "pid,args"])).stdout;
    let mut processes = listed.lines().filter_map(|line| line.trim().split_once(' '));
    let (pid, _) = processes.find(|(_, words)| words.trim_start().starts_with(command))?;
    Some(nix::unistd::Pid::from_raw(pid.parse().ok()?))
}

/// The count of the store's files once went on, for minutes, without a client.
#[test]
fn killed_status_leaves_no_running_container() {
    needs!(engine_ready(), root_available());
    let user = TestUser::new();
    user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    let runs = user.track_runs();
    let status = Running::start(&mut user.sdbuild(&["status"]));
    wait_until(Duration::from_secs(30), "it counts", || {
        // Stopped, it counts until it is killed.
        let counters = runs.running_containers();
        let mut pids = counters.iter().filter_map(|name| process_in(name, "busybox du"));
        pids.any(|pid| nix::sys::signal::kill(pid, Signal::SIGSTOP).is_ok())
    });
    status.signal(Signal::SIGKILL);
    status.finish();
    wait_until(Duration::from_secs(20), "the container ends", || {
        runs.running_containers().is_empty()
    });
    // It counts as a stale run's.
    run(&mut user.build(&["--force"])).assert_exit_code(0);
    runs.assert_nothing_left();
}

#[test]
fn ignored_hangup_stays_ignored() {
    needs!(engine_ready());
    let user = TestUser::new();
    let script = format!("    echo logged out\n    sleep 2\n{SMALL_IMAGE}");
    user.write("sd-card.nix", &product(&fresh(&script)));
    let build = user.build(&["-v"]);
    let mut nohup = std::process::Command::new("nohup");
    nohup.arg(build.get_program()).args(build.get_args());
    nohup.env_clear().envs(&user.environment);
    nohup.current_dir(user.home.path()).stdin(std::process::Stdio::null());
    let mut running = Running::start(&mut nohup);
    running.wait_for("logged out");
    running.signal(Signal::SIGHUP);
    running.finish().assert_exit_code(0);
}
