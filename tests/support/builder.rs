//! Runs scripts of the tests in a builder, beside the builders of the runs under test.

use std::process::Command;

use super::{Outcome, docker, docker_lines, run};

/// The store volume that the tests share, which is not the default: that one may be in use by who runs the tests.
pub const STORE: &str = "sdbuild-store-tests";

/// A container image of the builder for this machine that a build has loaded, or `None`.
pub fn builder_image() -> Option<String> {
    own_image("builder")
}

/// Our container image `name` for this machine, or `None`. The engine may have several, of earlier commits and for other
/// machines.
pub fn own_image(name: &str) -> Option<String> {
    let ours = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    let machine = |image: &String| docker(&["inspect", "--format", "{{.Architecture}}", image]);
    let format = "{{.Repository}}:{{.Tag}}";
    let repository = format!("sdbuild/{name}");
    let mut images = docker_lines(&["images", "--format", format, &repository]).into_iter();
    images.find(|image| machine(image).trim() == ours)
}

/// Runs a shell script with `arguments` as the builder's user, with the store volume `store`, the further `volumes`
/// and no network.
pub fn in_builder(store: &str, volumes: &[&str], script: &str, arguments: &[&str]) -> Outcome {
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--network", "none"]);
    command.args(["--volume", &format!("{store}:/nix")]);
    command.args(volumes.iter().flat_map(|volume| ["--volume", volume]));
    command.args(["--env", "NIX_REMOTE=local"]);
    command.arg(builder_image().expect("a build has loaded one"));
    command.args(["sh", "-ec", script, "sh"]).args(arguments);
    run(&mut command)
}
