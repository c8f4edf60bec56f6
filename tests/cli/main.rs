//! Output and exit codes of the binary, without an engine. `CliTest` is the short way to write a test.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests fail by panicking; each tier uses its own part of the support"
)]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "each tier uses a part of it")]
mod support;

mod aws_credentials;
mod aws_double;
mod aws_kills;
mod aws_lease;
mod aws_machines;
mod aws_model;
mod boot;
mod ci;
mod clean;
mod cli_test;
mod deploy;
mod doctor;
mod documentation;
mod formats;
mod git_questions;
mod init;
mod init_ci;
mod inspect;
mod install_from_source;
mod install_script;
mod lock;
mod machine_kills;
mod machines;
mod newest_image;
mod output;
mod pins;
mod processes;
mod publish;
mod publish_checks;
mod publish_interruptions;
mod publish_races;
mod publish_removal;
mod publish_sharing;
mod reference;
mod refusals;
mod release;
mod seed;
mod settings;
mod status;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use support::*;

/// A configuration without errors that are found before it is evaluated.
const GOOD: &str = "{ networking.hostName = \"x\"; }";

/// A user without an engine.
fn user() -> TestUser {
    TestUser::new().with("DOCKER_HOST", "unix:///nonexistent/engine.sock")
}

/// Builds as a user who is neither root nor in any group, and who may read the home directory.
fn as_nobody(user: &TestUser, more: &[&str]) -> Outcome {
    fs::set_permissions(user.home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = user.home.path().join("sdbuild");
    fs::copy(env!("CARGO_BIN_EXE_sdbuild"), &binary).unwrap();
    let mut command = std::process::Command::new(&binary);
    command.args(["build", "--output"]).arg(user.out()).args(more);
    command.env_clear().envs(&user.environment).current_dir(user.home.path());
    run(command.uid(65534).gid(65534))
}
