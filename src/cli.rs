//! The command line, as near to the flags as possible: no I/O, no defaults that need the host.
//!
//! What a flag means when it is absent is decided in `settings`, which also reads the environment
//! and `sdbuild.toml`.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help text, where backticks would show"
)]

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Turns a sd-card.nix into a NixOS SD card image, with nothing but Docker.
#[derive(Debug, Parser)]
#[command(name = "sdbuild", version, about, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How to talk.
    #[command(flatten, next_help_heading = "Talk")]
    pub talk: Talk,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 2 usage or configuration, 3 this machine or the engine, 4 the Nix build failed,
5 something could not be removed (it is listed), 70 a bug in sdbuild, 128+n stopped by signal n.

The engine is found by DOCKER_HOST, the current Docker context, then /var/run/docker.sock.";

/// How much sdbuild says on standard error.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Talk {
    /// Show the builder's log as it comes.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the image that a configuration describes.
    Build(Build),
    /// Remove what sdbuild left on this machine: containers, images, volumes, handlers, cache.
    Clean(Clean),
}

/// `sdbuild build`.
#[derive(Debug, Args)]
pub struct Build {
    /// The NixOS configuration; its folder goes along [default: ./sd-card.nix].
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// Which nixpkgs: a folder, the URL of a tarball, or a release [default: 26.05] [env: SDBUILD_NIXPKGS].
    #[arg(long, value_name = "FOLDER|URL|RELEASE")]
    pub nixpkgs: Option<String>,

    /// The system that the image is for [default: aarch64-linux].
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,

    /// How aarch64 programs run on this machine [default: auto].
    #[arg(long, value_enum, value_name = "MODE")]
    pub emulation: Option<EmulationChoice>,

    /// A container image that has Nix, instead of sdbuild's own.
    #[arg(long, value_name = "REF")]
    pub builder_image: Option<String>,

    /// The folder that the image is written to [default: .].
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Replace an image of the same name.
    #[arg(short, long)]
    pub force: bool,

    /// Binary caches, separated by spaces; empty for none [default: that of NixOS] [env: SDBUILD_SUBSTITUTERS].
    #[arg(long, value_name = "URLS")]
    pub substituters: Option<String>,

    /// Public keys of the binary caches, separated by spaces [env: SDBUILD_TRUSTED_PUBLIC_KEYS].
    #[arg(long, value_name = "KEYS")]
    pub trusted_public_keys: Option<String>,

    /// Cores for each derivation; 0 for all [default: 0] [env: SDBUILD_CORES].
    #[arg(long, value_name = "N")]
    pub cores: Option<u32>,

    /// Derivations built at the same time [default: the engine's cores] [env: SDBUILD_JOBS].
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub jobs: Option<u32>,

    /// Say what would be fetched, made and written, and stop there.
    #[arg(long)]
    pub dry_run: bool,
}

/// `--emulation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EmulationChoice {
    /// None where the engine's machine runs the system itself, else register.
    Auto,
    /// Add a handler to the kernel for the time of the run.
    Register,
    /// Use the handler that is there already, after a probe.
    Host,
    /// No emulation.
    None,
}

/// `sdbuild clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// List what would be removed, and stop there.
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
