//! The flags of `deploy`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::args::NixpkgsArgs;
use crate::settings::{BuildArgs, ConfigArgs, MACHINE, Options, help_of};
use sdbuild_build::build_mode::EmulationChoice;
use sdbuild_core::failure::Failure;
use sdbuild_deploy::{Host, Mode};
use sdbuild_image::image_format::Format;

/// `sdbuild deploy`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Deploy {
    /// Configuration and address: [CONFIGURATION] [USER@]HOST
    ///
    /// CONFIGURATION is a file, a directory or a flake such as .#pi [default: the one here]. HOST is what ssh connects to.
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,

    /// The configuration.
    #[command(flatten)]
    config: ConfigArgs,

    /// The nixpkgs that it is evaluated with.
    #[command(flatten)]
    nixpkgs: NixpkgsArgs,

    #[arg(long, value_name = "NAME", help_heading = MACHINE, hide_short_help = true, help = help_of("format"))]
    format: Option<Format>,

    #[arg(long, value_enum, value_name = "MODE", help_heading = MACHINE, hide_short_help = true, help = help_of("emulation"))]
    emulation: Option<EmulationChoice>,

    /// Show what would change, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,

    /// Change only what the board starts next
    #[arg(long)]
    boot: bool,

    /// Change the board only until it is restarted
    #[arg(long, conflicts_with = "boot")]
    test: bool,

    /// With --boot: restart the board, and wait until it runs the new system
    #[arg(long, requires = "boot")]
    pub reboot: bool,

    /// List the systems that the board has, and change nothing
    #[arg(long, conflicts_with_all = ["boot", "test", "dry_run"])]
    pub list: bool,

    /// Return the board to the system before the current one
    #[arg(long, conflicts_with_all = ["boot", "test", "dry_run", "list"])]
    pub rollback: bool,

    /// Remove the older systems of the board, and what only they need; --dry-run only lists them
    #[arg(long, conflicts_with_all = ["boot", "test", "list", "rollback"])]
    pub collect: bool,

    /// Copy everything that the board lacks, in place of having it fetch what its own binary caches have
    #[arg(long, hide_short_help = true)]
    pub no_substitute: bool,
}

/// What is deployed where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployTarget {
    /// The configuration, if it is named.
    pub configuration: Option<PathBuf>,
    /// The board.
    pub host: Host,
}

impl Deploy {
    /// What is deployed where.
    pub fn target(&self) -> Result<DeployTarget, Failure> {
        let (configuration, host) = match self.targets.as_slice() {
            [host] => (None, host),
            [configuration, host] => (Some(configuration.into()), host),
            _ => {
                return Err(Failure::usage(
                    "deploy takes a configuration and the address of a board",
                ));
            }
        };
        let host = host.parse().map_err(Failure::usage)?;
        Ok(DeployTarget {
            configuration,
            host,
        })
    }

    /// How far the system is put into effect.
    pub fn mode(&self) -> Mode {
        match (self.boot, self.test) {
            (true, _) => Mode::Boot,
            (_, true) => Mode::Test,
            _ => Mode::Switch,
        }
    }

    /// The build of the system of `configuration`.
    pub fn build(&self, configuration: Option<&Path>) -> BuildArgs {
        BuildArgs {
            config: self.config.or_path(configuration),
            options: Options {
                format: self.format.clone(),
                emulation: self.emulation,
                ..self.nixpkgs.options()
            },
            ..BuildArgs::default()
        }
    }
}
