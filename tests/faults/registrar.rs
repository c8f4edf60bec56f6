//! The registrar and the builder are killed, removed or stopped.

use crate::support::*;

pub fn start(user: &TestUser, script: &str) -> Running {
    let script = fresh(&format!("    echo in the middle\n{script}"));
    user.write("sd-card.nix", &product(&script));
    let mut running = Running::start(&mut user.build(&["-v"]));
    running.wait_for("in the middle");
    running
}

#[test]
fn handler_of_a_killed_registrar_is_removed_at_release() {
    needs!(engine_ready());
    for command in [&["kill"][..], &["rm", "--force"][..], &["stop"][..]] {
        let user = TestUser::new();
        let runs = user.track_runs();
        let build = start(&user, &format!("    sleep 2\n{SMALL_IMAGE}"));
        docker(&[command, &[&runs.container("registrar")]].concat());
        let outcome = build.finish();
        // Whether the build survives depends on when the handler was removed; nothing is left either way.
        assert!(matches!(outcome.code, Some(0 | 3 | 4)), "{command:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("container that registers QEMU"),
            "{command:?}: {}",
            outcome.stderr
        );
        runs.assert_nothing_left();
    }
}

#[test]
fn removed_handler_is_restored_and_reported() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let build = start(&user, &format!("    sleep 4\n{SMALL_IMAGE}"));
    // The sleep must be running: an emulated program cannot start without a handler.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let handler = runs.handlers().remove(0);
    std::fs::write(format!("{BINFMT}/{handler}"), "-1").unwrap();
    wait_until(std::time::Duration::from_secs(2), "the handler is back", || {
        runs.handlers().contains(&handler)
    });
    // Without the handler, the emulated script cannot start its next program at that moment.
    let outcome = build.finish();
    assert!(matches!(outcome.code, Some(0 | 3 | 4)), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&handler), "{}", outcome.stderr);
    runs.assert_nothing_left();
}

#[test]
fn killed_builder_is_an_environment_error() {
    needs!(engine_ready());
    for command in [&["kill"][..], &["rm", "--force"][..]] {
        let user = TestUser::new();
        let runs = user.track_runs();
        let build = start(&user, "    sleep 600");
        docker(&[command, &[&runs.container("builder")]].concat());
        let outcome = build.finish();
        assert_eq!(outcome.code, Some(3), "{command:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("builder"), "{}", outcome.stderr);
        runs.assert_nothing_left();
    }
}
