//! The settings of `sdbuild boot`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use super::{Common, Environment};
use crate::cli;
use crate::common::build_mode::EmulatorChoice;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::system::System;
use crate::settings::source::Layers;

/// `sdbuild boot`.
#[derive(Clone, Debug)]
pub struct Boot {
    /// What every command needs to know.
    pub common: Common,
    /// The image, absolute.
    pub image: PathBuf,
    /// What the image is for.
    pub system: System,
    /// The machine's firmware, absolute, when the user named one.
    pub firmware: Option<PathBuf>,
    /// The machine's memory in MiB.
    pub memory_mib: u32,
    /// The port on 127.0.0.1; `None` for a free one.
    pub port: Option<u16>,
    /// Where programs are looked for.
    pub path: OsString,
    /// Whose QEMU boots it.
    pub emulator: EmulatorChoice,
    /// The login that is waited for; `None` shows the console.
    pub login: Option<BootLogin>,
}

/// The login that `sdbuild boot` waits for.
#[derive(Clone, Debug)]
pub struct BootLogin {
    /// The private key, absolute.
    pub key: Option<PathBuf>,
    /// Who logs in.
    pub user: String,
    /// How long to wait for the login, and then for the command.
    pub timeout: Duration,
    /// What to run there.
    pub command: Option<String>,
}

impl Boot {
    /// Puts together flags, environment, `sdbuild.toml` and defaults. No configuration is named: the file
    /// is the one beside `./sd-card.nix`.
    pub fn resolve(args: &cli::Boot, env: &Environment) -> Result<Self, Failure> {
        let here = std::env::current_dir().or_environment("find the current directory")?;
        Self::in_dir(&here, args, env)
    }

    fn in_dir(here: &Path, args: &cli::Boot, env: &Environment) -> Result<Self, Failure> {
        let file = Layers::read(here, env)?.common(env)?;
        Self::with(Common::resolve(env, &file)?, args, env)
    }

    /// The same for a run that has read its settings files.
    pub fn with(common: Common, args: &cli::Boot, env: &Environment) -> Result<Self, Failure> {
        let here = std::env::current_dir().or_environment("find the current directory")?;
        let absolute = |path: &PathBuf| here.join(path);
        let login = (args.until_ssh || args.run.is_some()).then(|| BootLogin {
            key: args.ssh_key.as_ref().map(absolute),
            user: args.user.clone().unwrap_or_else(|| "root".to_owned()),
            timeout: Duration::from_secs(args.timeout.unwrap_or(180)),
            command: args.run.clone(),
        });
        Ok(Self {
            common,
            image: absolute(&args.image),
            system: match &args.system {
                Some(system) => System::from_str(system).map_err(Failure::usage)?,
                None => by_name(&args.image),
            },
            firmware: args.firmware.as_ref().map(absolute),
            memory_mib: args.memory.unwrap_or(1024),
            port: args.port,
            path: env.path.clone().unwrap_or_else(|| "/usr/bin:/bin".into()),
            emulator: args.emulator.unwrap_or_default(),
            login,
        })
    }
}

/// The system that an image's file name tells: NixOS puts it at the end.
fn by_name(image: &Path) -> System {
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    if name.contains(&System::X8664Linux.to_string()) {
        System::X8664Linux
    } else {
        System::Aarch64Linux
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn boot(words: &[&str]) -> Boot {
        let cli = cli::Cli::parse_from(["sdbuild", "boot"].iter().chain(words));
        let cli::Command::Boot(args) = cli.command else {
            panic!("not boot")
        };
        let env = Environment {
            home: Some("/home/me".into()),
            ..Environment::default()
        };
        Boot::resolve(&args, &env).unwrap()
    }

    #[test]
    fn a_command_implies_a_login_and_without_either_there_is_none() {
        assert!(boot(&["a.img"]).login.is_none());
        assert_eq!(boot(&["a.img", "--until-ssh"]).login.unwrap().command, None);
        let login = boot(&["a.img", "--run", "uname -m"]).login.unwrap();
        assert_eq!(login.command.as_deref(), Some("uname -m"));
        assert_eq!(
            (login.user.as_str(), login.timeout.as_secs()),
            ("root", 180)
        );
    }

    #[test]
    fn the_file_beside_the_configuration_and_the_users_own_hold_here_too() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("config/sdbuild");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(
            dir.path().join("sdbuild.toml"),
            "debian-mirror = 'http://near.example/debian'\ncores = 3\n",
        )
        .unwrap();
        std::fs::write(own.join("sdbuild.toml"), "stall-timeout = 7\n").unwrap();
        let cli = cli::Cli::parse_from(["sdbuild", "boot", "a.img"]);
        let cli::Command::Boot(args) = cli.command else {
            panic!("not boot")
        };
        let env = Environment {
            home: Some("/home/me".into()),
            config_home: Some(dir.path().join("config")),
            ..Environment::default()
        };
        let boot = Boot::in_dir(dir.path(), &args, &env).unwrap();
        assert_eq!(boot.common.mirrors[0], "http://near.example/debian");
        assert_eq!(boot.common.stall_timeout.as_secs(), 7);
    }

    #[test]
    fn the_system_is_in_the_name_unless_it_is_given() {
        assert_eq!(
            boot(&["nixos-x86_64-linux.img.zst"]).system,
            System::X8664Linux
        );
        assert_eq!(boot(&["card.img"]).system, System::Aarch64Linux);
        let told = boot(&["card.img", "--system", "x86_64-linux"]);
        assert_eq!(told.system, System::X8664Linux);
    }

    #[test]
    fn what_is_for_a_login_needs_one() {
        for words in [["--timeout", "9"], ["--user", "me"], ["--ssh-key", "k"]] {
            let words = ["sdbuild", "boot", "a.img"].into_iter().chain(words);
            assert!(cli::Cli::try_parse_from(words).is_err());
        }
    }
}
