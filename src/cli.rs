//! The command line: commands, flags and their help. No I/O, and no defaults that depend on
//! the host.
//!
//! Flags that `sdbuild.toml` or variables can set as well are defined in `settings`.

mod args;
mod deploy;
mod help;
#[cfg(feature = "cloud")]
mod publish;
mod put;
mod tips;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::settings::{BootArgs, BuildArgs, InitArgs};

pub use args::{
    Boards, CacheCommand, CacheExport, Check, Clean, Completions, Doctor, Formats, Lock, Man, Seed,
    Settings, Shell, Status, Try,
};
pub use deploy::{Deploy, DeployTarget};
pub use help::ending_of;
#[cfg(feature = "cloud")]
pub use publish::{AwsAccount, PublishAws, PublishCommand, PublishList, PublishRemove};
pub use put::{Personalise, PutArgs, PutFile};

/// Builds NixOS images for boards, PCs and virtual machines with Docker or Podman
#[derive(Debug, Parser)]
#[command(name = "sdbuild", version)]
pub struct Cli {
    /// The command; `None` prints what to do next.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// What is written to standard error.
    #[command(flatten, next_help_heading = "Output options")]
    pub output: OutputOptions,
}

impl Cli {
    /// Parses the arguments of this process. Help is in lines of `columns` columns; `~/` in a flag's path is the directory `home`.
    ///
    /// # Errors
    ///
    /// With help that was asked for, and for arguments that are wrong.
    pub fn from_process(columns: usize, home: Option<&Path>) -> Result<Self, clap::Error> {
        let command = Self::command_with_help_in(columns);
        let mut command = help::with_home(command, home);
        let matches = command.try_get_matches_from_mut(std::env::args_os());
        let mut matches = matches.map_err(|error| {
            let words = std::env::args_os().skip(1);
            let words: Vec<_> = words
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            tips::with_tip(error, &command, &words)
        })?;
        let cli = Self::from_arg_matches_mut(&mut matches);
        cli.map_err(|error| error.format(&mut command))
    }

    /// The command whose help is in lines of `columns` columns.
    fn command_with_help_in(columns: usize) -> clap::Command {
        let command = help::with_endings(Self::command().term_width(columns));
        let root = help::with_groups(command);
        let long = root.get_after_help().map(ToString::to_string);
        let long = format!("{}\n\n{}", long.unwrap_or_default(), last_notes());
        root.after_help(AFTER_SHORT_HELP).after_long_help(long)
    }
}

const AFTER_SHORT_HELP: &str =
    "`sdbuild help COMMAND` describes its flags; `sdbuild man` is the manual page.";

/// The exit codes that all commands share.
#[rustfmt::skip]
pub const EXIT_CODES: [(&str, &str); 9] = [
    ("0", "done, or you answered no to clean"),
    ("2", "wrong usage or configuration, a damaged image, or you answered no"),
    ("3", "a problem with this machine, the engine or the network"),
    ("4", "the Nix build failed, or an image did not boot or refused the login"),
    ("5", "sdbuild could not remove something, which the error lists"),
    ("6", "check found something that must be fixed"),
    ("7", "a board returned to the system that it ran before"),
    ("70", "a bug in sdbuild"),
    ("128+n", "stopped by signal n"),
];

/// The codes of commands that run another one.
pub const OTHER_CODES: &str = "boot --run exits with the code of its command, or with 4 if the command exceeds the time limit. shell \
exits with the code of the shell. If flash fails, the error says what is on the card.";

/// Which engine is used.
pub const WHICH_ENGINE: &str = "sdbuild uses the engine (Docker or Podman) of DOCKER_HOST, of DOCKER_CONTEXT or of the current Docker \
context. If none of these is set, it uses the first socket that answers: /var/run/docker.sock, $XDG_RUNTIME_DIR/docker.sock, \
$XDG_RUNTIME_DIR/podman/podman.sock or /run/podman/podman.sock.";

/// The last paragraphs of the long help of `sdbuild`.
fn last_notes() -> String {
    let codes = EXIT_CODES.map(|(code, meaning)| format!("  {code:<6} {meaning}\n"));
    format!(
        "Exit codes:\n{}\n{OTHER_CODES}\n\nThe documentation is in the directory docs of sdbuild's repository; docs/README.md lists its \
         pages.\n\n{WHICH_ENGINE}",
        codes.concat()
    )
}

/// What is written to standard error.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct OutputOptions {
    /// Show more (of Nix: its log); -vv: everything in the log file
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// Show only errors
    #[arg(short, long, global = true, conflicts_with_all = ["verbose", "json_events"])]
    pub quiet: bool,

    /// Write events to standard error as JSON, one object per line
    #[arg(long, global = true, hide_short_help = true)]
    pub json_events: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check that this machine can build, and suggest fixes
    Doctor(Doctor),
    /// Build and boot a miniature image, to test this machine
    Try(Try),
    /// Write a configuration with your public SSH keys
    Init(InitArgs),
    /// Find what must be fixed in a configuration before it is built
    Check(Check),
    /// Build the image of a configuration
    Build(Build),
    /// List the boards of images, and how far each was tested
    ///
    /// NAME is what --board of init, check, build and boot takes. BOARD is what an image for that name runs on. TESTED is how far
    /// such an image was tested: `booted in QEMU`, on its model of this board; `booted as another board`, the same image on the
    /// model of another one; `built`; or `evaluated with nixpkgs`, without building it. No board was tested on hardware.
    ///
    /// With a name, boards says what starts on that board, how `sdbuild boot` runs it, what was tried, and how to write a
    /// configuration for it.
    Boards(Boards),
    /// List the formats of images, and what each is for
    ///
    /// Each entry has the name that --format takes, what the image is for, and the name of its file, where … stands for the part
    /// that differs between configurations. A build uses the format sd-card unless a flag, a variable or sdbuild.toml names
    /// another one. `sdbuild init --template` writes configurations for some of the formats.
    ///
    /// With a name, formats says how the image is made, and what to do with its file.
    Formats(Formats),
    /// Boot an image in QEMU to test it; the image is not changed
    Boot(BootArgs),
    /// Write the disk from which cloud-init configures a machine
    Seed(Seed),
    /// Write an image to an SD card and verify it; list the cards
    ///
    /// To find the disk, run `sdbuild flash` alone before and after you insert the card: it lists the removable disks with
    /// their sizes. A card is mostly /dev/mmcblk0 in a slot of the machine, and /dev/sdb or the like in a USB reader.
    ///
    /// Before it writes, flash compares the image with its .sha256 file or manifest, shows what is on the disk, and asks. It
    /// refuses the disk that the running system, its swap or the image is on, whatever flags you give; a disk with mounted file
    /// systems without --unmount; a disk that is not removable without --allow-fixed; and an image that is larger than the disk.
    ///
    /// Afterwards it reads the disk back and compares it with the image, which --no-verify leaves out. If it fails or is
    /// interrupted, it says whether nothing was written, a part of the image, or all of it without the comparison.
    Flash(Flash),
    /// Copy an image and put files into the copy, such as host keys
    ///
    /// sdbuild mounts nothing and needs no root: the programs debugfs and mtools write the file systems of the copy in a container, which gets only
    /// what they read of them. personalise puts nothing into the Nix store, a log or an argument of a program; but a build uploads every file in the
    /// directory of its configuration, so keep secrets elsewhere. The image itself is not changed. Files need a root file system of the type
    /// ext4, and the firmware partition (/boot/firmware) is a FAT.
    ///
    /// A path that NixOS would replace at the first start is refused, such as files of environment.etc. Directories that are missing belong to root
    /// and have the mode 0755. Files have the mode 0644, programs 0755; standard input, private SSH keys, and what only you can read here, 0600.
    Personalise(Personalise),
    /// Change a running board to the system of a configuration
    ///
    /// deploy builds the system, shows what would change, asks, copies only what the board lacks, and activates the system there. The board
    /// returns to its old system by itself unless a new SSH connection confirms the new one in time, and until then it is the old
    /// one that it starts. The board needs NixOS with Nix (nix.enable, which is the default) and an SSH server. Nothing is installed there.
    Deploy(Deploy),
    /// Show what is in an image: partitions, files, boot loader, hashes
    #[command(disable_help_subcommand = true)]
    Inspect(Inspect),
    /// Start a shell in the builder, to debug a failed build
    Shell(Shell),
    /// Update the nixpkgs of an sd-card.nix, or the inputs of a flake
    Lock(Lock),
    /// Export what a build made as a binary cache
    #[command(subcommand, disable_help_subcommand = true)]
    Cache(CacheCommand),
    #[cfg(feature = "cloud")]
    /// Publish an image as an AMI of Amazon EC2
    #[command(subcommand, disable_help_subcommand = true)]
    Publish(PublishCommand),
    /// Show what sdbuild keeps on this machine, with sizes
    Status(Status),
    /// Remove what sdbuild keeps on this machine, or parts of it
    Clean(Clean),
    /// Show the settings of a build and where each comes from
    #[command(mut_args(help::argument_of_settings))]
    Settings(Settings),
    /// Write a shell's completions to standard output
    Completions(Completions),
    /// Show a manual page, or write all of them to files
    Man(Man),
    /// Print the version, as --version does
    #[command(hide = true)]
    Version,
    /// Start a program that ends when sdbuild does; used by sdbuild itself
    #[command(hide = true)]
    ExecWithParent(ExecWithParent),
    #[cfg(feature = "cloud")]
    /// Hold a rented machine, and give it back when sdbuild ends; used by sdbuild itself
    #[command(hide = true)]
    HoldMachine,
}

/// `sdbuild build`.
#[derive(Debug, Default, Args)]
pub struct Build {
    /// Configurations: files, directories, flakes [default: the one here]
    ///
    /// Such as pi/sd-card.nix, pi or .#pi. The one here is the flake that sdbuild.toml names, otherwise sd-card.nix, otherwise flake.nix. A directory must have an
    /// sd-card.nix or a flake.nix. PATH cannot be combined with --config or --flake. Of several, one that fails does not stop the others.
    #[arg(value_name = "PATH", conflicts_with_all = ["config", "flake"])]
    path: Vec<PathBuf>,

    /// Every configuration of the flake for which there is an image
    #[arg(long, hide_short_help = true)]
    pub all: bool,

    #[command(flatten)]
    args: BuildArgs,

    /// Print the manifest instead of the image's path
    ///
    /// One JSON object; with --dry-run, the plan and the forecast.
    #[arg(long)]
    pub json: bool,

    /// Rent the machine of --on without asking about its price
    #[arg(short, long, hide_short_help = true)]
    pub yes: bool,
}

impl Build {
    /// The arguments without a flag: mostly configurations.
    pub fn paths(&self) -> &[PathBuf] {
        &self.path
    }

    /// Each configuration with the settings, wherever it was named.
    pub fn each(&self) -> Vec<BuildArgs> {
        let each = self.args.config.each(&self.path).into_iter();
        each.map(|config| BuildArgs {
            config,
            ..self.args.clone()
        })
        .collect()
    }
}

/// `sdbuild flash`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Flash {
    /// Image of a disk or an ISO image to write, also compressed with zstd, xz or gzip, or a host name [default: the newest one here]
    pub image: Option<PathBuf>,

    /// Disk to overwrite, for instance /dev/sdb. Without IMAGE, the newest image is written to it. Without DISK, sdbuild lists the removable disks
    #[arg(value_name = "DISK")]
    pub device: Option<PathBuf>,

    /// Do not ask for confirmation
    #[arg(short, long, requires = "image")]
    pub yes: bool,

    /// Unmount the file systems of the disk first
    #[arg(long, requires = "image")]
    pub unmount: bool,

    /// Allow a disk that is not removable: a USB SSD, eMMC, a loop device
    #[arg(long, requires = "image")]
    pub allow_fixed: bool,

    /// Do not read the disk back after writing
    #[arg(long, requires = "image")]
    pub no_verify: bool,

    /// Write the file even if it has no partition table
    #[arg(long, requires = "image")]
    pub raw: bool,

    /// What is put onto the card.
    #[command(flatten)]
    pub put: PutArgs,

    /// Write a card for each of these boards, one after the other, with what the list of --boards has for it (repeatable)
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = put::PUT, hide_short_help = true)]
    pub each: Vec<String>,

    /// List of boards for --each; the paths in it are relative to its directory, and lead nowhere else
    #[arg(long, value_name = "FILE", default_value = "boards.toml", requires = "each", help_heading = put::PUT, hide_short_help = true)]
    pub boards: PathBuf,
}

/// The hidden command `exec-with-parent`.
#[derive(Debug, Args)]
pub struct ExecWithParent {
    /// Process of sdbuild; the program ends when it does
    pub parent: i32,
    /// Program and arguments
    #[arg(last = true, required = true)]
    pub argv: Vec<OsString>,
}

/// `sdbuild inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Image to inspect (a disk as raw, ISO, qcow2 or VMDK; also compressed), or a host name [default: the newest one here]
    pub image: Option<PathBuf>,

    /// Print one JSON object instead of lines
    #[arg(long, global = true)]
    pub json: bool,

    /// One file or directory of the image.
    #[command(subcommand)]
    pub look: Option<InspectCommand>,
}

/// What to show of a single file or directory.
#[derive(Debug, Subcommand)]
pub enum InspectCommand {
    /// List a directory
    Ls {
        /// `/path` on the root file system, or on the first that has it; `2:/path` on partition 2 [default: the root directory of each partition]
        path: Option<String>,
    },
    /// Write the contents of a file to standard output
    Cat {
        /// `/path` on the root file system, or on the first that has it; `2:/path` on partition 2
        path: String,
    },
}

#[cfg(test)]
mod tests;
