//! The engine is killed or stalls during a build, or cannot do what a build needs.

use nix::sys::signal::Signal;

use crate::support::*;

/// A configuration whose image needs no network and no emulated program.
fn offline(script: &str) -> String {
    format!(
        "{{ lib, ... }}: {{ system.build.sdImage = lib.mkForce (derivation {{ name = \"offline\"; \
         system = \"aarch64-linux\"; builder = \"/bin/sh\"; args = [ \"-c\" ''{script}'' ]; }}); \
         imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ]; \
         system.stateVersion = \"26.05\"; }}"
    )
}

const QUICK: &str = "/bin/mkdir -p $out/sd-image $out/nix-support; echo x > $out/sd-image/x.img; \
    echo \"file sd-image $out/sd-image/x.img\" > $out/nix-support/hydra-build-products";

#[test]
fn next_run_cleans_up_after_a_killed_or_stopped_engine() {
    needs!(engine_ready());
    let mut engine = OwnEngine::start(false);
    let user = TestUser::new().with("DOCKER_HOST", engine.host());
    let runs = user.track_runs();
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        user.write("sd-card.nix", &offline("echo in the middle; /bin/sleep 600"));
        let mut build = Running::start(&mut user.build(&["-v"]));
        build.wait_for("in the middle");
        engine.end(signal);
        let outcome = build.finish();
        // 5 when the handler could not be removed without an engine: then it is listed.
        assert!(
            matches!(outcome.code, Some(3 | 5)),
            "{signal}: {:?} {}",
            outcome.code,
            outcome.stderr
        );
        assert!(outcome.stderr.contains("engine"), "{}", outcome.stderr);
        engine.restart();
        user.write("sd-card.nix", &offline(QUICK));
        let again = build_again(&user);
        assert_eq!(again.code, Some(0), "{}", again.stderr);
        assert_eq!(runs.handlers(), [""; 0]);
        let left = engine.docker(&["ps", "--all", "--quiet"]).stdout;
        assert_eq!(left, "", "containers are left in the engine");
    }
    killed_during_registrar_start(&mut engine, &user, &runs);
}

/// The failed run was once forgotten, and the next one took its container for that of another user's live run. The engine has all
/// that a build needs.
fn killed_during_registrar_start(engine: &mut OwnEngine, user: &TestUser, runs: &RunTracker) {
    let build = Running::start(&mut user.build(&["--force"]));
    wait_until(std::time::Duration::from_mins(1), "the registrar is created", || {
        engine.containers() > 0
    });
    engine.end(Signal::SIGKILL);
    let failed = build.finish().assert_exit_code(5);
    assert!(failed.stderr.contains("start the container that registers QEMU"), "{}", failed.stderr);
    engine.restart();
    build_again(user).assert_exit_code(0);
    let left = engine.docker(&["ps", "--all", "--quiet"]).stdout;
    assert_eq!(left, "", "containers are left in the engine");
    assert_eq!(runs.handlers(), [""; 0]);
}

/// Each step of the release once waited for its own timeout: more than two minutes in all.
#[test]
fn unresponsive_engine_does_not_delay_the_end() {
    needs!(engine_ready());
    let mut engine = OwnEngine::start(false);
    let user = TestUser::new().with("DOCKER_HOST", engine.host());
    let runs = user.track_runs();
    for times in [1, 2] {
        user.write("sd-card.nix", &offline(&format!("echo in the middle {times}; /bin/sleep 600")));
        let mut build = Running::start(&mut user.build(&["-v"]));
        build.wait_for("in the middle");
        engine.signal(Signal::SIGSTOP);
        let start = std::time::Instant::now();
        for _ in 0..times {
            build.signal(Signal::SIGINT);
        }
        let outcome = build.finish();
        let took = start.elapsed();
        engine.signal(Signal::SIGCONT);
        // What is left is reported; the next run removes it.
        assert_eq!(outcome.code, Some(5), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("interrupted"), "{}", outcome.stderr);
        assert!(took.as_secs() < 30, "it took {took:?}");
        user.write("sd-card.nix", &offline(QUICK));
        build_again(&user).assert_exit_code(0);
        assert_eq!(runs.handlers(), [""; 0]);
        let left = engine.docker(&["ps", "--all", "--quiet"]).stdout;
        assert_eq!(left, "", "containers are left in the engine");
    }
    engine.end(Signal::SIGTERM);
}

fn build_again(user: &TestUser) -> Outcome {
    run(&mut user.build(&["--force"]))
}

#[test]
fn build_without_binfmt_misc_works_or_hints_at_mounting_it() {
    needs!(engine_ready());
    let engine = OwnEngine::start(true);
    let user = TestUser::new().with("DOCKER_HOST", engine.host());
    let runs = user.track_runs();
    let outcome = user.build_of(&offline("echo x > $out"), &[]);
    let outcome =
        outcome.assert_stderr_contains(&["binfmt_misc is not mounted", "privileged container"]);
    // Where the engine may start one, or the kernel has private tables, the build gets as far as the missing product.
    match outcome.code {
        Some(4) => outcome.assert_stderr_contains(&["is not a directory"]),
        _ => outcome
            .assert_exit_code(3)
            .assert_stderr_contains(&["mount -t binfmt_misc binfmt_misc"]),
    };
    assert_eq!(engine.docker(&["ps", "--all", "--quiet"]).stdout, "");
    runs.assert_nothing_left();
}
