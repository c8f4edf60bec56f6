//! The registrar and the builder come to harm.

use nix::sys::signal::Signal;

use crate::support::*;

fn start(user: &TestUser, script: &str) -> Running {
    let script = fresh(&format!("    echo in the middle\n{script}"));
    user.write("sd-card.nix", &product(&script));
    let mut running = Running::start(&mut user.build(&["-v"]));
    running.wait_for("in the middle");
    running
}

/// The one running container of `role`.
fn running(role: &str) -> String {
    let filter = format!("label=dev.sdbuild.role={role}");
    let names = docker_lines(&["ps", "--format", "{{.Names}}", "--filter", &filter]);
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}

#[test]
fn a_killed_registrar_leaves_a_handler_that_the_release_removes() {
    if !engine_available() {
        return;
    }
    for deed in [&["kill"][..], &["rm", "--force"][..], &["stop"][..]] {
        let before = Machine::snapshot();
        let user = TestUser::new();
        let build = start(&user, &format!("    sleep 2\n{SMALL_IMAGE}"));
        docker(&[deed, &[&running("registrar")]].concat());
        let outcome = build.finish();
        // Whether the build survives depends on when the handler went; nothing stays either way.
        assert!(
            matches!(outcome.code, Some(0 | 3 | 4)),
            "{deed:?}: {}",
            outcome.stderr
        );
        assert!(
            outcome.stderr.contains("registrar"),
            "{deed:?}: {}",
            outcome.stderr
        );
        before.assert_unchanged();
    }
}

#[test]
fn registrar_and_sdbuild_killed_at_once_are_swept_by_clean_and_by_build() {
    if !engine_available() {
        return;
    }
    for sweep_by_clean in [true, false] {
        let before = Machine::snapshot();
        let user = TestUser::new().with_own_cache();
        let build = start(&user, "    sleep 600");
        let registrar = running("registrar");
        docker(&["pause", &registrar]);
        build.signal(Signal::SIGKILL);
        docker(&["kill", &registrar]);
        build.finish();
        let stale = our_handlers();
        assert_eq!(stale.len(), 1, "the double kill leaves the handler");
        if sweep_by_clean {
            let _store = StoreInUse::hold();
            let dry = run(&mut user.sdbuild(&["clean", "--dry-run"])).assert_exit_code(0);
            assert!(dry.stdout.contains(&stale[0]), "{}", dry.stdout);
            assert_eq!(our_handlers(), stale, "a dry run removes nothing");
            run(&mut user.sdbuild(&["clean", "--yes"])).assert_exit_code(0);
            assert!(our_handlers().is_empty());
        } else {
            user.write("sd-card.nix", &product(SMALL_IMAGE));
            run(&mut user.build(&[]))
                .assert_exit_code(0)
                .assert_stderr_contains(&[&stale[0]]);
        }
        before.assert_unchanged();
    }
}

#[test]
fn a_handler_that_somebody_removes_comes_back_and_the_build_says_so() {
    if !engine_available() {
        return;
    }
    let before = Machine::snapshot();
    let user = TestUser::new();
    let build = start(&user, &format!("    sleep 4\n{SMALL_IMAGE}"));
    // The sleep has to be running: a program that starts while there is no handler cannot.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let handler = our_handlers().remove(0);
    std::fs::write(format!("{BINFMT}/{handler}"), "-1").unwrap();
    wait_until(
        std::time::Duration::from_secs(2),
        "the handler is back",
        || our_handlers().contains(&handler),
    );
    // What was emulated when the handler went cannot start its next program in that moment.
    let outcome = build.finish();
    assert!(
        matches!(outcome.code, Some(0 | 3 | 4)),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains(&handler), "{}", outcome.stderr);
    before.assert_unchanged();
}

#[test]
fn a_killed_builder_is_an_error_of_the_machine() {
    if !engine_available() {
        return;
    }
    for deed in [&["kill"][..], &["rm", "--force"][..]] {
        let before = Machine::snapshot();
        let user = TestUser::new();
        let build = start(&user, "    sleep 600");
        docker(&[deed, &[&running("builder")]].concat());
        let outcome = build.finish();
        assert_eq!(outcome.code, Some(3), "{deed:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("builder"), "{}", outcome.stderr);
        before.assert_unchanged();
    }
}
