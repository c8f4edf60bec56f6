//! The commands around a build: what is here, what a build needs, and what packagers want.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Build, ConfigArgs};
use crate::common::build_mode::EmulationChoice;

/// `sdbuild init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The configuration to write; nothing is ever replaced [default: ./sd-card.nix].
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// The directory to write sd-card.nix into; made when it is not there [default: .].
    #[arg(value_name = "DIR", conflicts_with = "config")]
    pub dir: Option<PathBuf>,

    /// The name of the new machine [default: this machine's with -sd behind it].
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// Your public key [default: those in ~/.ssh/*.pub and in the running ssh-agent].
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Vec<PathBuf>,

    /// Take the keys of that account on GitHub; they are shown and you are asked.
    #[arg(long, value_name = "USER")]
    pub github: Option<String>,

    /// Do not ask whether keys are the right ones.
    #[arg(short, long, requires = "github")]
    pub yes: bool,

    /// Join this wireless network; you are asked for its passphrase.
    #[arg(long, value_name = "SSID")]
    pub wifi: Option<String>,

    /// Read the passphrase from this file's first line.
    #[arg(long, value_name = "FILE", requires = "wifi")]
    pub wifi_password_file: Option<PathBuf>,

    /// What to start from [default: sd-card].
    #[arg(long, value_enum, value_name = "NAME")]
    pub template: Option<Template>,
}

/// What a configuration starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// An SD card for 64-bit ARM boards.
    #[default]
    SdCard,
}

/// `sdbuild check`.
#[derive(Debug, Args)]
pub struct Check {
    /// What it is about.
    #[command(flatten)]
    pub subject: ConfigArgs,

    /// One JSON object instead of lines.
    #[arg(long)]
    pub json: bool,
}

/// `sdbuild try`.
#[derive(Debug, Args)]
pub struct Try {
    /// Keep the image, its key and its configuration in this directory, which is made when it is not there.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// How aarch64 programs run on this machine [default: auto].
    #[arg(long, value_enum, value_name = "MODE", hide_possible_values = true)]
    pub emulation: Option<EmulationChoice>,

    /// Build it, and leave QEMU out of it.
    #[arg(long)]
    pub no_boot: bool,
}

/// `sdbuild doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The configuration whose sdbuild.toml counts [default: ./sd-card.nix].
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// One JSON object instead of lines.
    #[arg(long)]
    pub json: bool,
}

/// `sdbuild status`.
#[derive(Debug, Args)]
pub struct Status {
    /// One JSON object instead of lines.
    #[arg(long)]
    pub json: bool,
}

/// `sdbuild settings`.
#[derive(Debug, Args)]
pub struct Settings {
    /// What build would be given.
    #[command(flatten)]
    pub build: Build,
}

/// `sdbuild completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: CompletionShell,
}

/// A shell that completes words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompletionShell {
    /// GNU Bash with bash-completion.
    Bash,
    /// Z shell.
    Zsh,
    /// Fish.
    Fish,
}
