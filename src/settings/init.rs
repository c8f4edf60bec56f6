//! The settings of `sdbuild init`.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help text, where backticks would show"
)]

use std::path::{Path, PathBuf};

use clap::Args;

use super::environment::Environment;
use super::resolver::current_dir;
use crate::template::{CiService, TemplateName};
use sdbuild_core::absolute_path::absolute;
use sdbuild_core::failure::Failure;
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::system::System;
use sdbuild_image::board::BoardName;
use sdbuild_nix::configuration_file::{CONFIG_NAME, FLAKE_FILE};

/// File name of the module beside a flake: where there is an `sd-card.nix`, that is built.
const MODULE_OF_FLAKE: &str = "configuration.nix";
/// Where accounts publish their SSH keys.
const GITHUB: &str = "https://github.com";

/// `sdbuild init`.
#[derive(Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct InitArgs {
    /// Configuration file to write; sdbuild never replaces an existing file [default: ./sd-card.nix]
    #[arg(short, long, value_name = "PATH", hide_short_help = true)]
    pub config: Option<PathBuf>,

    /// Directory to write sd-card.nix to; created if missing [default: .]
    #[arg(value_name = "DIR", conflicts_with = "config")]
    pub dir: Option<PathBuf>,

    /// Write configuration.nix and a flake.nix that builds it, with its lock, instead of an sd-card.nix
    #[arg(long, conflicts_with = "config")]
    pub flake: bool,

    /// Do not write flake.lock, which needs a container engine and the Internet: write it later with `sdbuild lock`
    #[arg(long, requires = "flake", hide_short_help = true)]
    pub no_lock: bool,

    /// Service to write a workflow for, which builds the image
    ///
    /// An existing configuration stays.
    #[arg(long, value_enum, value_name = "SERVICE")]
    pub ci: Option<CiService>,

    /// Write rpi-preseed.nix, by which Raspberry Pi Imager gives each card its host name, user, SSH key, Wi-Fi and time zone
    ///
    /// An existing configuration stays. `sdbuild build --rpi-imager` writes the list with the image for Imager 2.0.11 or later.
    #[arg(long, conflicts_with_all = ["hostname", "timezone", "wifi"], hide_short_help = true)]
    pub rpi_preseed: bool,

    /// Host name [default: the name of the directory]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// Board that the image is for, one of `sdbuild boards` [default: rpi4, which also covers rpi3 and rpi02]
    #[arg(
        long,
        ignore_case = true,
        value_name = "NAME",
        hide_possible_values = true
    )]
    pub board: Option<BoardName>,

    /// Template to start from [default: sd-card]
    #[arg(long, value_enum, value_name = "NAME")]
    pub template: Option<TemplateName>,

    /// System of a template for machines or containers: x86_64-linux for a PC [default: aarch64-linux, for a container this machine's]
    #[arg(long, value_enum, value_name = "SYSTEM", hide_short_help = true)]
    pub system: Option<System>,

    /// Account to create, with your keys and passwordless sudo
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Time zone, such as Europe/Berlin [default: as here]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,

    /// Language, such as de_DE [default: as here]
    #[arg(long, value_name = "LOCALE")]
    pub locale: Option<String>,

    /// Public key that may log in as root (repeatable) [default: one of yours, Ed25519 first]
    ///
    /// It is a file such as ~/.ssh/id_ed25519.pub. Without this flag, init takes one of the keys in ~/.ssh/*.pub and ssh-agent:
    /// an Ed25519 key if there is one.
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Vec<PathBuf>,

    /// GitHub account whose SSH keys to use; sdbuild shows them for confirmation
    #[arg(long, value_name = "USER", hide_short_help = true)]
    pub github: Option<String>,

    /// Wireless network; sdbuild asks for its passphrase
    #[arg(long, value_name = "SSID")]
    pub wifi: Option<String>,

    /// File or pipe whose first line is the passphrase of the wireless network
    #[arg(long, value_name = "FILE", requires = "wifi", hide_short_help = true)]
    pub wifi_password_file: Option<PathBuf>,

    /// Ask no questions, and accept the defaults
    ///
    /// This also accepts the keys of the account that --github names.
    #[arg(short, long)]
    pub yes: bool,
}

/// The resolved settings of `sdbuild init`.
#[derive(Clone, Debug)]
pub struct Init<'a> {
    /// The flags.
    pub args: &'a InitArgs,
    /// The file to write, absolute.
    pub config: PathBuf,
    /// The flake to write beside it, absolute.
    pub flake: Option<PathBuf>,
    /// The configuration to begin with.
    pub template: TemplateName,
    /// The system of the new machine.
    pub system: System,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// URL of an account's public keys.
    pub github: Option<String>,
    /// User and group to give the file to, if not those of this process.
    pub owner: Option<(u32, u32)>,
}

impl<'a> Init<'a> {
    /// Resolves flags, variables and defaults.
    pub fn resolve(args: &'a InitArgs, env: &Environment) -> Result<Self, Failure> {
        let here = current_dir()?;
        let owner = env.sudo().filter(|_| nix::unistd::geteuid().is_root());
        // The user who runs `sudo` wants to log in, not root.
        let user = owner.and_then(|(user, _)| {
            let user = nix::unistd::User::from_uid(user.into()).ok().flatten()?;
            Some(user.dir)
        });
        let dir = absolute(args.dir.as_deref().unwrap_or(Path::new("")), &here);
        refuse_file(&dir)?;
        let name = if args.flake {
            MODULE_OF_FLAKE
        } else {
            CONFIG_NAME
        };
        let template = args.template.unwrap_or_default();
        let github = args.github.as_deref().map(|user| keys_url(env, user));
        Ok(Self {
            args,
            config: match &args.config {
                Some(path) => absolute(path, &here),
                None => dir.join(name),
            },
            flake: args.flake.then(|| dir.join(FLAKE_FILE)),
            github: github.transpose()?,
            template,
            system: args.system.unwrap_or_else(|| default_system(template)),
            home: user.or_else(|| env.home_dir()),
            owner,
        })
    }
}

/// Refuses a file, or the name of one, in the place of a directory.
fn refuse_file(dir: &Path) -> Result<(), Failure> {
    let is_named_like_file = dir.extension().is_some_and(|end| end == "nix");
    if dir.is_dir() || !dir.exists() && !is_named_like_file {
        return Ok(());
    }
    let text = format!(
        "`sdbuild init` takes a directory, not the file {}",
        shown_path(dir)
    );
    Err(Failure::usage(text).hint("--config PATH names the file to write"))
}

/// The system of `template` unless the user chooses one: a container runs on a machine of its own architecture.
fn default_system(template: TemplateName) -> System {
    match template {
        TemplateName::Container => System::of_this_machine().unwrap_or_default(),
        TemplateName::SdCard
        | TemplateName::InstallerCloudInit
        | TemplateName::Vm
        | TemplateName::Server
        | TemplateName::Amazon => System::default(),
    }
}

/// URL of the public keys of the account `user`.
fn keys_url(env: &Environment, user: &str) -> Result<String, Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if user.is_empty() || !user.chars().all(allowed) {
        return Err(
            Failure::usage(format!("`{user}` is not a valid account name"))
                .hint("account names have letters, digits and `-`, as after github.com/"),
        );
    }
    let base = env.text("SDBUILD_GITHUB").unwrap_or(GITHUB);
    Ok(format!("{}/{user}.keys", base.trim_end_matches('/')))
}
