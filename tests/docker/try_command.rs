//! `sdbuild try`: builds an image, boots it and logs in.

use std::fs;
use std::path::Path;

use crate::support::*;

/// A user with the miniature nixpkgs of these tests, which may have renewed locks.
fn user() -> TestUser {
    let user = TestUser::new();
    match std::env::var("SDBUILD_MINI_NIXPKGS") {
        Ok(tree) => user.with("SDBUILD_MINI_NIXPKGS", tree),
        Err(_) => user,
    }
}

#[test]
fn try_builds_and_boots_an_image_and_cleans_up() {
    needs!(engine_ready(), boot_available());
    let user = user().with_own_cache();
    let runs = user.track_runs();
    let tried = run(&mut user.sdbuild(&["try"])).assert_exit_code(0).assert_stderr_contains(&[
        "a trial configuration → aarch64-linux",
        "nixpkgs in miniature",
        "logged in over SSH as root",
        "this machine can do it: built an image, booted it and logged in",
        "Next, `sdbuild init`",
    ]);
    assert_eq!(tried.stdout, "", "the image is gone, and so is its path");
    let names_it = tried.stderr.contains("tmp-try");
    assert!(!names_it, "{}", tried.stderr);
    runs.assert_nothing_left();
    assert_eq!(file_names(user.home.path()), ["out"]);
    let cache = Path::new(&user.environment["XDG_CACHE_HOME"]).join("sdbuild");
    let left = file_names(&cache).into_iter().find(|name| name.contains("try"));
    assert_eq!(left, None);
}

/// As the static program in an empty container, and as the image of the tool.
#[test]
fn try_without_programs_boots_to_the_prompt() {
    needs!(engine_ready());
    let user = user().with("PATH", "/nowhere");
    let runs = user.track_runs();
    run(&mut user.sdbuild(&["try"])).assert_exit_code(0).assert_stderr_contains(&[
        "qemu-system-aarch64 is not on this machine: booting in a container",
        "ssh is not on this machine: waiting for the prompt",
        "the console asks for a login: sdbuild-try login:",
        "this machine can do it: built an image and booted it until its console asked",
    ]);
    runs.assert_nothing_left();
}

#[test]
fn try_keeps_the_image_and_a_key_for_openssh() {
    needs!(engine_ready());
    let user = user();
    let words = ["try", "--no-boot", "--output", "trial"];
    let tried = run(&mut user.sdbuild(&words)).assert_exit_code(0);
    tried.image().metadata().unwrap();
    let trial = user.home.path().join("trial");
    let text = fs::read_to_string(trial.join("sd-card.nix")).unwrap();
    let read =
        std::process::Command::new("ssh-keygen").args(["-y", "-f"]).arg(trial.join("key")).output();
    let public = Outcome::of(&read.unwrap()).assert_exit_code(0).stdout;
    assert!(text.contains(public.trim()), "{public}\n{text}");
    // A second key would not match the first image.
    run(&mut user.sdbuild(&words)).assert_exit_code(2).assert_stderr_contains(&["key"]);
}
