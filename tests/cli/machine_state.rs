//! What `scripts/test` compares before and after the tests, with a directory in place of the kernel's table, and a program
//! in place of `docker`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::*;

/// Stands for docker: the containers in the file `containers`, of which those called `sdbuild-` do not run.
const DOCKER: &str = r#"#!/bin/sh
case "$*" in
  ps*label=dev.sdbuild.run*) grep '^sdbuild-' "$STATE/containers" ;;
  ps*) sed 's/^/container /' "$STATE/containers" ;;
  "rm "*) shift; printf '%s\n' "$@" ;;
esac
"#;
/// Stands for pgrep: an sdbuild runs if there is a file `sdbuild-runs`.
const PGREP: &str = r#"#!/bin/sh
[ "$*" = "-x sdbuild" ] && [ -e "$STATE/sdbuild-runs" ]
"#;
const STALE: &str = "sdbuild-aarch64-0123456789ab";

/// What the shell function `call` prints.
fn printed(state: &Path, call: &str) -> String {
    let mut command = Command::new("bash");
    let script = format!(
        "set -euo pipefail; . {}; {call}",
        root().join("scripts/machine-state.sh").display()
    );
    let path = std::env::var("PATH").unwrap();
    command
        .args(["-c", &script])
        .env("PATH", format!("{}:{path}", state.display()))
        .env("STATE", state)
        .env("SDBUILD_TEST_BINFMT_TABLE", state.join("table"));
    run(&mut command).assert_exit_code(0).stdout
}

fn stand_in(state: &Path, name: &str, script: &str) {
    let program = state.join(name);
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

fn list_containers(state: &Path, names: &[&str]) {
    let lines: Vec<_> = names.iter().map(|n| format!("{n}\n")).collect();
    fs::write(state.join("containers"), lines.concat()).unwrap();
}

#[test]
fn stale_containers_are_removed_unless_sdbuild_runs() {
    if !tools_available(&["bash"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path();
    stand_in(state, "docker", DOCKER);
    stand_in(state, "pgrep", PGREP);
    let removed = || printed(state, "remove_stale_containers");
    list_containers(state, &["theirs"]);
    assert_eq!(removed(), "");
    list_containers(state, &["sdbuild-builder-0123456789ab", "theirs"]);
    assert_eq!(removed(), "sdbuild-builder-0123456789ab\n");
    fs::write(state.join("sdbuild-runs"), "").unwrap();
    assert_eq!(removed(), "");
}

#[test]
fn only_what_was_stale_before_the_tests_is_disregarded() {
    if !tools_available(&["bash"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path();
    stand_in(state, "docker", DOCKER);
    let containers = |names: &[&str]| list_containers(state, names);
    let handler = |name: &str| fs::write(state.join("table").join(name), "enabled\nflags: F\n");
    fs::create_dir(state.join("table")).unwrap();
    for name in ["register", "status", "qemu-riscv64", STALE] {
        handler(name).unwrap();
    }
    containers(&["sdbuild-builder-0123456789ab", "theirs"]);
    let left = printed(state, "stale_objects");
    let names =
        format!("container sdbuild-builder-0123456789ab\nhandler {STALE}: enabled flags: F\n");
    assert_eq!(left, names);
    let left = left.trim_end();
    let seen = || printed(state, &format!("machine_state '{left}'"));
    let before = seen();
    assert_eq!(
        before,
        "handler qemu-riscv64: enabled flags: F\ncontainer theirs\n"
    );
    // A test's run removed them.
    fs::remove_file(state.join("table").join(STALE)).unwrap();
    containers(&["theirs"]);
    assert_eq!(seen(), before);
    handler("sdbuild-aarch64-ba9876543210").unwrap();
    assert!(seen().contains("sdbuild-aarch64-ba9876543210"));
    fs::remove_file(state.join("table/sdbuild-aarch64-ba9876543210")).unwrap();
    fs::remove_file(state.join("table/qemu-riscv64")).unwrap();
    assert_ne!(seen(), before, "the machine's own handler is gone");
}
