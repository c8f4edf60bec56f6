//! What every command needs to know.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::File;
use super::{Environment, at_least, mirrors, number};
use crate::failure::Failure;

/// Seconds that a download may stand still: longer than a mirror takes to wake its disk.
const STALL: u32 = 20;

/// What every command needs to know.
#[derive(Clone, Debug)]
pub struct Common {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// Docker's own configuration folder.
    pub docker_config: PathBuf,
    /// `DOCKER_TLS_VERIFY`.
    pub docker_tls_verify: bool,
    /// `DOCKER_CERT_PATH`.
    pub docker_cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// The person's home folder.
    pub home: Option<PathBuf>,
    /// Our cache folder.
    pub cache_dir: PathBuf,
    /// Our state folder: logs.
    pub state_dir: PathBuf,
    /// Debian mirrors, in the order in which they are asked.
    pub mirrors: Vec<String>,
    /// How long a download may stand still before it is given up.
    pub stall_timeout: Duration,
    /// A folder with locks that replace the built-in ones.
    pub locks: Option<PathBuf>,
}

impl Common {
    /// For commands that read no `sdbuild.toml`.
    pub fn without_file(env: &Environment) -> Result<Self, Failure> {
        Self::resolve(env, &File::default())
    }

    pub(super) fn resolve(env: &Environment, file: &File) -> Result<Self, Failure> {
        let home = env.home.clone().or_else(std::env::home_dir);
        let below_home = |folder: &str| {
            home.as_ref().map(|home| home.join(folder)).ok_or_else(|| {
                Failure::environment("no home folder is known").hint("set HOME and try again")
            })
        };
        let base = |set: &Option<PathBuf>, folder: &str| match set {
            Some(path) => Ok(path.clone()),
            None => below_home(folder),
        };
        let roots = roots_home(env);
        let written = |base, folder: &str| own_base(base, roots.as_ref(), folder).join("sdbuild");
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
    /// The person behind `sudo`.
    person: u32,
    home: PathBuf,
}

/// Root's own home when `sudo` may have kept the person's.
fn roots_home(env: &Environment) -> Option<Root> {
    let (person, _) = env.sudo.filter(|(uid, _)| *uid != 0)?;
    let root = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(root).ok().flatten();
    user.filter(|_| root.is_root()).map(|user| Root {
        person,
        home: user.dir,
    })
}

/// `base`, unless it is the person's and we are root: what root leaves there the person could neither
/// use nor remove. Then the same `folder` below root's own home.
fn own_base(base: PathBuf, root: Option<&Root>, folder: &str) -> PathBuf {
    let owner = base.ancestors().find_map(|path| path.metadata().ok());
    match root {
        Some(root) if owner.is_some_and(|meta| meta.uid() == root.person) => root.home.join(folder),
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
    fn root_leaves_nothing_in_the_persons_home() {
        let home = tempfile::tempdir().unwrap();
        let mine = home.path().metadata().unwrap().uid();
        let root = |person| Root {
            person,
            home: "/root".into(),
        };
        let base = home.path().join(".cache");
        let chosen = |root: Option<Root>| own_base(base.clone(), root.as_ref(), ".cache");
        assert_eq!(chosen(Some(root(mine))), Path::new("/root/.cache"));
        assert_eq!(chosen(Some(root(mine + 1))), base);
        assert_eq!(chosen(None), base);
    }
}
