//! Handlers that are not this run's: stale ones of ours are swept, foreign ones are untouched.

use std::fs;

use crate::support::*;

#[test]
fn a_stale_handler_is_swept_and_a_foreign_one_is_untouched() {
    if !engine_available() {
        return;
    }
    let foreign = Handler::register("foreign-aarch64", "/bin/false");
    let lookalike = Handler::register("sdbuild-aarch64-notarunid", "/bin/false");
    let before = Machine::snapshot();
    let interpreter = "/sdbuild/qemu-aarch64";
    let _stale = Handler::register("sdbuild-aarch64-00000000dead", interpreter).forgotten();
    let user = TestUser::new();
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    run(&mut user.build(&[]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["sdbuild-aarch64-00000000dead"]);
    assert_eq!(
        fs::read_to_string(user.out().join("small.img")).unwrap(),
        "small\n"
    );
    before.assert_unchanged();
    drop((foreign, lookalike));
}

/// Somebody else's run, seen through another engine or from another state directory: its entry is all
/// that there is of it here.
#[test]
fn a_young_handler_of_an_unknown_run_is_left_alone() {
    if !engine_available() {
        return;
    }
    let theirs = Handler::register("sdbuild-aarch64-00000000a11e", "/sdbuild/qemu-aarch64");
    let user = TestUser::new();
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    run(&mut user.build(&[])).assert_exit_code(0);
    assert!(our_handlers().contains(&theirs.0), "{:?}", our_handlers());
}

#[test]
fn the_handler_of_the_host_serves_when_asked() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    if !machine_emulates() {
        // Without any handler the probe must fail, and nothing may be built.
        let none = run(&mut user.build(&["--emulation", "host"])).assert_exit_code(3);
        assert!(none.stderr.contains("xec format error"), "{}", none.stderr);
    }
    // With somebody's handler (here: the one of another run of ours) it is used as it is.
    let other = TestUser::new();
    other.write(
        "sd-card.nix",
        &product("    echo holding on\n    sleep 600"),
    );
    let mut holder = Running::start(&mut other.build(&["-v"]));
    holder.wait_for("holding on");
    let held = our_handlers();
    run(&mut user.build(&["--emulation", "host"])).assert_exit_code(0);
    assert_eq!(our_handlers(), held, "the live run's handler is left alone");
    holder.signal(nix::sys::signal::Signal::SIGINT);
    holder.finish();
    assert!(our_handlers().is_empty());
}

#[test]
fn emulation_none_on_another_architecture_is_refused() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    run(&mut user.build(&["--emulation", "none"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["x86_64", "aarch64-linux"]);
}

#[test]
fn two_builds_at_once_do_not_disturb_each_other() {
    if !engine_available() {
        return;
    }
    let before = Machine::snapshot();
    let people: Vec<TestUser> = (0..2)
        .map(|n| {
            let user = TestUser::new();
            let script =
                format!("{SMALL_IMAGE}\n    sleep 3; echo build {n} > $out/sd-image/small.img");
            user.write("sd-card.nix", &product(&fresh(&script)));
            user
        })
        .collect();
    let running: Vec<Running> = people
        .iter()
        .map(|user| Running::start(&mut user.build(&[])))
        .collect();
    for (n, (running, user)) in running.into_iter().zip(&people).enumerate() {
        let image = running.finish().assert_exit_code(0).image();
        assert!(image.starts_with(user.out()));
        assert_eq!(fs::read_to_string(image).unwrap(), format!("build {n}\n"));
    }
    before.assert_unchanged();
}
