//! The command line, as near to the flags as possible: no I/O, no defaults that need the host.
//!
//! What a flag means when it is absent is decided in `settings`, which also reads the environment
//! and `sdbuild.toml`.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help text, where backticks would show"
)]

mod boot;
mod config_args;
mod examples;
mod misc;
mod shell;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::common::build_mode::{EmulationChoice, Glue};
pub use boot::Boot;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
pub use config_args::ConfigArgs;
pub use misc::{
    Check, CompletionShell, Completions, Doctor, Init, Settings, Status, Template, Try,
};
pub use shell::Shell;

/// Turns a sd-card.nix into a NixOS SD card image, with nothing but Docker.
#[derive(Debug, Parser)]
#[command(name = "sdbuild", version, about, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How much is shown, and how.
    #[command(flatten, next_help_heading = "Talk")]
    pub output: OutputOptions,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 2 usage, configuration or a damaged image, 3 this machine or the engine, 4 the Nix \
build failed, 5 something could not be removed (it is listed), 6 check found a trap, 70 a bug in sdbuild, 128+n stopped by signal n. \
For boot: 4 the image does not boot or lets nobody in, or the command given to --run took too long; else that \
command's own code. For shell: the code of what ran there. \
For flash, what the card holds after a failure is said with it. To answer no is 2.

The engine is found by DOCKER_HOST, then DOCKER_CONTEXT or the current Docker context, then as the first that listens of \
/var/run/docker.sock, $XDG_RUNTIME_DIR/docker.sock, $XDG_RUNTIME_DIR/podman/podman.sock and /run/podman/podman.sock.";

/// How much sdbuild says on standard error.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct OutputOptions {
    /// Show the builder's log as it comes; twice: all that the log file gets.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with_all = ["verbose", "json_events"])]
    pub quiet: bool,

    /// Tell programs what happens: one JSON object per line, described in docs/events.md.
    #[arg(long, global = true)]
    pub json_events: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the image that a configuration describes.
    #[command(after_help = examples::BUILD)]
    Build(Build),
    /// Remove what sdbuild left on this machine: containers, images, volumes, handlers, cache.
    #[command(after_help = examples::CLEAN)]
    Clean(Clean),
    /// Boot an image in QEMU, to know that it boots before it is flashed. The image is not changed.
    #[command(after_help = examples::BOOT)]
    Boot(Boot),
    /// Write an image to a removable disk and read it back; without a disk, list those that are there.
    #[command(after_help = examples::FLASH)]
    Flash(Flash),
    /// Become another program that ends when sdbuild does; for sdbuild itself.
    #[command(hide = true)]
    ExecWithParent(ExecWithParent),
    /// Show what is on an image: partitions, file systems, boot loader, system, hashes.
    #[command(after_help = examples::INSPECT)]
    Inspect(Inspect),
    /// Write a configuration with your public SSH keys, and this machine's time zone, in it.
    #[command(after_help = examples::INIT)]
    Init(Init),
    /// Evaluate a configuration and warn of what would keep the machine from booting, or you out of it.
    #[command(after_help = examples::CHECK)]
    Check(Check),
    /// Build a small image of its own through the whole pipeline and boot it: see that this machine can do it.
    #[command(after_help = examples::TRY)]
    Try(Try),
    /// Check every condition of a build on this machine, and say what to do about it.
    #[command(after_help = examples::DOCTOR)]
    Doctor(Doctor),
    /// Show what of sdbuild is here now and what it takes: runs, handlers, containers, volumes, cache.
    #[command(after_help = examples::STATUS)]
    Status(Status),
    /// Start a shell in the builder, with emulation and the store there: the place to look into a build
    /// that failed.
    #[command(after_help = examples::SHELL)]
    Shell(Shell),
    /// Show the settings of a build and where each comes from.
    #[command(after_help = examples::SETTINGS, mut_arg("json", |json| json.help("One JSON object instead of lines")))]
    Settings(Settings),
    /// Write a shell's completions to standard output.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(Completions),
    /// Write the manual page to standard output.
    #[command(after_help = examples::MAN)]
    Man,
}

/// `sdbuild build`.
#[derive(Debug, Default, Args)]
pub struct Build {
    /// What it is made of.
    #[command(flatten)]
    pub subject: ConfigArgs,

    /// How aarch64 programs run on this machine [default: auto].
    #[arg(long, value_enum, value_name = "MODE")]
    pub emulation: Option<EmulationChoice>,

    /// What builds units, configuration files and the image itself [default: auto] [env: SDBUILD_GLUE].
    #[arg(long, value_enum, value_name = "MODE")]
    pub glue: Option<Glue>,

    /// A container image that has Nix, instead of sdbuild's own; it stays in the engine.
    #[arg(long, value_name = "REF")]
    pub builder_image: Option<String>,

    /// The directory that the image is written to; it has to be there [default: .].
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Replace an image of the same name, and what stands beside it.
    #[arg(short, long)]
    pub force: bool,

    /// How the image is compressed: none, zstd, xz or gzip, and a level after a colon [default: zstd] [env: SDBUILD_COMPRESS].
    #[arg(long, value_name = "FORMAT[:LEVEL]")]
    pub compress: Option<String>,

    /// Write a list for Raspberry Pi Imager too; URL is where the directory will be published [default: where it is].
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true)]
    pub rpi_imager: Option<Option<String>>,

    /// Boot the image when it is written, until root's login over SSH works: within 180 s, with 1024 MiB of memory.
    #[arg(long)]
    pub boot_test: bool,

    /// Print the manifest, one JSON object, in place of the image's path.
    #[arg(long)]
    pub json: bool,

    /// Binary caches in place of NixOS's own, which is to be named again to be kept; separated by spaces, empty for none [default: that of NixOS] [env: SDBUILD_SUBSTITUTERS].
    #[arg(long, value_name = "URLS")]
    pub substituters: Option<String>,

    /// Public keys of binary caches in place of NixOS's own, which is to be named again to be kept; separated by spaces [default: that of NixOS] [env: SDBUILD_TRUSTED_PUBLIC_KEYS].
    #[arg(long, value_name = "KEYS")]
    pub trusted_public_keys: Option<String>,

    /// Cores for each derivation; 0 for all [default: as memory allows] [env: SDBUILD_CORES].
    #[arg(long, value_name = "N")]
    pub cores: Option<u32>,

    /// Derivations built at the same time [default: the engine's cores, fewer when memory is short] [env: SDBUILD_JOBS].
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub jobs: Option<u32>,

    /// Connections to binary caches at the same time [default: 8 for each core, 25 to 64].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub connections: Option<u32>,

    /// Say what would be done and what Nix would fetch and build, and do only what that takes; with =plan without
    /// asking Nix, which changes nothing at all.
    #[arg(long, value_enum, value_name = "UP TO", num_args = 0..=1, require_equals = true,
        default_missing_value = "forecast", hide_possible_values = true)]
    pub dry_run: Option<DryRun>,
}

/// `--dry-run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// The plan and Nix's forecast, for which the configuration is evaluated.
    Forecast,
    /// The plan alone.
    Plan,
}

/// `sdbuild clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// List what would be removed, and stop there.
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// `sdbuild flash`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Flash {
    /// The image: .img, or that as .zst, .xz or .gz.
    pub image: PathBuf,

    /// The whole disk that is written over, for instance /dev/sdb.
    pub device: Option<PathBuf>,

    /// Do not ask.
    #[arg(short, long, requires = "device")]
    pub yes: bool,

    /// Unmount what is mounted from the disk.
    #[arg(long, requires = "device")]
    pub unmount: bool,

    /// Take a disk whose medium cannot be taken out: a USB SSD, eMMC, a loop device.
    #[arg(long, requires = "device")]
    pub allow_fixed: bool,

    /// Do not read back what was written.
    #[arg(long, requires = "device")]
    pub no_verify: bool,
}

/// What a program on the leash is told.
#[derive(Debug, Args)]
pub struct ExecWithParent {
    /// The sdbuild whose end is the program's end.
    pub parent: i32,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub argv: Vec<OsString>,
}

/// `sdbuild inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The image: raw, or compressed by zstd, xz or gzip.
    pub image: PathBuf,

    /// One JSON object instead of lines.
    #[arg(long, global = true)]
    pub json: bool,

    /// A look at one file or directory of the image.
    #[command(subcommand)]
    pub look: Option<InspectCommand>,
}

/// What is looked at.
#[derive(Debug, Subcommand)]
pub enum InspectCommand {
    /// List a directory.
    #[command(after_help = examples::LS)]
    Ls {
        /// `/path` on the first file system that has it, or `2:/path` on partition 2.
        path: String,
    },
    /// Write a file's content to standard output.
    #[command(after_help = examples::CAT)]
    Cat {
        /// `/path` on the first file system that has it, or `2:/path` on partition 2.
        path: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn all(command: &clap::Command) -> Vec<&clap::Command> {
        let visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        visible
            .flat_map(|sub| std::iter::once(sub).chain(all(sub)))
            .collect()
    }

    #[test]
    fn every_command_has_examples_and_every_example_is_understood() {
        for command in all(&Cli::command()) {
            let name = command.get_name();
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_else(|| panic!("{name} has no examples"));
            let (_, examples) = help.split_once("Examples:\n").expect(name);
            for line in examples.lines() {
                let words = line.trim().split("   ").next().unwrap_or_default();
                let words = words.split(['>', '|']).next().unwrap_or_default();
                let quoted = words
                    .split('\'')
                    .enumerate()
                    .flat_map(|(at, part)| match at % 2 {
                        0 => part.split_whitespace().collect::<Vec<_>>(),
                        _ => vec![part],
                    });
                let words: Vec<&str> = quoted.collect();
                assert!(words.contains(&name), "{line}");
                Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{line}: {e}"));
            }
        }
    }
}
