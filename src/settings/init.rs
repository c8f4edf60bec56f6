//! The settings of `sdbuild init`.

use std::path::{Path, PathBuf};

use super::Environment;
use crate::cli;
use crate::failure::{Failure, OrFail as _};

/// `sdbuild init`.
#[derive(Clone, Debug)]
pub struct Init {
    /// The file to write, absolute.
    pub config: PathBuf,
    /// The new machine's name, when the person chose one.
    pub host_name: Option<String>,
    /// Where the person's SSH keys are.
    pub keys: Option<PathBuf>,
    /// Who shall own the file when it is not this process's user.
    pub owner: Option<(u32, u32)>,
}

impl Init {
    /// Puts together flags, environment and defaults.
    pub fn resolve(args: &cli::Init, env: &Environment) -> Result<Self, Failure> {
        let here = std::env::current_dir().or_environment("find the current folder")?;
        let owner = env.sudo.filter(|_| nix::unistd::geteuid().is_root());
        // Behind `sudo` stands a person who wants to log in, and it is not root.
        let person = owner.and_then(|(user, _)| {
            let user = nix::unistd::User::from_uid(user.into()).ok().flatten()?;
            Some(user.dir)
        });
        let home = person
            .or_else(|| env.home.clone())
            .or_else(std::env::home_dir);
        Ok(Self {
            config: here.join(args.config.as_deref().unwrap_or(Path::new("sd-card.nix"))),
            host_name: args.hostname.clone(),
            keys: home.map(|home| home.join(".ssh")),
            owner,
        })
    }
}
