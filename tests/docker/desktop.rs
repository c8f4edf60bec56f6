//! A SIMULATION of Docker Desktop (`tests/support/desktop.rs`): what `auto` does where containers cannot mount the
//! kernel's table. Only the simulated answers are not real.

use std::fs;

use crate::support::*;

#[test]
fn simulated_docker_desktop_builds_with_private_emulation() {
    needs!(engine_ready());
    let desktop = DockerDesktop::start(Refuses::Dirs);
    let user = desktop.user();
    let runs = user.track_runs();
    let doctor = run(&mut user.sdbuild(&["doctor", "--json"])).stdout;
    for part in [
        " in Docker Desktop answers at ",
        "6.12.54-linuxkit",
        "QEMU that Docker Desktop has registered",
    ] {
        assert!(doctor.contains(part), "`{part}` is not in:\n{doctor}");
    }

    let built = user
        .build_of(&product(&fresh(SMALL_IMAGE)), &[])
        .assert_exit_code(0)
        .assert_stderr_contains(&[
            "Mounts denied",
            "continuing with an entry for QEMU that only the build's container sees",
        ]);
    assert_eq!(fs::read_to_string(built.image()).unwrap(), "small\n");
    runs.assert_nothing_left();
}
