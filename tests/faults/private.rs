//! Faults with private emulation, which has nothing outside its containers.

use nix::sys::signal::Signal;

use crate::support::*;

#[test]
fn killing_sdbuild_and_a_private_builder_leaves_no_handler() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let build = Running::in_mid_build(&user, &["--emulation", "private"]);
    let builder = runs.container("builder");
    // Paused, so that its watchdog cannot end it before we do.
    pause(&builder);
    build.signal(Signal::SIGKILL);
    docker(&["kill", &builder]);
    build.finish();
    assert_eq!(runs.handlers(), [""; 0], "there was none to be left");
    // Its container is swept like that of any other stale run.
    let next =
        user.build_of(&product(SMALL_IMAGE), &["--emulation", "private"]).assert_exit_code(0);
    assert!(next.stderr.contains(&builder), "{}", next.stderr);
    runs.assert_nothing_left();
}

#[test]
fn private_builder_ends_when_sdbuild_is_killed() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let build = Running::in_mid_build(&user, &["--emulation", "private"]);
    let builder = runs.container("builder");
    build.signal(Signal::SIGKILL);
    build.finish();
    let running = || docker(&["inspect", "--format", "{{.State.Running}}", &builder]);
    wait_until(
        std::time::Duration::from_secs(30),
        "the watchdog ends it in its namespaces as well",
        || running().trim() == "false",
    );
    user.build_of(&product(SMALL_IMAGE), &[])
        .assert_exit_code(0)
        .assert_stderr_contains(&[&builder]);
}

/// Without a registrar no handlers were listed, and stale runs were once never forgotten.
#[test]
fn private_build_forgets_the_stale_run_it_swept() {
    needs!(engine_ready());
    let user = TestUser::new();
    let build = Running::in_mid_build(&user, &["--emulation", "private"]);
    build.signal(Signal::SIGKILL);
    build.finish();
    let runs = user.state.path().join(".local/state/sdbuild/runs");
    assert_eq!(file_names(&runs).len(), 1);
    user.build_of(&product(SMALL_IMAGE), &["--emulation", "private"]).assert_exit_code(0);
    assert_eq!(file_names(&runs), [""; 0]);
}
