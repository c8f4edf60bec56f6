//! `sdbuild shell`: a shell in the builder on the user's terminal, which leaves nothing however it ends.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::*;

/// The prompt of the builder's bash, in the directory where a shell begins.
const PROMPT: &str = ":/build/config$ ";

/// A user with a configuration and the miniature nixpkgs.
fn user() -> TestUser {
    let mini = mini_nixpkgs().to_str().unwrap().to_owned();
    let user = TestUser::new().with("SDBUILD_NIXPKGS", mini);
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    user
}

fn shell(user: &TestUser, more: &[&str]) -> Command {
    user.sdbuild(&[&["shell"][..], more].concat())
}

/// Starts a shell on a terminal and waits for its prompt.
fn sitting(user: &TestUser, more: &[&str]) -> Screen {
    let screen = Screen::start(&shell(user, more), (80, 24));
    screen.wait_for(PROMPT.trim_end());
    screen
}

#[test]
fn shell_command_has_pipes_and_passes_its_exit_code() {
    needs!(engine_ready());
    let user = user();
    let runs = user.track_runs();
    let words = "cat; echo complaint >&2; test ! -e /var/run/docker.sock && id -u; exit 7";
    let mut child = shell(&user, &["--run", words])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // More than all pipes on the way hold, in both directions.
    let sent: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut stdin = child.stdin.take().unwrap();
    let typed = sent.clone();
    let typing = std::thread::spawn(move || stdin.write_all(&typed).unwrap());
    let output = child.wait_with_output().unwrap();
    typing.join().unwrap();
    assert!(output.stdout.starts_with(&sent), "what went in comes out");
    assert_eq!(&output.stdout[sent.len()..], b"1000\n");
    let outcome = Outcome::of(&output).assert_exit_code(7).assert_stderr_contains(&["complaint"]);
    assert!(!outcome.stderr.contains("error:"), "{}", outcome.stderr);
    runs.assert_nothing_left();
}

#[test]
fn shell_has_the_configuration_and_nix_build_works() {
    needs!(engine_ready());
    let user = user();
    let build = "nix-build '<nixpkgs/nixos>' -A config.system.build.sdImage --argstr system aarch64-linux \
                 --no-out-link 2>&1 && pwd";
    let outcome = run(&mut shell(&user, &["--run", build])).assert_exit_code(0);
    assert!(outcome.stdout.ends_with("-product\n/build/config\n"), "{}", outcome.stdout);
}

/// The arguments in the hint of a failed build.
fn hinted(outcome: &Outcome) -> Vec<String> {
    let hint = "hint: debug it where it failed: sdbuild shell ";
    let words = outcome.stderr.lines().find_map(|line| line.strip_prefix(hint));
    let words = words.unwrap_or_else(|| panic!("no hint in {}", outcome.stderr));
    words.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect()
}

#[test]
fn failed_build_hints_at_a_shell_with_its_environment() {
    needs!(engine_ready());
    let user = user();
    let runs = user.track_runs();
    let failing = product("    echo the reason\n    exit 7").replace("product", "faulty-1.0");
    let failed = user.build_of(&failing, &[]).assert_exit_code(4);
    let words = hinted(&failed);
    let last = words.last().unwrap();
    assert!(last.ends_with("-faulty-1.0.drv"), "{words:?}");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // The derivation's own shell is an aarch64 program.
    let look = "echo \"$name: $($builder -c 'echo $MACHTYPE')\"; . $buildCommandPath";
    let inside = [&words[..], &["--run", look]].concat();
    let there = run(&mut shell(&user, &inside)).assert_exit_code(7);
    assert!(there.stdout.starts_with("faulty-1.0: aarch64"), "{}", there.stdout);
    assert!(there.stdout.contains("the reason"), "{}", there.stdout);
    // By its name as well, and with the commands on standard input.
    let mut child = shell(&user, &["faulty-1.0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"echo of $name\nexit 3\n").unwrap();
    drop(stdin);
    let there = Outcome::of(&child.wait_with_output().unwrap()).assert_exit_code(3);
    assert_eq!(there.stdout, "of faulty-1.0\n");
    runs.assert_nothing_left();
}

#[test]
fn shell_follows_the_window_size_and_survives_ctrl_c() {
    needs!(engine_ready());
    let user = user();
    let runs = user.track_runs();
    let mut screen = sitting(&user, &[]);
    assert!(screen.contents().contains("nix-build '<nixpkgs/nixos>'"));
    screen.type_keys("stty size; tty\n");
    screen.wait_for("24 80\n/dev/");
    screen.resize(100, 30);
    screen.type_keys("until [ \"$(stty size)\" = '30 100' ]; do sleep 0.1; done; echo wi''der\n");
    screen.wait_for("\nwider");
    // A shell that just starts a command may take Ctrl-C itself, and then wait for the command: this command tells that it has
    // the terminal.
    screen.type_keys("sh -c \"echo wait''ing; exec sleep 600\"\n");
    screen.wait_for("\nwaiting");
    // The shell may drop what is typed before its prompt is there again.
    screen.type_keys("\u{3}");
    screen.wait_until("the prompt", |text| text.trim_end().ends_with(PROMPT.trim_end()));
    screen.type_keys("echo interrupted with $?\n");
    screen.wait_for("\ninterrupted with 130");
    screen.type_keys("exit 3\n");
    screen.assert_exit_code(3);
    runs.assert_nothing_left();
}

#[test]
fn shell_restores_the_terminal() {
    needs!(engine_ready());
    let user = user();
    let (mut ends, mut told) = (sitting(&user, &[]), sitting(&user, &[]));
    for screen in [&mut ends, &mut told] {
        assert!(screen.is_raw(), "the shell has the keys");
    }
    ends.type_keys("exit\n");
    ends.assert_exit_code(0);
    told.signal(Signal::SIGTERM);
    told.wait();
    assert!(!ends.is_raw() && !told.is_raw());
}

/// Asserts that a shell ended by `end`, with a background process, leaves nothing.
fn leaves_nothing(more: &[&str], end: impl Fn(&mut Screen, &RunTracker)) {
    needs!(engine_ready());
    let user = user();
    let runs = user.track_runs();
    let mut screen = sitting(&user, more);
    screen.type_keys("trap '' HUP TERM; sleep 600 & echo it sl''eeps\n");
    screen.wait_for("it sleeps");
    end(&mut screen, &runs);
    screen.wait();
    runs.assert_nothing_left();
}

#[test]
fn shell_on_a_closed_terminal_leaves_nothing() {
    leaves_nothing(&[], |screen, _| screen.hang_up());
}

#[test]
fn terminated_shell_leaves_nothing() {
    leaves_nothing(&[], |screen, _| screen.signal(Signal::SIGTERM));
}

#[test]
fn private_shell_leaves_nothing() {
    let emulated =
        "nix-build '<nixpkgs/nixos>' -A pkgs.bash --argstr system aarch64-linux --no-out-link";
    leaves_nothing(&["--emulation", "private"], |screen, runs| {
        assert_eq!(runs.handlers(), [""; 0], "nothing is registered on the host");
        screen.type_keys(&format!("$({emulated} 2>/dev/null)/bin/bash -c 'echo $HOST''TYPE'\n"));
        screen.wait_for("aarch64");
        screen.hang_up();
    });
}

#[test]
fn killed_shell_leaves_no_handler_and_the_next_one_sweeps() {
    needs!(engine_ready());
    let user = user();
    let runs = user.track_runs();
    for more in [&[][..], &["--emulation", "private"]] {
        let mut screen = sitting(&user, more);
        screen.type_keys("trap '' HUP TERM; sleep 600\n");
        screen.signal(Signal::SIGKILL);
        screen.wait();
        runs.wait_until_unregistered();
        wait_until(Duration::from_secs(30), "no container runs on", || {
            runs.running_containers().is_empty()
        });
        run(&mut shell(&user, &["--run", "true"]))
            .assert_exit_code(0)
            .assert_stderr_contains(&["removed container ", ", which a stale run left"]);
        runs.assert_nothing_left();
    }
}
