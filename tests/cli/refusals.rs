//! What stops a build before it begins: flags, settings, the configuration, the directories, the engine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use crate::support::*;
use crate::{GOOD, as_nobody, user};

#[test]
fn every_problem_is_listed_at_once() {
    let user = user();
    let outcome = run(&mut user.sdbuild(&["build", "--output", "nowhere"])).assert_exit_code(2);
    outcome.assert_stderr_contains(&[
        "sd-card.nix",
        "nowhere",
        "no engine answers at unix:///nonexistent/engine.sock",
        "hint: ",
    ]);
}

#[test]
fn a_configuration_that_is_a_dir() {
    let user = user();
    fs::create_dir(user.home.path().join("sd-card.nix")).unwrap();
    run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["sd-card.nix is a directory"]);
}

#[test]
fn a_configuration_that_may_not_be_read() {
    if !root_available() {
        return;
    }
    let user = user();
    let config = user.write("sd-card.nix", GOOD);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    as_nobody(&user, &[])
        .assert_exit_code(2)
        .assert_stderr_contains(&["sd-card.nix", "ermission denied"]);
}

#[test]
fn an_output_dir_that_may_not_be_written() {
    if !root_available() {
        return;
    }
    let user = user();
    user.write("sd-card.nix", GOOD);
    as_nobody(&user, &[])
        .assert_exit_code(2)
        .assert_stderr_contains(&["write to the output directory", "out", "ermission denied"])
        .assert_stderr_contains(&["hint: name another directory with --output"]);
}

#[test]
fn an_output_dir_on_a_read_only_disk() {
    if !root_available() {
        return;
    }
    let user = user();
    user.write("sd-card.nix", GOOD);
    let build = user.build(&[]);
    // In a mount namespace of its own: the mount goes with the process.
    let mut mounted = std::process::Command::new("unshare");
    mounted.args(["--mount", "--propagation", "private", "sh", "-c"]);
    mounted.arg("mount -t tmpfs -o ro,size=64k none \"$0\" && exec \"$@\"");
    mounted.arg(user.out());
    mounted.arg(build.get_program()).args(build.get_args());
    mounted.env_clear().envs(&user.environment);
    run(mounted.current_dir(user.home.path()))
        .assert_exit_code(2)
        .assert_stderr_contains(&["write to the output directory", "Read-only file system"])
        .assert_stderr_contains(&["hint: name another directory with --output"]);
}

#[test]
fn an_output_dir_that_is_a_file() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    user.write("file", "");
    run(&mut user.sdbuild(&["build", "--output", "file"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["file", "not a directory"]);
}

#[test]
fn the_placeholder_stops_before_anything_else_is_asked() {
    let user = user();
    user.write(
        "sd-card.nix",
        &fs::read_to_string(root().join("sd-card.nix")).unwrap(),
    );
    let outcome = run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["line ", "placeholder", "ssh-keygen"]);
    let line = outcome
        .stderr
        .split("line ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let text = fs::read_to_string(root().join("sd-card.nix")).unwrap();
    let line: usize = line.parse().unwrap();
    assert!(text.lines().nth(line - 1).unwrap().contains("REPLACE-ME"));
}

#[test]
fn no_engine_is_the_machines_fault() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    run(&mut user.build(&[]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["no engine answers", "hint: "]);
    assert!(user.outputs().is_empty());
}

#[test]
fn a_socket_that_may_not_be_used_says_which_group() {
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
fn an_empty_docker_host_counts_as_unset() {
    let user = TestUser::new()
        .with("DOCKER_HOST", "")
        .with("DOCKER_CONTEXT", "none-such");
    user.write("sd-card.nix", GOOD);
    run(&mut user.build(&[]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["none-such"]);
}

#[test]
fn an_unknown_setting_is_named() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    user.write("sdbuild.toml", "nixpkg = '26.05'\n");
    run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["sdbuild.toml", "nixpkg"]);
}

#[test]
fn a_nixpkgs_dir_that_is_none() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    let empty = user.home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let words = ["build", "--nixpkgs", empty.to_str().unwrap()];
    run(&mut user.sdbuild(&words))
        .assert_exit_code(2)
        .assert_stderr_contains(&["empty", "nixos/default.nix"]);
}

#[test]
fn empty_variables_count_as_unset_and_bad_ones_are_named() {
    let user = user().with("SDBUILD_CORES", "").with("SDBUILD_NIXPKGS", "");
    user.write("sd-card.nix", GOOD);
    run(&mut user.sdbuild(&["build"])).assert_exit_code(3);
    for (name, value) in [
        ("SDBUILD_COMPRESS", "zip"),
        ("SOURCE_DATE_EPOCH", "yesterday"),
    ] {
        let user = self::user().with(name, value);
        user.write("sd-card.nix", GOOD);
        run(&mut user.sdbuild(&["build"]))
            .assert_exit_code(2)
            .assert_stderr_contains(&[value]);
    }
    let user = user.with("SDBUILD_JOBS", "many");
    run(&mut user.sdbuild(&["build"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["SDBUILD_JOBS", "many"]);
    let user = user.with("SDBUILD_JOBS", "0");
    run(&mut user.sdbuild(&["build"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["SDBUILD_JOBS"]);
}

#[test]
fn a_mirror_with_a_password_is_refused_without_repeating_it() {
    let user = user().with(
        "SDBUILD_DEBIAN_MIRROR",
        "http://me:s3cr3t@mirror.example/debian",
    );
    user.write("sd-card.nix", GOOD);
    let outcome = run(&mut user.build(&[])).assert_exit_code(2);
    assert!(!outcome.stderr.contains("s3cr3t"), "{}", outcome.stderr);
}

#[test]
fn a_program_is_on_the_leash_of_its_own_parent_only() {
    // Of init's, who did not start it.
    let user = user();
    let stranger = ["exec-with-parent", "1", "--", "/bin/echo", "loose"];
    let outcome = run(&mut user.sdbuild(&stranger)).assert_exit_code(3);
    assert_eq!(outcome.stdout, "");
}
