//! The flags of `sdbuild publish`.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help text, where backticks would show"
)]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use sdbuild_core::system::System;

/// `sdbuild publish`.
#[derive(Debug, Subcommand)]
pub enum PublishCommand {
    /// Create an AMI from a disk image
    Aws(PublishAws),
    /// List the AMIs that sdbuild published, and unfinished uploads
    List(PublishList),
    /// Remove a published AMI together with its snapshots, or an unfinished upload
    Remove(PublishRemove),
}

/// The account.
#[derive(Debug, Args)]
pub struct AwsAccount {
    /// AWS region [default: AWS_REGION, or that of the profile]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// Profile of ~/.aws/config and ~/.aws/credentials [default: AWS_PROFILE, or default]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// `sdbuild publish aws`.
#[expect(clippy::struct_excessive_bools, reason = "these are flags")]
#[derive(Debug, Args)]
pub struct PublishAws {
    /// Disk image of --format amazon or raw-efi, also compressed with zstd, xz or gzip [default: the newest one here]
    pub image: Option<PathBuf>,

    #[command(flatten)]
    pub account: AwsAccount,

    /// Name of the AMI [default: that of the file, without its extension]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// System of the image [default: that of its manifest, or of the file's name]
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<System>,

    /// AWS account ID that may launch and copy the AMI, or all: anyone may launch it (repeatable)
    #[arg(long, value_name = "ACCOUNT")]
    pub share: Vec<String>,

    /// Region to copy the AMI to (repeatable)
    #[arg(long, value_name = "REGION")]
    pub copy_to: Vec<String>,

    /// Do not wait until the copies are complete
    #[arg(long, hide_short_help = true)]
    pub no_wait: bool,

    /// Days after which AWS deprecates the AMI: others no longer see it
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650), hide_short_help = true)]
    pub deprecate_after: Option<u32>,

    /// Show what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,

    /// Print one JSON object instead of the AMI ID
    #[arg(long)]
    pub json: bool,
}

/// `sdbuild publish list`.
#[derive(Debug, Args)]
pub struct PublishList {
    #[command(flatten)]
    pub account: AwsAccount,

    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// `sdbuild publish remove`.
#[derive(Debug, Args)]
pub struct PublishRemove {
    /// ID of the AMI or snapshot: ami-… or snap-…
    pub id: String,

    #[command(flatten)]
    pub account: AwsAccount,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
}
