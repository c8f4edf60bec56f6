//! Settings that every command has.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::Environment;
use super::mirrors;
use super::options::Options;
use super::resolver::{Resolver, current_dir};
use super::value::{Number, StoreName};
use sdbuild_build::Common;
use sdbuild_core::failure::Failure;

/// Seconds without data after which a download is aborted: longer than a mirror takes to spin up its disk.
const STALL_SECONDS: Number<1> = Number::known(20);
/// Where release channels are looked up.
const CHANNELS: &str = "https://channels.nixos.org";

/// Resolves the settings that every command has, for a command that reads no settings file.
pub fn common_without_file(env: &Environment) -> Result<Common, Failure> {
    resolve_common(env, &mut Resolver::new(Options::default(), env, None)?)
}

/// The current directory, and the output directory of builds in it.
pub fn output_dir(env: &Environment) -> Result<(PathBuf, PathBuf), Failure> {
    let here = current_dir()?;
    let mut resolver = Resolver::new(Options::default(), env, Some(&here))?;
    let output = resolver.value_or("output", |o| o.output.clone(), here.clone())?;
    Ok((here, output))
}

/// Resolves them for a command that has read its settings files.
pub(super) fn resolve_common(env: &Environment, s: &mut Resolver<'_>) -> Result<Common, Failure> {
    let store: StoreName = s.value("store", |o| o.store.clone())?;
    let home = env.home_dir();
    let below_home = |dir: &str| {
        home.as_ref().map(|home| home.join(dir)).ok_or_else(|| {
            Failure::environment("no home directory is known").hint("set HOME and try again")
        })
    };
    let base = |set: Option<PathBuf>, dir: &str| set.map_or_else(|| below_home(dir), Ok);
    let text = |name: &str| env.text(name).map(str::to_owned);
    let root = SudoRoot::of(env);
    let written = |base, dir: &str| own_base(base, root.as_ref(), dir).join("sdbuild");
    let stall = s.value_or("stall-timeout", |o| o.stall_timeout, STALL_SECONDS)?;
    Ok(Common {
        store: store.to_string(),
        machine: None,
        docker_host: text("DOCKER_HOST"),
        docker_context: text("DOCKER_CONTEXT"),
        docker_config: base(env.path("DOCKER_CONFIG"), ".docker")?,
        docker_tls_verify: text("DOCKER_TLS_VERIFY").is_some(),
        docker_cert_path: env.path("DOCKER_CERT_PATH"),
        runtime_dir: env.absolute_path("XDG_RUNTIME_DIR"),
        cache_dir: written(
            base(env.absolute_path("XDG_CACHE_HOME"), ".cache")?,
            ".cache",
        ),
        state_dir: written(
            base(env.absolute_path("XDG_STATE_HOME"), ".local/state")?,
            ".local/state",
        ),
        mirrors: mirrors_of(s)?,
        stall_timeout: Duration::from_secs(stall.get().into()),
        offline: s.value("offline", |o| o.offline)?,
        proxies: env.proxies(),
        ca_file: ca_file(env, s)?,
        channels: s.value_or("channels", |_| None, CHANNELS.to_owned())?,
        locks: s.optional("locks", |_| None)?,
        home,
    })
}

/// The Debian mirrors, in the order in which they are tried.
fn mirrors_of(s: &mut Resolver<'_>) -> Result<Vec<String>, Failure> {
    let usual = mirrors::usual(Path::new("/etc/apt"));
    let first = usual
        .first()
        .map_or(mirrors::PUBLIC, String::as_str)
        .to_owned();
    let first = s.value_or("debian-mirror", |o| o.debian_mirror.clone(), first)?;
    let first = first.trim_end_matches('/').to_owned();
    mirrors::check(&first)?;
    Ok(mirrors::in_order(first, usual))
}

/// The setting, or the file that the environment names if it exists: what reads those variables ignores a missing file too.
fn ca_file(env: &Environment, s: &mut Resolver<'_>) -> Result<Option<PathBuf>, Failure> {
    let set = s.optional("ca-file", |o| o.ca_file.clone())?;
    let usual = ["NIX_SSL_CERT_FILE", "SSL_CERT_FILE"];
    let usual = usual.iter().find_map(|name| env.absolute_path(name));
    Ok(set.or_else(|| usual.filter(|file| file.is_file())))
}

/// Root on behalf of a user, through `sudo`.
struct SudoRoot {
    /// The number of the user who ran `sudo`.
    user: u32,
    /// Root's own home directory.
    home: PathBuf,
}

impl SudoRoot {
    /// Root, if this process runs as root for another user: `sudo` may have kept that user's `HOME`.
    fn of(env: &Environment) -> Option<Self> {
        let (user, _) = env.sudo().filter(|(uid, _)| *uid != 0)?;
        let euid = nix::unistd::geteuid();
        let root = nix::unistd::User::from_uid(euid).ok().flatten();
        root.filter(|_| euid.is_root()).map(|root| Self {
            user,
            home: root.dir,
        })
    }
}

/// `base`, or `dir` in root's own home directory if `base` belongs to the user behind `sudo`, who could neither use nor remove
/// what root leaves there.
fn own_base(base: PathBuf, root: Option<&SudoRoot>, dir: &str) -> PathBuf {
    let owner = base.ancestors().find_map(|path| path.metadata().ok());
    match root {
        Some(root) if owner.is_some_and(|meta| meta.uid() == root.user) => root.home.join(dir),
        Some(_) | None => base,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_leaves_nothing_in_the_users_home() {
        let home = tempfile::tempdir().unwrap();
        let mine = home.path().metadata().unwrap().uid();
        let root = |user| SudoRoot {
            user,
            home: "/root".into(),
        };
        let base = home.path().join(".cache");
        let chosen = |root: Option<SudoRoot>| own_base(base.clone(), root.as_ref(), ".cache");
        assert_eq!(chosen(Some(root(mine))), Path::new("/root/.cache"));
        assert_eq!(chosen(Some(root(mine + 1))), base);
        assert_eq!(chosen(None), base);
    }
}
