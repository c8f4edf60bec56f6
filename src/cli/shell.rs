//! A shell in the builder.

use clap::Args;

use super::{Build, ConfigArgs};
use crate::common::build_mode::EmulationChoice;

/// `sdbuild shell`.
#[derive(Debug, Args)]
pub struct Shell {
    /// Whose environment: a derivation's store path, or the name of one that failed in an earlier build
    /// [default: that of nix-build, in the configuration's directory].
    pub derivation: Option<String>,

    /// Run this in place of a prompt; its output and its exit code become ours.
    #[arg(long, value_name = "CMD")]
    pub run: Option<String>,

    /// What it is about.
    #[command(flatten)]
    pub subject: ConfigArgs,

    /// How aarch64 programs run on this machine, as for build [default: auto].
    #[arg(long, value_enum, value_name = "MODE", hide_possible_values = true)]
    pub emulation: Option<EmulationChoice>,

    /// A container image that has Nix, instead of sdbuild's own; it stays in the engine.
    #[arg(long, value_name = "REF")]
    pub builder_image: Option<String>,

    /// Binary caches in place of NixOS's own, which is to be named again to be kept; separated by spaces, empty for none [default: that of NixOS] [env: SDBUILD_SUBSTITUTERS].
    #[arg(long, value_name = "URLS")]
    pub substituters: Option<String>,

    /// Public keys of binary caches in place of NixOS's own, which is to be named again to be kept; separated by spaces [default: that of NixOS] [env: SDBUILD_TRUSTED_PUBLIC_KEYS].
    #[arg(long, value_name = "KEYS")]
    pub trusted_public_keys: Option<String>,
}

impl Shell {
    /// The build that has the same builder.
    pub fn build(&self) -> Build {
        Build {
            subject: self.subject.clone(),
            emulation: self.emulation,
            builder_image: self.builder_image.clone(),
            substituters: self.substituters.clone(),
            trusted_public_keys: self.trusted_public_keys.clone(),
            ..Build::default()
        }
    }
}
