//! The settings of `sdbuild boot` and of a boot test.

#![expect(
    clippy::doc_markdown,
    reason = "the comments of the flags are the help text, where backticks would show"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::build::Build;
use super::common::resolve_common;
use super::environment::Environment;
use super::options::Options;
use super::resolver::{Resolver, current_dir};
use super::ssh_key::SshKey;
use super::value::{Number, memory_mib};
use sdbuild_build::Common;
use sdbuild_build::build_mode::EmulatorChoice;
use sdbuild_core::failure::Failure;
use sdbuild_core::system::System;
use sdbuild_image::board::{Board, BoardName, QemuModel, Wiring, generic_machine};

/// Default time limit of a login, and then of the command.
const LOGIN_TIMEOUT: Duration = Duration::from_mins(3);
/// The same on the model of a board.
const BOARD_TIMEOUT: Duration = Duration::from_mins(10);

/// `sdbuild boot`.
#[derive(Debug, Default, Args)]
#[command(group = clap::ArgGroup::new("login").multiple(true))]
pub struct BootArgs {
    /// Image to boot (a disk, ISO, kexec, netboot or container; also compressed), or a host name [default: the newest one here]
    pub image: Option<PathBuf>,

    /// Wait for a login over SSH instead of showing the console, then switch the machine off
    #[arg(long, group = "login")]
    pub until_ssh: bool,

    /// Wait for the serial console's login prompt, then end
    #[arg(long, group = "login", conflicts_with_all = ["until_ssh", "run", "login_key", "user"])]
    pub until_login: bool,

    /// Command to run on the machine after a login over SSH; sdbuild prints its output, and exits with its code
    #[arg(long, value_name = "CMD", group = "login", value_parser = NonEmptyStringValueParser::new())]
    pub run: Option<String>,

    /// Private key to log in with, such as ~/.ssh/id_ed25519 [default: yours that the image accepts, otherwise those of ssh and its agent]
    ///
    /// If the file is a public key, such as that of `sdbuild build --ssh-key`, boot uses the private key beside it, the file of the same
    /// name without .pub.
    #[arg(long, alias = "ssh-key", value_name = "FILE", requires = "login")]
    pub login_key: Option<PathBuf>,

    /// User to log in as [default: the seed's, or root]
    #[arg(long, value_name = "NAME", requires = "login", value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,

    /// Time limit in seconds for the login, and again for the command [default: 180, on a board 600]
    #[arg(long, value_name = "SECONDS", requires = "login")]
    pub timeout: Option<Number<1, 86_400>>,

    /// Disk of `sdbuild seed` or user-data for cloud-init
    #[arg(long, value_name = "FILE")]
    pub seed: Option<PathBuf>,

    /// Memory of the machine, such as 2G [default: 1G]
    ///
    /// A number without a unit is MiB.
    #[arg(short, long, value_name = "SIZE", value_parser = memory_mib)]
    pub memory: Option<u32>,

    /// Port on 127.0.0.1 to forward to SSH on the machine [default: a free one]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// Board to emulate: rpi3, rpi4, rpi02, virt or pc [default: virt, or pc for x86_64-linux]
    #[arg(long, ignore_case = true, value_name = "NAME", hide_possible_values = true, conflicts_with_all = ["system", "firmware", "memory"])]
    pub board: Option<BoardName>,

    /// System that the image is for [default: from the file name, otherwise aarch64-linux]
    #[arg(long, value_enum, value_name = "SYSTEM", hide_short_help = true)]
    pub system: Option<System>,

    /// QEMU to use [default: auto]
    #[arg(long, value_enum, value_name = "WHICH")]
    pub emulator: Option<EmulatorChoice>,

    /// Emulate the processor, even where KVM works
    #[arg(long, hide_short_help = true)]
    pub no_kvm: bool,

    /// Firmware to use instead of UEFI (for a disk with an ESP in a GPT, qcow2 and VMDK) or U-Boot (for others) [default: that of the distribution's package]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub firmware: Option<PathBuf>,
}

impl BootArgs {
    /// The flags of the boot test of `build`, on its board if QEMU has that: root logs in, or without a network the console asks for a
    /// login. Everything else has the defaults of `sdbuild boot`.
    pub fn test_of(build: &Build) -> Self {
        let target = &build.request.target;
        let has_model = |board: &BoardName| board.0.qemu.is_some();
        let board = target.board.filter(has_model);
        let board = board.unwrap_or_else(|| BoardName(generic_machine(target.system)));
        let has_network = board.0.qemu.as_ref().is_none_or(QemuModel::has_network);
        let key = build.login_key.clone();
        let key = key.or_else(|| build.ssh_key.as_ref().and_then(SshKey::private));
        Self {
            board: Some(board),
            until_ssh: has_network,
            until_login: !has_network,
            login_key: key.filter(|_| has_network),
            ..Self::default()
        }
    }

    /// The board to boot `image` as.
    pub fn board(&self, image: &Path) -> &'static Board {
        let system = || self.system.unwrap_or_else(|| by_file_name(image));
        self.board
            .map_or_else(|| generic_machine(system()), |BoardName(board)| board)
    }

    /// Whether a login over SSH is waited for.
    pub fn logs_in(&self) -> bool {
        self.until_ssh || self.run.is_some()
    }

    /// The time limit of a login on `board`, and again of the command.
    pub fn time_limit(&self, board: &Board) -> Duration {
        let given = self
            .timeout
            .map(|seconds| Duration::from_secs(seconds.get().into()));
        given.unwrap_or_else(|| login_timeout(board))
    }
}

/// The settings that `sdbuild boot` has in common with all commands. There is no `--config`: the project's settings file is the one in the
/// current directory.
pub fn common_of_boot(env: &Environment) -> Result<Common, Failure> {
    common_in(&current_dir()?, env)
}

fn common_in(dir: &Path, env: &Environment) -> Result<Common, Failure> {
    resolve_common(env, &mut Resolver::new(Options::default(), env, Some(dir))?)
}

/// The time limit of a login on `board`: every instruction of a board is emulated, and its card is slow.
fn login_timeout(board: &Board) -> Duration {
    match board.qemu.as_ref().map(|model| model.wiring) {
        Some(Wiring::RaspberryPi { .. }) => BOARD_TIMEOUT,
        Some(Wiring::Virtio) | None => LOGIN_TIMEOUT,
    }
}

/// The system in the file name of an image, where NixOS puts it.
fn by_file_name(image: &Path) -> System {
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    if name.contains(&System::X8664Linux.to_string()) {
        System::X8664Linux
    } else {
        System::Aarch64Linux
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: BootArgs,
    }

    fn parsed(words: &[&str]) -> Result<BootArgs, clap::Error> {
        let words = ["boot", "a.img"].iter().chain(words);
        CommandLine::try_parse_from(words).map(|line| line.args)
    }

    #[test]
    fn both_settings_files_apply_to_boot() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("config/sdbuild");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(
            dir.path().join("sdbuild.toml"),
            "debian-mirror = 'http://near.example/debian'\ncores = 3\n",
        )
        .unwrap();
        std::fs::write(own.join("sdbuild.toml"), "stall-timeout = 7\n").unwrap();
        let config = dir.path().join("config").into_os_string();
        let env = [("HOME", "/home/me".into()), ("XDG_CONFIG_HOME", config)];
        let env = env.into_iter().collect();
        let common = common_in(dir.path(), &env).unwrap();
        assert_eq!(common.mirrors[0], "http://near.example/debian");
        assert_eq!(common.stall_timeout.as_secs(), 7);
    }

    #[test]
    fn the_system_is_in_the_file_name_unless_given() {
        let system = |image: &str, words: &[&str]| {
            let args = parsed(words).unwrap();
            args.board(Path::new(image)).system
        };
        assert_eq!(
            system("nixos-x86_64-linux.img.zst", &[]),
            System::X8664Linux
        );
        assert_eq!(system("card.img", &[]), System::Aarch64Linux);
        let given = system("card.img", &["--system", "x86_64-linux"]);
        assert_eq!(given, System::X8664Linux);
    }

    #[test]
    fn a_board_gets_more_time() {
        let limit = |words: &[&str]| {
            let args = parsed(words).unwrap();
            args.time_limit(args.board(Path::new("card.img")))
        };
        assert_eq!(limit(&["--until-login"]), LOGIN_TIMEOUT);
        assert_eq!(limit(&["--board", "rpi4", "--until-login"]), BOARD_TIMEOUT);
        let given = ["--board", "rpi3", "--until-ssh", "--timeout", "9"];
        assert_eq!(limit(&given).as_secs(), 9);
    }

    #[test]
    fn flags_that_do_not_fit_are_refused() {
        for words in [
            &["--timeout", "9"][..],
            &["--user", "me"],
            &["--ssh-key", "k"],
            &["--until-login", "--until-ssh"],
            &["--board", "rpi3", "--firmware", "x"],
            &["--board", "rpi3", "--memory", "512"],
            &["--board", "rpi3", "--system", "x86_64-linux"],
        ] {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }
}
