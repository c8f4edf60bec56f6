//! The definition of every setting that flags and settings files share.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help text, where backticks would show"
)]

use std::path::PathBuf;

use clap::builder::StyledStr;
use clap::{Args, Command};
use serde::{Deserialize, Serialize};

use super::builders::BuilderList;
use super::value::{NixpkgsSource, Number, StoreName, WordList};
use sdbuild_build::build_mode::{EmulationChoice, Glue};
use sdbuild_core::compression::CompressionOptions;
use sdbuild_core::machine_source::BuildOn;
use sdbuild_core::system::System;
use sdbuild_image::board::BoardName;
use sdbuild_image::image_format::Format;
use sdbuild_nix::flake_ref::FlakeRef;

/// Heading of the flags about Nix.
pub(crate) const NIX: &str = "Nix options";
/// Heading of the flags about the machine that builds, and the one that the image is for.
pub(crate) const MACHINE: &str = "Machine options";

/// Settings as one layer gives them: the command line, a settings file, or a command that starts a build itself. A field is
/// a flag of `build` unless it is skipped, and a key of `sdbuild.toml`; its comment is the help, its type the validation.
/// The default is in [`super::Build::resolve`] and `Caches`, that of `ca_file`, mirror and stall timeout in
/// `Common`.
#[derive(Clone, Debug, Default, Args, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// nixpkgs: a directory, the URL of a tarball, or a release; not for flakes [default: 26.05] [env: SDBUILD_NIXPKGS]
    #[arg(long, value_name = "DIR|URL|RELEASE", help_heading = NIX)]
    pub nixpkgs: Option<NixpkgsSource>,

    /// Flake to build; a flag of its own, because --config excludes it.
    #[arg(skip)]
    pub flake: Option<FlakeRef>,

    /// Inputs of a flake that the user's git fetches; a flag of its own, because more commands have it than a build.
    #[arg(skip)]
    pub git_inputs: Option<WordList>,

    /// Whether nothing is fetched; a flag of its own, because more commands have it than a build.
    #[arg(skip)]
    pub offline: Option<bool>,

    /// Use the binary caches that the flake names too, and trust their keys
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = NIX, hide_short_help = true)]
    pub accept_flake_caches: Option<bool>,

    /// System to build the image for [default: aarch64-linux]
    #[arg(long, value_enum, value_name = "SYSTEM", help_heading = MACHINE, hide_short_help = true)]
    pub system: Option<System>,

    /// Board that the image is for, one of `sdbuild boards`; --boot-test and --rpi-imager use it
    #[arg(long, ignore_case = true, value_name = "NAME", help_heading = MACHINE, hide_possible_values = true, hide_short_help = true)]
    pub board: Option<BoardName>,

    /// How to run the image's programs on the engine's machine, if it is of another architecture [default: auto]
    #[arg(long, value_enum, value_name = "MODE", help_heading = MACHINE, hide_short_help = true)]
    pub emulation: Option<EmulationChoice>,

    /// Whether configuration files, units and other small derivations, and the image itself, are built without emulation [default: auto] [env: SDBUILD_GLUE]
    #[arg(long, value_enum, value_name = "MODE", help_heading = MACHINE, hide_short_help = true)]
    pub glue: Option<Glue>,

    /// Format of the image, one of `sdbuild formats` [default: sd-card] [env: SDBUILD_FORMAT]
    #[arg(long, value_name = "NAME", help_heading = MACHINE, hide_short_help = true)]
    pub format: Option<Format>,

    /// Provider of a machine to rent for this build: none, aws, aws:OPTION,… or command:PROGRAM [default: none] [env: SDBUILD_ON]
    ///
    /// aws is Amazon EC2, with the options region=NAME, profile=NAME, cpus=N, disk=GIB and on-demand, for instance
    /// aws:region=eu-central-1,cpus=16. command runs your own program, which rents the machine. aws was tested with mocks of AWS only.
    #[arg(long, value_name = "PROVIDER", help_heading = MACHINE, hide_short_help = true)]
    pub on: Option<BuildOn>,

    /// Machine that Nix may send derivations to, in the syntax of Nix's builders setting: ssh-ng://USER@HOST SYSTEMS … (repeatable) [env: SDBUILD_BUILDERS]
    #[arg(long, value_name = "LINE", help_heading = MACHINE, hide_short_help = true)]
    pub builders: Option<Vec<BuilderList>>,

    /// Private key to log in to the --builders with, without a passphrase [default: ~/.config/sdbuild/builder-key] [env: SDBUILD_BUILDER_KEY]
    #[arg(long, value_name = "FILE", help_heading = MACHINE, hide_short_help = true)]
    pub builder_key: Option<PathBuf>,

    /// Container image with Nix to build in, instead of sdbuild's own; sdbuild never removes it
    #[arg(long, value_name = "REF", help_heading = MACHINE, hide_short_help = true)]
    pub builder_image: Option<String>,

    /// Directory to write the image to [default: .]
    ///
    /// It is created if missing.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Build even if up to date, and replace any file
    ///
    /// Without it, sdbuild leaves an image that is up to date, replaces one that the same configuration made, and asks before it
    /// replaces any other file with the image's name.
    #[arg(short, long, num_args = 0, default_missing_value = "true")]
    pub force: Option<bool>,

    /// Compression of the image: none, zstd, xz or gzip, optionally with a level after a colon [default: zstd] [env: SDBUILD_COMPRESS]
    #[arg(long, value_name = "FORMAT[:LEVEL]", hide_short_help = true)]
    pub compress: Option<CompressionOptions>,

    /// Also write a list for Raspberry Pi Imager; URL is where the output directory will be published [default: the local path]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "", hide_short_help = true)]
    pub rpi_imager: Option<String>,

    /// Boot the image until root can log in over SSH
    ///
    /// The limits are 180 s and 1024 MiB of memory; `sdbuild boot` has flags for others.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    pub boot_test: Option<bool>,

    /// URLs of the binary caches, separated by spaces, or empty for none; include `https://cache.nixos.org` to keep it [default: cache.nixos.org] [env: SDBUILD_SUBSTITUTERS]
    #[arg(long, value_name = "URLS", help_heading = NIX, hide_short_help = true)]
    pub substituters: Option<WordList>,

    /// Public keys of the binary caches, separated by spaces; include the key of cache.nixos.org to keep it [default: the key of cache.nixos.org] [env: SDBUILD_TRUSTED_PUBLIC_KEYS]
    #[arg(long, value_name = "KEYS", help_heading = NIX, hide_short_help = true)]
    pub trusted_public_keys: Option<WordList>,

    /// URLs of further binary caches, separated by spaces [env: SDBUILD_EXTRA_SUBSTITUTERS]
    #[arg(long, value_name = "URLS", help_heading = NIX, hide_short_help = true)]
    pub extra_substituters: Option<WordList>,

    /// Public keys of further binary caches, separated by spaces [env: SDBUILD_EXTRA_TRUSTED_PUBLIC_KEYS]
    #[arg(long, value_name = "KEYS", help_heading = NIX, hide_short_help = true)]
    pub extra_trusted_public_keys: Option<WordList>,

    /// Build locally what a binary cache has but fails to deliver, instead of stopping
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = NIX, hide_short_help = true)]
    pub fallback: Option<bool>,

    /// File in the format of netrc: user names and passwords for binary caches and sources [env: SDBUILD_NETRC_FILE]
    #[arg(long, value_name = "FILE", help_heading = NIX, hide_short_help = true)]
    pub netrc_file: Option<PathBuf>,

    /// Certificate authorities (PEM) to trust in addition to the usual ones [default: NIX_SSL_CERT_FILE, SSL_CERT_FILE] [env: SDBUILD_CA_FILE]
    #[arg(long, value_name = "FILE", help_heading = NIX, hide_short_help = true)]
    pub ca_file: Option<PathBuf>,

    /// Cores for each derivation, 0 for all [default: as many as memory allows] [env: SDBUILD_CORES]
    #[arg(long, value_name = "N", help_heading = NIX, hide_short_help = true)]
    pub cores: Option<Number<0>>,

    /// Derivations to build in parallel [default: the engine's cores, fewer if memory is short] [env: SDBUILD_JOBS]
    #[arg(short, long, value_name = "N", help_heading = NIX, hide_short_help = true)]
    pub jobs: Option<Number<1, 4096>>,

    /// Parallel connections to binary caches [default: 8 per core, between 25 and 64]
    #[arg(long, value_name = "N", help_heading = NIX, hide_short_help = true)]
    pub connections: Option<Number<1, 1024>>,

    /// Memory limit of the builder in MiB.
    #[arg(skip)]
    pub memory_mib: Option<Number<1>>,

    /// Name of the store volume.
    #[arg(skip)]
    pub store: Option<StoreName>,

    /// Debian mirror to try first for pinned packages.
    #[arg(skip)]
    pub debian_mirror: Option<String>,

    /// Seconds without data after which a download is aborted.
    #[arg(skip)]
    pub stall_timeout: Option<Number<1>>,
}

/// The help of the flag `id`, for another command that has the same flag.
pub(crate) fn help_of(id: &str) -> StyledStr {
    let command = Options::augment_args(Command::new("build"));
    let mut flags = command.get_arguments();
    let flag = flags.find(|flag| flag.get_id() == id);
    flag.and_then(|flag| flag.get_help().cloned())
        .unwrap_or_default()
}
