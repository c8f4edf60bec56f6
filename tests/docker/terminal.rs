//! Output on a terminal, through `script` of util-linux.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::*;

/// Runs `sdbuild` with `words` (without quotes in them) on a terminal and types `input`; returns the raw output.
pub(super) fn on_a_terminal(user: &TestUser, words: &str, input: &str) -> String {
    let command = format!("'{}' {words}", env!("CARGO_BIN_EXE_sdbuild"));
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env_clear()
        .envs(&user.environment)
        .env("TERM", "xterm")
        .current_dir(user.home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
}

#[test]
fn clean_question_stays_on_the_screen() {
    needs!(engine_ready());
    // Colours would look like a redrawn view.
    let user = TestUser::new().with("NO_COLOR", "1");
    user.write("cache-of-mine", "");
    let label = "dev.sdbuild.role=store";
    docker(&["volume", "create", "--label", label, "sdbuild-store-asked"]);
    let seen = on_a_terminal(&user, "clean --all", "n\n");
    let volumes = docker(&["volume", "ls", "--quiet"]);
    remove_volume("sdbuild-store-asked");
    assert!(volumes.contains("sdbuild-store-asked"), "the answer was no");
    let question = seen.find("Remove all of this? [y/N] ").expect("the question");
    let after = &seen[question..];
    assert!(after.contains("nothing was removed"), "{after:?}");
    assert!(!after.contains("error"), "no is no error: {after:?}");
    assert!(!after.contains('\u{1b}'), "nothing is drawn over the question: {after:?}");
}

#[test]
fn image_is_reported_once_with_what_comes_next() {
    needs!(engine_ready());
    let user = TestUser::new().with("NO_COLOR", "1");
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    let mini = mini_nixpkgs();
    let words = format!("build --nixpkgs '{}' --output out", mini.display());
    let seen = on_a_terminal(&user, &words, "");
    // Once, as the user would type it, with the commands to go on with.
    let lines: Vec<&str> = seen.lines().filter(|l| l.contains("small.img")).collect();
    assert!(lines[0].starts_with(" ✓ out/small.img · 6 B · "), "{seen:?}");
    assert!(lines[1].contains("next  sdbuild boot out/small.img"), "{seen:?}");
    assert!(lines[2].contains("sdbuild flash out/small.img"), "{seen:?}");
    assert_eq!(lines.len(), 3, "{seen:?}");
    // Another file of that name stays if its owner says so.
    user.write("out/small.img", "precious");
    let seen = on_a_terminal(&user, &words, "n\n");
    assert!(seen.contains("out/small.img is unchanged"), "{seen:?}");
    assert!(!seen.contains("--force"), "{seen:?}");
    let kept = std::fs::read_to_string(user.out().join("small.img"));
    assert_eq!(kept.unwrap(), "precious");
    let seen = on_a_terminal(&user, &words, "y\n");
    assert!(seen.contains("out/small.img · 6 B"), "{seen:?}");
    let header = seen.lines().find(|line| line.contains(" → aarch64-linux"));
    assert!(header.unwrap().contains("sd-card.nix"), "{seen:?}");
}

/// A build with far more output than a pipe holds.
fn chatty(user: &TestUser) -> Command {
    let script = fresh(&format!("    seq 1 40000\n{SMALL_IMAGE}"));
    user.write("sd-card.nix", &product(&script));
    user.build(&["-v"])
}

#[test]
fn stalled_reader_does_not_stop_a_build() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let (unread, stderr) = std::io::pipe().unwrap();
    let build = chatty(&user).stderr(stderr).stdout(Stdio::piped()).spawn();
    let outcome = Outcome::of(&build.unwrap().wait_with_output().unwrap()).assert_exit_code(0);
    assert_eq!(outcome.image(), user.out().join("small.img"));
    drop(unread);
    runs.assert_nothing_left();
}

#[test]
fn closed_terminal_does_not_fail_the_build() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let pty = nix::pty::openpty(None, None).unwrap();
    drop(pty.master);
    let side = || Stdio::from(pty.slave.try_clone().unwrap());
    let status = chatty(&user).stderr(side()).stdout(side()).status();
    assert_eq!(status.unwrap().code(), Some(0));
    let image = user.out().join("small.img");
    assert_eq!(user.outputs(), TestUser::with_sidecars(&image));
    runs.assert_nothing_left();
}
