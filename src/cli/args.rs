//! The flags of all commands but `build`, `boot`, `flash`, `init` and `inspect`.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help text, where backticks would show"
)]

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use clap_complete::Shell as CompletionShell;

use super::Build;
use crate::settings::{
    BuildArgs, ConfigArgs, MACHINE, NIX, NixpkgsSource, Number, Options, StoreName, WordList,
    help_of,
};
use sdbuild_build::build_mode::EmulationChoice;
use sdbuild_core::machine_source::BuildOn;
use sdbuild_core::system::System;
use sdbuild_image::board::BoardName;
use sdbuild_image::image_format::Format;
use sdbuild_nix::flake_ref::FlakeRef;

/// What Nix evaluates a configuration with, and where it fetches from, for commands that are not a build.
#[derive(Clone, Debug, Default, Args)]
pub struct NixArgs {
    #[arg(long, value_name = "DIR|URL|RELEASE", help_heading = NIX, help = help_of("nixpkgs"))]
    nixpkgs: Option<NixpkgsSource>,

    #[arg(long, value_enum, value_name = "SYSTEM", help_heading = MACHINE, hide_short_help = true, help = help_of("system"))]
    system: Option<System>,

    #[arg(long, value_name = "URLS", help_heading = NIX, hide_short_help = true, help = help_of("substituters"))]
    substituters: Option<WordList>,

    #[arg(long, value_name = "KEYS", help_heading = NIX, hide_short_help = true, help = help_of("trusted_public_keys"))]
    trusted_public_keys: Option<WordList>,

    #[arg(long, value_name = "URLS", help_heading = NIX, hide_short_help = true, help = help_of("extra_substituters"))]
    extra_substituters: Option<WordList>,

    #[arg(long, value_name = "KEYS", help_heading = NIX, hide_short_help = true, help = help_of("extra_trusted_public_keys"))]
    extra_trusted_public_keys: Option<WordList>,

    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = NIX, hide_short_help = true, help = help_of("fallback"))]
    fallback: Option<bool>,

    #[arg(long, value_name = "FILE", help_heading = NIX, hide_short_help = true, help = help_of("netrc_file"))]
    netrc_file: Option<PathBuf>,

    #[arg(long, value_name = "FILE", help_heading = NIX, hide_short_help = true, help = help_of("ca_file"))]
    ca_file: Option<PathBuf>,
}

impl NixArgs {
    /// The settings of a build that these flags give.
    pub(super) fn options(&self) -> Options {
        Options {
            nixpkgs: self.nixpkgs.clone(),
            system: self.system,
            substituters: self.substituters.clone(),
            trusted_public_keys: self.trusted_public_keys.clone(),
            extra_substituters: self.extra_substituters.clone(),
            extra_trusted_public_keys: self.extra_trusted_public_keys.clone(),
            fallback: self.fallback,
            netrc_file: self.netrc_file.clone(),
            ca_file: self.ca_file.clone(),
            ..Options::default()
        }
    }
}

/// `sdbuild check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Configurations to check: files, directories, or flakes such as .#pi [default: the one here]
    ///
    /// The one here is the flake that sdbuild.toml names, otherwise sd-card.nix, otherwise flake.nix. A directory must have an sd-card.nix or a flake.nix. PATH cannot be combined with --config or --flake.
    #[arg(value_name = "PATH", conflicts_with_all = ["config", "flake"])]
    path: Vec<PathBuf>,

    /// Every configuration of the flake for which there is an image
    #[arg(long, hide_short_help = true)]
    pub all: bool,

    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// What Nix evaluates it with.
    #[command(flatten)]
    pub nix: NixArgs,

    /// Board that the image is for, one of `sdbuild boards`; check then also checks what it needs
    #[arg(
        long,
        ignore_case = true,
        value_name = "NAME",
        hide_possible_values = true
    )]
    board: Option<BoardName>,

    /// Format of the image, one of `sdbuild formats` [default: sd-card] [env: SDBUILD_FORMAT]
    #[arg(long, value_name = "NAME")]
    format: Option<Format>,

    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

impl Check {
    /// The build of each configuration.
    pub fn each(&self) -> Vec<BuildArgs> {
        let each = self.config.each(&self.path).into_iter();
        each.map(|config| BuildArgs {
            config,
            options: Options {
                board: self.board,
                format: self.format.clone(),
                ..self.nix.options()
            },
            ..BuildArgs::default()
        })
        .collect()
    }
}

/// `sdbuild clean`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Clean {
    /// Remove only old build results from the store volume, and the packages that nothing else needs
    #[arg(long)]
    pub old: bool,

    /// With --old: build results to keep of each configuration, 0 to 3 [default: 1]
    #[arg(long, value_name = "N")]
    pub keep: Option<Number<0, 3>>,

    /// Remove only the downloads
    #[arg(long)]
    pub downloads: bool,

    /// Remove only this store volume; with --old, old results from it
    #[arg(long, value_name = "NAME", conflicts_with = "downloads")]
    pub store: Option<StoreName>,

    /// Remove all store volumes, not only the one of the current settings
    #[arg(long, conflicts_with_all = ["old", "downloads", "store"])]
    pub all: bool,

    #[cfg(feature = "cloud")]
    /// Remove only what earlier runs left at AWS: machines that no build uses any more, and snapshots without an image
    #[arg(long, conflicts_with_all = ["old", "downloads", "store", "all"])]
    pub cloud: bool,

    #[cfg(feature = "cloud")]
    /// With --cloud: AWS region [default: AWS_REGION, or that of the profile]
    #[arg(
        long,
        value_name = "REGION",
        requires = "cloud",
        hide_short_help = true
    )]
    pub region: Option<String>,

    #[cfg(feature = "cloud")]
    /// With --cloud: profile of ~/.aws/config and ~/.aws/credentials [default: AWS_PROFILE, or default]
    #[arg(long, value_name = "NAME", requires = "cloud", hide_short_help = true)]
    pub profile: Option<String>,

    /// List what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
}

/// `sdbuild boards`.
#[derive(Debug, Args)]
pub struct Boards {
    /// Board to describe [default: list all]
    #[arg(ignore_case = true, hide_possible_values = true)]
    pub board: Option<BoardName>,
    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// `sdbuild formats`.
#[derive(Debug, Args)]
pub struct Formats {
    /// Format to describe [default: list all]
    pub format: Option<Format>,
    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// `sdbuild lock`.
#[derive(Debug, Args)]
pub struct Lock {
    /// Inputs to update; without any, lock only adds missing ones, and updates nixpkgs for an sd-card.nix
    pub inputs: Vec<String>,

    /// Directory of the flake to lock [default: what a build uses here]
    #[arg(long, value_name = "REF")]
    flake: Option<FlakeRef>,

    /// Inputs that your own git resolves and fetches, with your credential helpers, separated by spaces [default: those by SSH and from repositories of this machine]
    #[arg(long, value_name = "NAMES")]
    git_inputs: Option<WordList>,
}

impl Lock {
    /// The build whose lock it is.
    pub fn build(&self) -> BuildArgs {
        BuildArgs {
            config: ConfigArgs {
                flake: self.flake.clone(),
                git_inputs: self.git_inputs.clone(),
                ..ConfigArgs::default()
            },
            ..BuildArgs::default()
        }
    }
}

/// `sdbuild try`.
#[derive(Debug, Args)]
pub struct Try {
    /// Directory to keep the image, its key and its configuration in, created if missing; without it, nothing is kept
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    #[arg(long, value_enum, value_name = "MODE", help = help_of("emulation"))]
    pub emulation: Option<EmulationChoice>,

    /// Do not boot the image
    #[arg(long)]
    pub no_boot: bool,
}

/// `sdbuild doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Configuration whose sdbuild.toml is used [default: ./sd-card.nix]
    #[arg(short, long, value_name = "PATH", conflicts_with = "flake")]
    config: Option<PathBuf>,

    /// Provider of rented machines to check, with free calls only: aws, aws:OPTION,… or command:PROGRAM [env: SDBUILD_ON]
    #[arg(long, value_name = "PROVIDER")]
    on: Option<BuildOn>,

    /// Flake whose sdbuild.toml is used
    #[arg(long, value_name = "REF")]
    flake: Option<FlakeRef>,

    #[arg(long, value_name = "DIR|URL|RELEASE", help = help_of("nixpkgs"))]
    nixpkgs: Option<NixpkgsSource>,

    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

impl Doctor {
    /// The build whose conditions are checked.
    pub fn build(&self) -> BuildArgs {
        BuildArgs {
            config: ConfigArgs {
                config: self.config.clone(),
                flake: self.flake.clone(),
                ..ConfigArgs::default()
            },
            options: Options {
                on: self.on.clone(),
                nixpkgs: self.nixpkgs.clone(),
                ..Options::default()
            },
            ..BuildArgs::default()
        }
    }
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
    /// The flags of a build; a name of a setting can stand in place of the configuration.
    #[command(flatten)]
    pub build: Build,
}

/// `sdbuild man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Command whose page to write, such as build or publish aws [default: sdbuild itself]
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub command: Vec<String>,

    /// Directory to write all pages to, each to a file of its own; created if missing
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `sdbuild completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// Shell to complete commands in
    #[arg(value_enum)]
    pub shell: CompletionShell,
}

/// `sdbuild cache`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Export what a build made and no binary cache has, as a binary cache
    Export(CacheExport),
    /// Print the public key that verifies exports; create the key pair if there is none
    Key(CacheKey),
}

/// `sdbuild cache key`.
#[derive(Debug, Args)]
pub struct CacheKey {
    /// File of the secret key [default: ~/.config/sdbuild/cache-key]
    pub file: Option<PathBuf>,
}

/// `sdbuild cache export`.
#[derive(Debug, Args)]
pub struct CacheExport {
    /// Destination: a directory, http(s)://… of a cache that accepts PUT, or ssh-ng://USER@HOST
    #[arg(value_name = "DIR|URL")]
    pub destination: String,

    /// Image whose build to export, with its manifest beside it [default: the newest one here]
    pub image: Option<PathBuf>,

    /// Secret key to sign with [default: ~/.config/sdbuild/cache-key, created if missing]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// Also export paths that the configured caches already have
    #[arg(long)]
    pub all: bool,

    /// Configuration whose sdbuild.toml is used [default: ./sd-card.nix]
    #[arg(short, long, value_name = "PATH")]
    config: Option<PathBuf>,

    #[arg(
        long,
        value_name = "FILE",
        help = "Private key to log in to ssh-ng:// with [default: ~/.config/sdbuild/builder-key]"
    )]
    builder_key: Option<PathBuf>,

    #[arg(long, value_name = "URLS", help_heading = NIX, hide_short_help = true, help = help_of("substituters"))]
    substituters: Option<WordList>,

    #[arg(long, value_name = "URLS", help_heading = NIX, hide_short_help = true, help = help_of("extra_substituters"))]
    extra_substituters: Option<WordList>,

    #[arg(long, value_name = "FILE", help_heading = NIX, hide_short_help = true, help = help_of("netrc_file"))]
    netrc_file: Option<PathBuf>,

    #[arg(long, value_name = "FILE", help_heading = NIX, hide_short_help = true, help = help_of("ca_file"))]
    ca_file: Option<PathBuf>,
}

impl CacheExport {
    /// The build with the same store, caches and logins.
    pub fn build(&self) -> BuildArgs {
        BuildArgs {
            config: ConfigArgs {
                config: self.config.clone(),
                ..ConfigArgs::default()
            },
            options: Options {
                builder_key: self.builder_key.clone(),
                substituters: self.substituters.clone(),
                extra_substituters: self.extra_substituters.clone(),
                netrc_file: self.netrc_file.clone(),
                ca_file: self.ca_file.clone(),
                ..Options::default()
            },
            ..BuildArgs::default()
        }
    }
}

/// `sdbuild seed`.
#[derive(Debug, Args)]
pub struct Seed {
    /// Configuration (#cloud-config), script (#!) or another kind of user-data that cloud-init knows
    #[arg(long, value_name = "FILE")]
    pub user_data: PathBuf,

    /// Meta-data in YAML [default: generated, with an instance-id derived from the other files]
    #[arg(long, value_name = "FILE")]
    pub meta_data: Option<PathBuf>,

    /// Network configuration in YAML; without it, the machine uses DHCP
    #[arg(long, value_name = "FILE")]
    pub network_config: Option<PathBuf>,

    /// Vendor-data; user-data overrides it
    #[arg(long, value_name = "FILE")]
    pub vendor_data: Option<PathBuf>,

    /// Host name in the generated meta-data [default: that of the user-data]
    #[arg(long, value_name = "NAME", conflicts_with = "meta_data")]
    pub hostname: Option<String>,

    /// File to write; sdbuild does not replace a file with other content
    #[arg(short, long, value_name = "FILE", default_value = "seed.img")]
    pub output: PathBuf,

    /// Print one JSON object instead of the path of the seed
    #[arg(long)]
    pub json: bool,
}

/// `sdbuild shell`.
#[derive(Debug, Args)]
pub struct Shell {
    /// Derivation to get the build environment of: a store path, or the name of one that failed in an earlier build. Or a
    /// configuration, such as .#pi, for a shell in its directory [default: the configuration's directory, ready for nix-build]
    pub derivation: Option<String>,

    /// Command to run instead of an interactive shell; sdbuild prints its output, and exits with its code
    #[arg(long, value_name = "CMD", value_parser = NonEmptyStringValueParser::new())]
    pub run: Option<String>,

    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// What Nix evaluates it with.
    #[command(flatten)]
    pub nix: NixArgs,

    #[arg(long, value_enum, value_name = "MODE", help_heading = MACHINE, hide_short_help = true, help = help_of("emulation"))]
    emulation: Option<EmulationChoice>,

    #[arg(long, value_name = "REF", help_heading = MACHINE, hide_short_help = true, help = help_of("builder_image"))]
    builder_image: Option<String>,
}

impl Shell {
    /// The build that has the same builder.
    pub fn build(&self) -> BuildArgs {
        BuildArgs {
            config: self.config.clone(),
            options: Options {
                emulation: self.emulation,
                builder_image: self.builder_image.clone(),
                ..self.nix.options()
            },
            ..BuildArgs::default()
        }
    }
}
