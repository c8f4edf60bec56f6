//! Tests that run while no other test uses the engine: `clean` removes what no live run holds.

use nix::sys::signal::Signal;

use crate::registrar::start;
use crate::store_in_use::StoreInUse;
use crate::support::*;

#[test]
fn clean_and_build_sweep_after_registrar_and_sdbuild_are_killed() {
    needs!(engine_ready());
    for sweep_by_clean in [true, false] {
        let user = TestUser::new().with_own_cache();
        let runs = user.track_runs();
        let before = Machine::snapshot();
        let build = start(&user, "    sleep 600");
        let registrar = runs.container("registrar");
        pause(&registrar);
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
            user.build_of(&product(SMALL_IMAGE), &[])
                .assert_exit_code(0)
                .assert_stderr_contains(&[&stale[0]]);
        }
        before.assert_unchanged();
    }
}
