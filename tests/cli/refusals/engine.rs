//! The engine, and the way to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use crate::support::*;
use crate::{GOOD, as_nobody, user};

#[test]
fn missing_engine_is_an_environment_error() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    run(&mut user.build(&[]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["no engine answers", "hint: "]);
    assert!(user.outputs().is_empty());
}

#[test]
fn unusable_socket_names_the_group() {
    if !root_available() {
        return;
    }
    let user = TestUser::new();
    user.write("sd-card.nix", GOOD);
    let socket = user.home.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let user = user.with("DOCKER_HOST", format!("unix://{}", socket.display()));
    fs::set_permissions(user.out(), fs::Permissions::from_mode(0o777)).unwrap();
    as_nobody(&user, &[])
        .assert_exit_code(3)
        .assert_stderr_contains(&["usermod -aG docker", "rootless"]);
    drop(listener);
}

#[test]
fn empty_docker_host_is_unset() {
    let user = TestUser::new()
        .with("DOCKER_HOST", "")
        .with("DOCKER_CONTEXT", "none-such");
    user.write("sd-card.nix", GOOD);
    run(&mut user.build(&[]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["none-such"]);
}
