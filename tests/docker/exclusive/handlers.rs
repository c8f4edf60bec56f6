//! Handlers of other runs and programs: our stale ones are swept, foreign ones are untouched.

use std::fs;

use crate::support::*;

#[test]
fn stale_handler_is_swept_and_foreign_one_untouched() {
    needs!(engine_ready());
    let foreign = Handler::register("foreign-aarch64", "/bin/false");
    let lookalike = Handler::register("sdbuild-aarch64-notarunid", "/bin/false");
    let before = Machine::snapshot();
    let interpreter = "/sdbuild/qemu-aarch64";
    let _stale = Handler::register("sdbuild-aarch64-00000000dead", interpreter).forgotten();
    let user = TestUser::new();
    user.build_of(&product(SMALL_IMAGE), &[])
        .assert_exit_code(0)
        .assert_stderr_contains(&["sdbuild-aarch64-00000000dead"]);
    assert_eq!(fs::read_to_string(user.out().join("small.img")).unwrap(), "small\n");
    before.assert_unchanged();
    drop((foreign, lookalike));
}

/// The run may use another engine or another state directory: only its handler is visible.
#[test]
fn young_handler_of_an_unknown_run_is_kept() {
    needs!(engine_ready());
    let theirs = Handler::register("sdbuild-aarch64-00000000a11e", "/sdbuild/qemu-aarch64");
    let user = TestUser::new();
    user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    assert!(our_handlers().contains(&theirs.0), "{:?}", our_handlers());
}

#[test]
fn host_emulation_uses_an_existing_handler() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    if !machine_emulates() {
        // Without any handler the probe must fail, and nothing may be built.
        let none = run(&mut user.build(&["--emulation", "host"])).assert_exit_code(3);
        // Seen beforehand where the engine's kernel is this machine's, and by the probe elsewhere.
        let reasons = ["binfmt_misc has no entry for", "xec format error"];
        let told = reasons.iter().any(|why| none.stderr.contains(why));
        assert!(told, "{}", none.stderr);
    }
    // An existing handler, here that of another run of ours, is used unchanged.
    let other = TestUser::new();
    other.write("sd-card.nix", &product("    echo holding on\n    sleep 600"));
    let mut holder = Running::start(&mut other.build(&["-v"]));
    holder.wait_for("holding on");
    let held = our_handlers();
    run(&mut user.build(&["--emulation", "host"])).assert_exit_code(0);
    assert_eq!(our_handlers(), held, "the live run's handler is left alone");
    holder.signal(nix::sys::signal::Signal::SIGINT);
    holder.finish();
    assert!(our_handlers().is_empty());
}
