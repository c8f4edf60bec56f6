//! The settings of `sdbuild boot` and of a boot test.

#![expect(
    clippy::doc_markdown,
    reason = "the comments of the flags are the help text, where backticks would show"
)]

use std::ffi::OsString;
use std::num::NonZeroU16;
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

/// Default memory of the machine.
const MEMORY_MIB: u32 = 1024;
/// Default time limit of a login, and then of the command.
const LOGIN_TIMEOUT: Duration = Duration::from_mins(3);
/// The same on the model of a board.
const BOARD_TIMEOUT: Duration = Duration::from_mins(10);

/// `sdbuild boot`.
#[derive(Debug, Args)]
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
    #[arg(long, value_name = "NAME", requires = "login", value_parser = login_user)]
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
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = port)]
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

/// The resolved settings of a boot.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Settings that every command has.
    pub common: Common,
    /// The board to boot it as.
    pub board: &'static Board,
    /// The machine's firmware, absolute, if the user named one.
    pub firmware: Option<PathBuf>,
    /// The machine's memory in MiB.
    pub memory_mib: u32,
    /// The port on 127.0.0.1; `None` for a free one.
    pub port: Option<u16>,
    /// Directories to look for programs in, as in `PATH`.
    pub path: OsString,
    /// Which QEMU to use.
    pub emulator: EmulatorChoice,
    /// Whether KVM may run the machine.
    pub kvm: bool,
    /// The seed to attach, absolute.
    pub seed: Option<PathBuf>,
    /// The login to wait for.
    pub login: Option<BootLogin>,
    /// The time limit of the prompt on the serial console, if that is waited for.
    pub prompt: Option<Duration>,
}

/// The login that a boot waits for.
#[derive(Clone, Debug)]
pub struct BootLogin {
    /// The private key, absolute.
    pub key: Option<PathBuf>,
    /// The user, if one is named.
    pub user: Option<String>,
    /// Time limit for the login, and then for the command.
    pub timeout: Duration,
    /// The command to run.
    pub command: Option<String>,
}

impl Boot {
    /// Resolves flags, variables, the settings files and defaults. There is no `--config`: the project's settings file is the
    /// one in the current directory.
    pub fn resolve(image: &Path, args: &BootArgs, env: &Environment) -> Result<Self, Failure> {
        Self::in_dir(&current_dir()?, image, args, env)
    }

    fn in_dir(
        dir: &Path,
        image: &Path,
        args: &BootArgs,
        env: &Environment,
    ) -> Result<Self, Failure> {
        let mut resolver = Resolver::new(Options::default(), env, Some(dir))?;
        let absolute = |path: &PathBuf| dir.join(path);
        let system = args.system.unwrap_or_else(|| by_file_name(image));
        let board = args
            .board
            .map_or_else(|| generic_machine(system), |BoardName(board)| board);
        let timeout = args.timeout.map_or_else(
            || login_timeout(board),
            |seconds| Duration::from_secs(seconds.get().into()),
        );
        let login = (args.until_ssh || args.run.is_some()).then(|| BootLogin {
            key: args.login_key.as_ref().map(absolute),
            user: args.user.clone(),
            timeout,
            command: args.run.clone(),
        });
        Ok(Self {
            common: resolve_common(env, &mut resolver)?,
            board,
            firmware: args.firmware.as_ref().map(absolute),
            memory_mib: args.memory.unwrap_or(MEMORY_MIB),
            port: args.port,
            path: env.program_path(),
            emulator: args.emulator.unwrap_or_default(),
            kvm: !args.no_kvm,
            seed: args.seed.as_ref().map(absolute),
            login,
            prompt: args.until_login.then_some(timeout),
        })
    }

    /// The boot test of `build`, on its board if QEMU has that: root logs in, or without a network the console asks for a
    /// login. Everything else has the defaults of `sdbuild boot`.
    pub fn test_of(build: &Build, env: &Environment) -> Self {
        let board = build.request.target.board.map(|BoardName(board)| board);
        let board = board.filter(|board| board.qemu.is_some());
        let board = board.unwrap_or_else(|| generic_machine(build.request.target.system));
        let has_network = board.qemu.as_ref().is_none_or(QemuModel::has_network);
        let timeout = login_timeout(board);
        Self {
            common: build.request.common.clone(),
            board,
            firmware: None,
            memory_mib: MEMORY_MIB,
            port: None,
            path: env.program_path(),
            emulator: EmulatorChoice::default(),
            kvm: true,
            seed: None,
            prompt: (!has_network).then_some(timeout),
            login: has_network.then(|| BootLogin {
                key: build
                    .login_key
                    .clone()
                    .or_else(|| build.ssh_key.as_ref().and_then(SshKey::private)),
                user: None,
                timeout,
                command: None,
            }),
        }
    }
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

/// Parses the number of a port.
fn port(text: &str) -> Result<u16, String> {
    let number: Option<NonZeroU16> = text.parse().ok();
    let number = number.map(NonZeroU16::get);
    number.ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
}

/// The name of a user of the machine.
fn login_user(text: &str) -> Result<String, String> {
    match text.split_once('@') {
        Some((user, _)) => Err(format!("give the user without a host: --user {user}")),
        None if text.is_empty() => Err("the name of a user is missing".to_owned()),
        None => Ok(text.to_owned()),
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

    fn boot(words: &[&str]) -> Boot {
        let args = CommandLine::parse_from(["boot"].iter().chain(words)).args;
        let env = Environment {
            home: Some("/home/me".into()),
            ..Environment::default()
        };
        let image = args.image.clone().unwrap();
        Boot::resolve(&image, &args, &env).unwrap()
    }

    #[test]
    fn only_until_ssh_and_run_wait_for_a_login() {
        assert!(boot(&["a.img"]).login.is_none());
        assert_eq!(boot(&["a.img", "--until-ssh"]).login.unwrap().command, None);
        let login = boot(&["a.img", "--run", "uname -m"]).login.unwrap();
        assert_eq!(login.command.as_deref(), Some("uname -m"));
        assert_eq!((login.user, login.timeout.as_secs()), (None, 180));
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
        let args = CommandLine::parse_from(["boot", "a.img"]).args;
        let env = Environment {
            home: Some("/home/me".into()),
            config_home: Some(dir.path().join("config")),
            ..Environment::default()
        };
        let boot = Boot::in_dir(dir.path(), Path::new("a.img"), &args, &env).unwrap();
        assert_eq!(boot.common.mirrors[0], "http://near.example/debian");
        assert_eq!(boot.common.stall_timeout.as_secs(), 7);
    }

    #[test]
    fn the_system_is_in_the_file_name_unless_given() {
        assert_eq!(
            boot(&["nixos-x86_64-linux.img.zst"]).board.system,
            System::X8664Linux
        );
        assert_eq!(boot(&["card.img"]).board.system, System::Aarch64Linux);
        let given = boot(&["card.img", "--system", "x86_64-linux"]);
        assert_eq!(given.board.system, System::X8664Linux);
    }

    #[test]
    fn a_board_gets_more_time_and_has_its_own_firmware() {
        let given = boot(&["card.img", "--board", "rpi4", "--until-login"]);
        assert_eq!(
            (given.board.name, given.prompt),
            ("rpi4", Some(BOARD_TIMEOUT))
        );
        assert!(given.login.is_none());
        let given = boot(&[
            "card.img",
            "--board",
            "rpi3",
            "--until-ssh",
            "--timeout",
            "9",
        ]);
        assert_eq!(given.login.unwrap().timeout.as_secs(), 9);
        for more in [
            ["--firmware", "x"],
            ["--memory", "512"],
            ["--system", "x86_64-linux"],
        ] {
            let words = ["boot", "a.img", "--board", "rpi3"].into_iter().chain(more);
            assert!(CommandLine::try_parse_from(words).is_err());
        }
        let both = ["boot", "a.img", "--until-login", "--until-ssh"];
        assert!(CommandLine::try_parse_from(both).is_err());
    }

    #[test]
    fn flags_of_a_login_need_a_login() {
        for words in [["--timeout", "9"], ["--user", "me"], ["--ssh-key", "k"]] {
            let words = ["boot", "a.img"].into_iter().chain(words);
            assert!(CommandLine::try_parse_from(words).is_err());
        }
    }
}
