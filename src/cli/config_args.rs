//! The configuration that a command is about, and what is laid over it.

use std::path::PathBuf;

use clap::Args;

/// What `build`, `check` and `shell` are about.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// The NixOS configuration; its directory goes along [default: ./sd-card.nix].
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// Which nixpkgs: a directory, the URL of a tarball, or a release [default: 26.05] [env: SDBUILD_NIXPKGS].
    #[arg(long, value_name = "DIR|URL|RELEASE")]
    pub nixpkgs: Option<String>,

    /// The system that the image is for [default: aarch64-linux].
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,

    /// A public key that is laid over the configuration: root lets it in. A private one with build's --boot-test: it
    /// shall be let in [default: the one beside the public key, else those of ssh and its agent].
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,

    /// The machine's name, whatever the configuration says.
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// Lay a value over the configuration: a Nix list or set is added, anything else takes the place of what is there.
    #[arg(long, value_name = "OPTION=VALUE")]
    pub set: Vec<String>,
}
