//! The settings of `sdbuild init`.

use std::path::PathBuf;

use super::{Environment, GITHUB};
use crate::cli;
use crate::common::failure::{Failure, OrFail as _};

/// What is written when nobody says otherwise.
const NAME: &str = "sd-card.nix";

/// `sdbuild init`.
#[derive(Clone, Debug)]
pub struct Init {
    /// The file to write, absolute.
    pub config: PathBuf,
    /// The new machine's name, when the user chose one.
    pub host_name: Option<String>,
    /// Where the user's SSH keys are.
    pub keys: Option<PathBuf>,
    /// Public keys in files, absolute; with one of these none is looked for.
    pub key_files: Vec<PathBuf>,
    /// The address of an account's keys.
    pub github: Option<String>,
    /// Do not ask whether they are the right ones.
    pub yes: bool,
    /// The socket of the running ssh-agent.
    pub agent: Option<PathBuf>,
    /// The language that the user reads, as the environment has it.
    pub locale: Option<String>,
    /// The wireless network to join, and the file with its passphrase.
    pub wifi: Option<(String, Option<PathBuf>)>,
    /// Who shall own the file when it is not this process's user.
    pub owner: Option<(u32, u32)>,
}

impl Init {
    /// Puts together flags, environment and defaults.
    pub fn resolve(args: &cli::Init, env: &Environment) -> Result<Self, Failure> {
        let here = std::env::current_dir().or_environment("find the current directory")?;
        let owner = env.sudo.filter(|_| nix::unistd::geteuid().is_root());
        // Behind `sudo` stands a user who wants to log in, and it is not root.
        let user = owner.and_then(|(user, _)| {
            let user = nix::unistd::User::from_uid(user.into()).ok().flatten()?;
            Some(user.dir)
        });
        let home = user
            .or_else(|| env.home.clone())
            .or_else(std::env::home_dir);
        let named = args.dir.as_ref().map(|dir| dir.join(NAME));
        let config = args.config.clone().or(named);
        Ok(Self {
            config: here.join(config.unwrap_or_else(|| PathBuf::from(NAME))),
            key_files: args.ssh_key.iter().map(|file| here.join(file)).collect(),
            github: args
                .github
                .as_deref()
                .map(|user| address(env, user))
                .transpose()?,
            yes: args.yes,
            agent: env.ssh_agent.clone(),
            locale: env.locale.clone(),
            wifi: args.wifi.clone().map(|name| {
                let file = args.wifi_password_file.as_ref();
                (name, file.map(|file| here.join(file)))
            }),
            host_name: args.hostname.clone(),
            keys: home.map(|home| home.join(".ssh")),
            owner,
        })
    }
}

/// Where the keys of `user` are.
fn address(env: &Environment, user: &str) -> Result<String, Failure> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if user.is_empty() || !user.chars().all(known) {
        return Err(Failure::usage(format!("`{user}` is no account's name"))
            .hint("it has letters, digits and `-`: what stands behind github.com/"));
    }
    let base = env.github.as_deref().unwrap_or(GITHUB);
    Ok(format!("{}/{user}.keys", base.trim_end_matches('/')))
}
