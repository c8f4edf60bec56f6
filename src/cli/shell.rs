//! The flags of `sdbuild shell`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::misc::NixpkgsArgs;
use crate::common::build_mode::EmulationChoice;
use crate::settings::{BuildArgs, ConfigArgs, MACHINE, NIX, Options, WordList, help_of};

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

    /// The nixpkgs that it is evaluated with.
    #[command(flatten)]
    pub nixpkgs: NixpkgsArgs,

    #[arg(long, value_enum, value_name = "MODE", help_heading = MACHINE, hide_short_help = true, help = help_of("emulation"))]
    emulation: Option<EmulationChoice>,

    #[arg(long, value_name = "REF", help_heading = MACHINE, hide_short_help = true, help = help_of("builder_image"))]
    builder_image: Option<String>,

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

impl Shell {
    /// The build that has the same builder.
    pub fn build(&self) -> BuildArgs {
        BuildArgs {
            config: self.config.clone(),
            options: Options {
                emulation: self.emulation,
                builder_image: self.builder_image.clone(),
                substituters: self.substituters.clone(),
                trusted_public_keys: self.trusted_public_keys.clone(),
                extra_substituters: self.extra_substituters.clone(),
                extra_trusted_public_keys: self.extra_trusted_public_keys.clone(),
                fallback: self.fallback,
                netrc_file: self.netrc_file.clone(),
                ca_file: self.ca_file.clone(),
                ..self.nixpkgs.options()
            },
            ..BuildArgs::default()
        }
    }
}
