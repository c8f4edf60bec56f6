//! A shell in the builder.

use std::path::PathBuf;

use clap::Args;

use super::{Build, EmulationChoice};

/// `sdbuild shell`.
#[derive(Debug, Args)]
pub struct Inside {
    /// Whose environment: a derivation's store path, or the name of one that failed in an earlier build
    /// [default: that of nix-build, in the configuration's folder].
    pub derivation: Option<String>,

    /// Run this in place of a prompt; its output and its exit code become ours.
    #[arg(long, value_name = "CMD")]
    pub run: Option<String>,

    /// The NixOS configuration; its folder goes along [default: ./sd-card.nix].
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// Which nixpkgs: a folder, the URL of a tarball, or a release [default: 26.05] [env: SDBUILD_NIXPKGS].
    #[arg(long, value_name = "FOLDER|URL|RELEASE")]
    pub nixpkgs: Option<String>,

    /// The system that the image is for [default: aarch64-linux].
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,

    /// How aarch64 programs run on this machine, as for build [default: auto].
    #[arg(long, value_enum, value_name = "MODE", hide_possible_values = true)]
    pub emulation: Option<EmulationChoice>,

    /// A container image that has Nix, instead of sdbuild's own.
    #[arg(long, value_name = "REF")]
    pub builder_image: Option<String>,

    /// Binary caches, separated by spaces; empty for none [default: that of NixOS] [env: SDBUILD_SUBSTITUTERS].
    #[arg(long, value_name = "URLS")]
    pub substituters: Option<String>,

    /// Public keys of the binary caches, separated by spaces [env: SDBUILD_TRUSTED_PUBLIC_KEYS].
    #[arg(long, value_name = "KEYS")]
    pub trusted_public_keys: Option<String>,
}

impl Inside {
    /// The build that has the same builder.
    pub fn build(&self) -> Build {
        Build {
            config: self.config.clone(),
            nixpkgs: self.nixpkgs.clone(),
            system: self.system.clone(),
            emulation: self.emulation,
            builder_image: self.builder_image.clone(),
            substituters: self.substituters.clone(),
            trusted_public_keys: self.trusted_public_keys.clone(),
            ..Build::default()
        }
    }
}
