//! Paths inside the builder; `containers/builder/entry` has the same ones.

/// The configuration's directory.
pub const CONFIG: &str = "/build/config";
/// The beginning of the paths below it.
pub const CONFIG_DIR: &str = "/build/config/";
/// The module that imports the user's configuration.
pub const WRAPPER: &str = "/build/sdbuild/wrapper.nix";
/// The directory of the expressions that Nix evaluates.
pub const EXPRESSIONS: &str = "/build/sdbuild/expressions";
/// The one among them that is the configuration.
pub const SOURCE: &str = "/build/sdbuild/expressions/source.nix";
/// The module among them with the definitions of the command line.
pub const CLI_MODULE: &str = "/build/sdbuild/expressions/command-line.nix";
/// The directory among them with the expression for native glue.
pub const GLUE_EXPRESSION: &str = "/build/sdbuild/expressions/glue";
/// The directory of the flake that overrides inputs of the user's.
pub const OVERRIDDEN: &str = "/build/sdbuild/overridden";
/// Shell functions for flakes, which the entry reads.
pub const FLAKE: &str = "/build/sdbuild/flake";
/// The program that prepares the volume and runs Nix.
pub const ENTRY: &str = "/build/sdbuild/entry";
/// The program that runs as PID 1, and ends everything when the heartbeats stop.
pub const WATCHDOG: &str = "/build/sdbuild/watchdog";
/// The beginning of the container's command; the program that the entry runs follows.
pub const COMMAND: [&str; 4] = ["/bin/sh", WATCHDOG, "/bin/sh", ENTRY];
/// Shell functions for native glue, which the entry reads.
pub const GLUE: &str = "/build/sdbuild/glue";
/// Shell functions that remember evaluations, which the entry reads.
pub const EVALUATIONS: &str = "/build/sdbuild/evaluations";
/// The program that reports how far long builds are.
pub const STEPS: &str = "/build/sdbuild/steps";
/// The key of the evaluation.
pub const EVALUATION_KEY: &str = "/build/sdbuild/evaluation";
/// The keys of the evaluations of other configurations of the flake that are next, a line each.
pub const NEXT: &str = "/build/sdbuild/next";
/// What is [`SOURCE`] of the one with this number, from 1.
pub fn next_source(number: usize) -> String {
    format!("{EXPRESSIONS}/source-{number}.nix")
}
/// The mirror that the miniature nixpkgs fetches from, for an evaluation that sees no variables.
pub const DEBIAN_MIRROR: &str = "/build/sdbuild/debian-mirror";
/// The directory with `ssh`, the first one in PATH.
pub const SSH_DIR: &str = "/build/sdbuild/ssh";
/// The program there that Nix runs as ssh.
pub const SSH: &str = "/build/sdbuild/ssh/ssh";
/// Certificate authorities of the user's.
pub const AUTHORITIES: &str = "/build/sdbuild/authorities.pem";
/// A file system in memory for what is secret: logins, and proxies with their passwords.
pub const SECRETS: &str = "/run/sdbuild";
/// The file `name` there.
pub fn secret(name: &str) -> String {
    format!("{SECRETS}/{name}")
}
/// User names and passwords for servers.
pub const NETRC: &str = "/run/sdbuild/netrc";
/// The name of the file with the key that signs exports.
pub const CACHE_KEY: &str = "cache-key";
/// sdbuild's own directory on the store volume.
pub const HOME: &str = "/nix/var/sdbuild";
/// The home directory that Nix has in the builder: in memory, and empty at the beginning of each run.
pub const HOME_OF_NIX: &str = "/build/home";
/// The directory of the store volume that uploads are relative to.
pub const UPLOAD_ROOT: &str = "/nix/var";
/// Garbage collector roots of results: a directory for each configuration, and in it one for each run that is remembered.
pub const ROOTS: &str = "/nix/var/nix/gcroots/sdbuild";

/// What keeps the path `name` in Nix's store, which replaces an input of a flake.
pub fn input_root(name: &str) -> String {
    format!("{ROOTS}/inputs/{name}")
}

/// The files of the input with this number that the builder cannot fetch. In the store it has the directory's name, which is
/// that of every input.
pub fn input(number: usize) -> String {
    format!("/build/input-{number}/source")
}

/// The part below `/build` of a path beside the configuration's directory that is none of the files that sdbuild puts there.
pub fn beside_config(path: &str) -> Option<&str> {
    let below = path.strip_prefix("/build/")?;
    let first = below.split('/').next().unwrap_or_default();
    let is_own = ["config", "home", "sdbuild"].contains(&first) || first.starts_with("input-");
    (!is_own && !below.is_empty()).then_some(below)
}

/// The run's directory on the volume, because a tmpfs is limited by memory. Nix builds there, unless the entry has claimed the one
/// whose path is the same for every build.
pub fn build_dir(run: &str) -> String {
    format!("{HOME}/build/{run}")
}

/// The directory of the nixpkgs `name`.
pub fn nixpkgs(name: &str) -> String {
    format!("{HOME}/nixpkgs/{name}")
}

/// The directory of a run's uploads to the volume until the entry moves them to their final paths.
pub fn incoming(run: &str) -> String {
    format!("{HOME}/incoming-{run}")
}
