//! The flags of `sdbuild cache`.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help text, where backticks would show"
)]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::examples;
use crate::settings::{BuildArgs, ConfigArgs, NIX, Options, WordList, help_of};

/// `sdbuild cache`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Export what a build made and no binary cache has, as a binary cache
    #[command(after_help = examples::CACHE_EXPORT)]
    Export(CacheExport),
    /// Print the public key that verifies exports; create the key pair if there is none
    #[command(after_help = examples::CACHE_KEY)]
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
