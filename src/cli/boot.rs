//! The flags of `sdbuild boot`.

use std::path::PathBuf;

use clap::Args;

use crate::common::build_mode::EmulatorChoice;

/// `sdbuild boot`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("login").multiple(true))]
pub struct Boot {
    /// The image: .img, or that as .zst, .xz or .gz.
    pub image: PathBuf,

    /// Wait for a login over SSH in place of showing the console, then switch the machine off.
    #[arg(long, group = "login")]
    pub until_ssh: bool,

    /// Run this there once logged in; its output and its exit code become ours.
    #[arg(long, value_name = "CMD", group = "login")]
    pub run: Option<String>,

    /// The private key that shall be let in [default: those of ssh and its agent].
    #[arg(long, value_name = "FILE", requires = "login")]
    pub ssh_key: Option<PathBuf>,

    /// Who logs in [default: root].
    #[arg(long, value_name = "NAME", requires = "login")]
    pub user: Option<String>,

    /// How long to wait for the login, and then for the command [default: 180].
    #[arg(long, value_name = "SECONDS", requires = "login", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: Option<u64>,

    /// The machine's memory [default: 1024].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub memory: Option<u32>,

    /// The port on 127.0.0.1 that leads to the machine's SSH [default: a free one].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// The system that the image is for [default: as its name says, else aarch64-linux].
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,

    /// Whose QEMU boots it [default: auto].
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub emulator: Option<EmulatorChoice>,

    /// The machine's firmware: U-Boot for QEMU's aarch64 machine [default: where packages put it].
    #[arg(long, value_name = "FILE")]
    pub firmware: Option<PathBuf>,
}
