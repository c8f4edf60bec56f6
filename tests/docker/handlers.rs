//! Concurrent builds, and a build without emulation.

use std::fs;

use crate::support::*;

#[test]
fn emulation_none_on_another_architecture_is_refused() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.build_of(&product(SMALL_IMAGE), &["--emulation", "none"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["x86_64", "aarch64-linux"]);
}

#[test]
fn two_concurrent_builds_do_not_interfere() {
    needs!(engine_ready());
    let people: Vec<TestUser> = (0..2)
        .map(|n| {
            let user = TestUser::new();
            let script =
                format!("{SMALL_IMAGE}\n    sleep 3; echo build {n} > $out/sd-image/small.img");
            user.write("sd-card.nix", &product(&fresh(&script)));
            user
        })
        .collect();
    let runs: Vec<RunTracker> = people.iter().map(TestUser::track_runs).collect();
    let running: Vec<Running> =
        people.iter().map(|user| Running::start(&mut user.build(&[]))).collect();
    for (n, (running, user)) in running.into_iter().zip(&people).enumerate() {
        let image = running.finish().assert_exit_code(0).image();
        assert!(image.starts_with(user.out()));
        assert_eq!(fs::read_to_string(image).unwrap(), format!("build {n}\n"));
    }
    runs.iter().for_each(RunTracker::assert_nothing_left);
}
