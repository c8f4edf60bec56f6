//! What every command needs to know.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::File;
use super::{Environment, at_least, mirrors, number};
use crate::common::failure::Failure;

/// Seconds that a download may stand still: longer than a mirror takes to wake its disk.
const STALL: u32 = 20;

/// What every command needs to know.
#[derive(Clone, Debug)]
pub struct Common {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// Docker's own configuration directory.
    pub docker_config: PathBuf,
    /// `DOCKER_TLS_VERIFY`.
    pub docker_tls_verify: bool,
    /// `DOCKER_CERT_PATH`.
    pub docker_cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// Our cache directory.
    pub cache_dir: PathBuf,
    /// Our state directory: logs.
    pub state_dir: PathBuf,
    /// Debian mirrors, in the order in which they are asked.
    pub mirrors: Vec<String>,
    /// How long a download may stand still before it is given up.
    pub stall_timeout: Duration,
    /// A directory with locks that replace the built-in ones.
    pub locks: Option<PathBuf>,
}

impl Common {
    /// For commands that read no `sdbuild.toml`.
    pub fn without_file(env: &Environment) -> Result<Self, Failure> {
        Self::resolve(env, &File::default())
    }

    pub(super) fn resolve(env: &Environment, file: &File) -> Result<Self, Failure> {
        let home = env.home.clone().or_else(std::env::home_dir);
        let below_home = |dir: &str| {
            home.as_ref().map(|home| home.join(dir)).ok_or_else(|| {
                Failure::environment("no home directory is known").hint("set HOME and try again")
            })
        };
        let base = |set: &Option<PathBuf>, dir: &str| match set {
            Some(path) => Ok(path.clone()),
            None => below_home(dir),
        };
        let roots = roots_home(env);
        let written = |base, dir: &str| own_base(base, roots.as_ref(), dir).join("sdbuild");
        let chosen = env
            .debian_mirror
            .as_deref()
            .or(file.debian_mirror.as_deref());
        chosen.map_or(Ok(()), mirrors::check)?;
        Ok(Self {
            docker_host: env.docker_host.clone(),
            docker_context: env.docker_context.clone(),
            docker_config: base(&env.docker_config, ".docker")?,
            docker_tls_verify: env.docker_tls_verify.is_some(),
            docker_cert_path: env.docker_cert_path.clone(),
            runtime_dir: env.runtime_dir.clone(),
            cache_dir: written(base(&env.cache_home, ".cache")?, ".cache"),
            state_dir: written(base(&env.state_home, ".local/state")?, ".local/state"),
            home: home.clone(),
            mirrors: mirrors::mirrors(chosen, Path::new("/etc/apt")),
            stall_timeout: stall_timeout(env, file)?,
            locks: env.locks.clone(),
        })
    }
}

/// Root, on somebody's behalf.
struct Root {
    /// The user behind `sudo`.
    user: u32,
    home: PathBuf,
}

/// Root's own home when `sudo` may have kept the user's.
fn roots_home(env: &Environment) -> Option<Root> {
    let (user, _) = env.sudo.filter(|(uid, _)| *uid != 0)?;
    let euid = nix::unistd::geteuid();
    let root = nix::unistd::User::from_uid(euid).ok().flatten();
    root.filter(|_| euid.is_root()).map(|root| Root {
        user,
        home: root.dir,
    })
}

/// `base`, unless it is the user's and we are root: what root leaves there the user could neither
/// use nor remove. Then the same `dir` below root's own home.
fn own_base(base: PathBuf, root: Option<&Root>, dir: &str) -> PathBuf {
    let owner = base.ancestors().find_map(|path| path.metadata().ok());
    match root {
        Some(root) if owner.is_some_and(|meta| meta.uid() == root.user) => root.home.join(dir),
        Some(_) | None => base,
    }
}

fn stall_timeout(env: &Environment, file: &File) -> Result<Duration, Failure> {
    let chosen = number(("SDBUILD_STALL_TIMEOUT", env.stall_timeout.as_ref()), 1)?;
    let written = at_least(("stall-timeout in sdbuild.toml", file.stall_timeout), 1)?;
    let seconds = chosen.or(written).unwrap_or(STALL);
    Ok(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_leaves_nothing_in_the_users_home() {
        let home = tempfile::tempdir().unwrap();
        let mine = home.path().metadata().unwrap().uid();
        let root = |user| Root {
            user,
            home: "/root".into(),
        };
        let base = home.path().join(".cache");
        let chosen = |root: Option<Root>| own_base(base.clone(), root.as_ref(), ".cache");
        assert_eq!(chosen(Some(root(mine))), Path::new("/root/.cache"));
        assert_eq!(chosen(Some(root(mine + 1))), base);
        assert_eq!(chosen(None), base);
    }
}
