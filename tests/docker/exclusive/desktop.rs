//! A SIMULATION of Docker Desktop (`tests/support/desktop.rs`) that has a handler of its own in the table.

use std::fs;
use std::path::PathBuf;

use crate::support::*;

/// Copies the emulator out of our own container image; returns its path.
fn emulator(user: &TestUser) -> PathBuf {
    let format = "{{.Repository}}:{{.Tag}}";
    let images = docker_lines(&["images", "--format", format, "sdbuild/registrar"]);
    let machine = |image: &str| docker(&["inspect", "--format", "{{.Architecture}}", image]);
    let ours = |image: &&String| machine(image).trim() == "amd64";
    let container = docker(&["create", images.iter().find(ours).unwrap()]);
    let path = user.home.path().join("qemu-aarch64");
    let from = format!("{}:/sdbuild/qemu-aarch64", container.trim());
    docker(&["cp", "--follow-link", &from, path.to_str().unwrap()]);
    docker(&["rm", container.trim()]);
    path
}

#[test]
fn simulated_docker_desktop_builds_with_its_own_entry() {
    needs!(engine_ready());
    let before = Machine::snapshot();
    let desktop = DockerDesktop::start(Refuses::Profiles);
    let user = desktop.user();
    user.write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
    let goes_on = [
        "Mounts denied",
        "continuing with an entry for QEMU that only the build's container sees",
        "seccomp profile: not allowed",
        "continuing with the existing binfmt_misc entry, if there is one",
    ];
    if !machine_emulates() {
        let nothing =
            run(&mut user.build(&[])).assert_exit_code(3).assert_stderr_contains(&goes_on);
        nothing.assert_stderr_contains(&[
            "error: could not start the container that registers QEMU",
            "xec format error",
        ]);
        before.assert_unchanged();
    }
    let theirs = Handler::of_a_desktop("qemu-aarch64-desktop", &emulator(&user));
    let built = run(&mut user.build(&[])).assert_exit_code(0).assert_stderr_contains(&goes_on);
    assert_eq!(fs::read_to_string(built.image()).unwrap(), "small\n");
    assert!(handlers().contains_key(&theirs.0), "it is theirs");
    drop(theirs);
    before.assert_unchanged();
}
