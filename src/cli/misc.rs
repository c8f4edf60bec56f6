//! The flags of the smaller commands.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Build;
use crate::common::build_mode::EmulationChoice;
use crate::common::flake_ref::FlakeRef;
use crate::common::system::System;
use crate::settings::{BuildArgs, ConfigArgs, NixpkgsSource, Options, help_of};

/// Which nixpkgs a configuration is evaluated with, for commands that are not a build.
#[derive(Clone, Debug, Default, Args)]
pub struct NixpkgsArgs {
    #[arg(long, value_name = "DIR|URL|RELEASE", help = help_of("nixpkgs"))]
    nixpkgs: Option<NixpkgsSource>,

    #[arg(long, value_enum, value_name = "SYSTEM", help = help_of("system"))]
    system: Option<System>,
}

impl NixpkgsArgs {
    /// The settings of a build that these flags give.
    pub(super) fn options(&self) -> Options {
        Options {
            nixpkgs: self.nixpkgs.clone(),
            system: self.system,
            ..Options::default()
        }
    }
}

/// `sdbuild check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Configuration to check: a file, a directory with a sd-card.nix or a flake.nix, or a flake as REF#NAME; instead of --config or --flake
    #[arg(value_name = "PATH", conflicts_with_all = ["config", "flake"])]
    path: Option<PathBuf>,

    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// What it is evaluated with.
    #[command(flatten)]
    pub nixpkgs: NixpkgsArgs,

    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

impl Check {
    /// The build of the same configuration.
    pub fn build(&self) -> BuildArgs {
        BuildArgs {
            config: self.config.or_path(self.path.as_deref()),
            options: self.nixpkgs.options(),
            ..BuildArgs::default()
        }
    }
}

/// `sdbuild lock`.
#[derive(Debug, Args)]
pub struct Lock {
    /// Inputs to update [default: none, only what is missing is added]
    pub inputs: Vec<String>,

    /// Flake whose lock it is: a directory [default: .]
    #[arg(long, value_name = "REF")]
    pub flake: Option<FlakeRef>,
}

/// `sdbuild try`.
#[derive(Debug, Args)]
pub struct Try {
    /// Keep the image, its key and its configuration in this directory; it is created if it does not exist
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    #[arg(long, value_enum, value_name = "MODE", hide_possible_values = true, help = help_of("emulation"))]
    pub emulation: Option<EmulationChoice>,

    /// Do not boot the image
    #[arg(long)]
    pub no_boot: bool,
}

/// `sdbuild doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Configuration whose sdbuild.toml is used [default: ./sd-card.nix]
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// `sdbuild status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// `sdbuild settings`.
#[derive(Debug, Args)]
pub struct Settings {
    /// The flags of a build.
    #[command(flatten)]
    pub build: Build,
}

/// `sdbuild completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// Shell to complete commands in
    #[arg(value_enum)]
    pub shell: CompletionShell,
}

/// A shell that completions can be written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompletionShell {
    /// GNU Bash with bash-completion.
    Bash,
    /// Z shell.
    Zsh,
    /// Fish.
    Fish,
}
