//! What the command line gives to a build, to `check` and to `shell`.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help text, where backticks would show"
)]

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::options::Options;
use super::value::WordList;
use sdbuild_nix::flake_ref::FlakeRef;

/// What a build is given: by the command line, or by a command that starts a build itself.
#[derive(Clone, Debug, Default, Args)]
pub struct BuildArgs {
    /// Settings that `sdbuild.toml` and variables can have as well; before the configuration, because help begins with where the
    /// image goes.
    #[command(flatten)]
    pub options: Options,

    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Private key for the login of --boot-test, such as ~/.ssh/id_ed25519 [default: the one beside --ssh-key, otherwise yours that the image accepts]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub login_key: Option<PathBuf>,

    /// Show what would be done, fetched and built
    ///
    /// With =forecast, which is the default, Nix evaluates the configuration. With =plan sdbuild does not run Nix, and changes nothing
    /// at all.
    #[arg(long, value_enum, value_name = "PHASE", num_args = 0..=1, require_equals = true,
        default_missing_value = "forecast", hide_possible_values = true)]
    pub dry_run: Option<DryRun>,
}

/// The configuration that a command is about, and what the command line adds to it.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Public key that may log in as root, such as ~/.ssh/id_ed25519.pub
    ///
    /// The keys in the configuration may log in too. You log in with the private key, which is the file of the same name without .pub:
    /// `sdbuild boot` finds it there, or takes it with --login-key.
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,

    /// Host name, instead of the configuration's
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// NixOS option to set (repeatable)
    ///
    /// A Nix list or set is added to the configuration's value. Anything else replaces it.
    #[arg(long, value_name = "OPTION=VALUE")]
    pub set: Vec<String>,

    /// NixOS configuration: a file, or a directory with an sd-card.nix; all files in its directory are used too [default: ./sd-card.nix]
    #[arg(
        short,
        long,
        value_name = "PATH",
        conflicts_with = "flake",
        hide_short_help = true
    )]
    pub config: Option<PathBuf>,

    /// Directory above the configuration that is uploaded with it, so that it can import ../common.nix [default: its own directory]
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "flake",
        hide_short_help = true
    )]
    pub root: Option<PathBuf>,

    /// Flake to build: REF is a directory, or github:OWNER/REPOSITORY and the like; NAME is one of its nixosConfigurations, or a whole attribute [default: the only one]
    #[arg(long, value_name = "REF[#NAME]", hide_short_help = true)]
    pub flake: Option<FlakeRef>,

    /// Input of the flake, and another flake to use instead, for instance a directory (repeatable)
    #[arg(long, value_names = ["INPUT", "REF"], num_args = 2, hide_short_help = true)]
    pub override_input: Vec<String>,

    /// Inputs of the flake that your own git fetches, with your credential helpers, separated by spaces; `self` is the flake itself [default: those by SSH and from repositories of this machine]
    #[arg(long, value_name = "NAMES", hide_short_help = true)]
    pub git_inputs: Option<WordList>,

    /// Use no network, only what is in the cache, the engine and the store volume [env: SDBUILD_OFFLINE]
    #[arg(
        long,
        num_args = 0,
        default_missing_value = "true",
        hide_short_help = true
    )]
    pub offline: Option<bool>,
}

impl ConfigArgs {
    /// One for each of `paths`, in their order; this one without any.
    pub(crate) fn each(&self, paths: &[PathBuf]) -> Vec<Self> {
        if paths.is_empty() {
            return vec![self.clone()];
        }
        paths.iter().map(|path| self.or_path(Some(path))).collect()
    }

    /// The same with `path`, if it is given, as the configuration: commands take it as an argument without a flag too.
    pub(crate) fn or_path(&self, path: Option<&Path>) -> Self {
        let path = path.map(Path::to_owned);
        Self {
            config: self.config.clone().or(path),
            ..self.clone()
        }
    }
}

/// `--dry-run`: how much of a build is done to describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Plan, and evaluate the configuration for Nix's forecast.
    Forecast,
    /// Only plan.
    Plan,
}
