//! `sdbuild.lock`: which nixpkgs, by URL and hash, so that next month's build uses the same.
//!
//! A release is resolved once, through the channel's redirect, to an immutable URL. Downloading is
//! the caller's: this room has no network.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::event::Events;
use crate::failure::{Class, Failure, OrFail};
use crate::plain_file;

/// Name of the lock beside the configuration.
pub const NAME: &str = "sdbuild.lock";
/// Where releases are asked for, when settings say nothing else.
pub const CHANNELS: &str = "https://channels.nixos.org";
/// Nobody's lock is longer.
const LONGEST: u64 = 64 << 10;

/// What the person asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A release: `26.05`.
    Release(String),
    /// The URL of an archive.
    Url(String),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(release) => write!(f, "release {release}"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// What it became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// The release asked for; absent when a URL was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The URL asked for; absent when a release was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// Where the archive really lies.
    pub url: String,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    version: u32,
    nixpkgs: Locked,
}

/// A download that the caller makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// What to fetch; redirects are followed.
    pub url: String,
    /// What it must hash to; `None` only when it is resolved for the first time.
    pub sha256: Option<[u8; 32]>,
}

/// What the caller got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// The file, complete and verified.
    pub path: PathBuf,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Where the last redirect led.
    pub final_url: String,
}

/// How to resolve.
#[derive(Clone, Debug)]
pub struct Resolve<'a> {
    /// What the person asked for.
    pub wanted: &'a Wanted,
    /// The lock file.
    pub lock: &'a Path,
    /// Where releases are asked for, [`CHANNELS`] by default.
    pub channels: &'a str,
    /// Move the lock although it fits.
    pub update: bool,
}

impl Locked {
    /// Whether this is the answer to what is `wanted`.
    pub fn answers(&self, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Release(release) => self.release.as_ref() == Some(release),
            Wanted::Url(url) => self.requested.as_ref() == Some(url),
        }
    }

    fn hash(&self) -> Option<[u8; 32]> {
        hex::decode(&self.sha256).ok()?.try_into().ok()
    }
}

/// Reads the lock; `None` when there is none.
pub fn read(path: &Path) -> Result<Option<Locked>, Failure> {
    let shown = path.display();
    let broken = |f: Failure| f.hint(format!("delete {shown} to resolve nixpkgs anew"));
    let text = match plain_file::read_text(path, LONGEST) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).or_usage(format!("read {shown}")).map_err(broken),
    };
    let file: LockFile = toml::from_str(&text)
        .or_usage(format!("read {shown}"))
        .map_err(broken)?;
    if file.version != 1 {
        return Err(
            Failure::usage(format!("{shown} is of version {}, not 1", file.version))
                .hint("a newer sdbuild wrote it: use that one, or delete the lock"),
        );
    }
    if file.nixpkgs.hash().is_none() {
        return Err(broken(Failure::usage(format!(
            "sha256 in {shown} is not 64 hex digits"
        ))));
    }
    Ok(Some(file.nixpkgs))
}

/// Writes the lock, whole or not at all.
pub fn write(path: &Path, locked: &Locked) -> Result<(), Failure> {
    let shown = path.display();
    let file = LockFile {
        version: 1,
        nixpkgs: locked.clone(),
    };
    let text = toml::to_string(&file).or_internal("write the lock")?;
    let text = format!(
        "# Which nixpkgs this image is built from. Delete this file to resolve it anew.\n{text}"
    );
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let written = tempfile::Builder::new()
        .prefix(".sdbuild.lock-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .and_then(|mut temporary| {
            temporary.write_all(text.as_bytes())?;
            give_away(temporary.as_file(), folder);
            temporary.as_file().sync_all()?;
            temporary.persist(path).map_err(|e| e.error)
        });
    written.map(drop).or_environment(format!("write {shown}"))
}

/// Under `sudo` the lock is the person's, as the folder is that it lies in.
fn give_away(file: &File, folder: &Path) {
    if nix::unistd::geteuid().is_root()
        && let Ok(folder) = std::fs::metadata(folder)
    {
        // A file system without owners, or one that keeps root out: the lock is as good as root's.
        fchown(file, Some(folder.uid()), Some(folder.gid())).unwrap_or(());
    }
}

/// The archive for what is wanted: by the lock when that fits, else resolved and locked.
pub async fn resolve<F, R>(
    how: &Resolve<'_>,
    events: &Events,
    fetch: F,
) -> Result<(Locked, Downloaded), Failure>
where
    F: FnOnce(Download) -> R,
    R: Future<Output = Result<Downloaded, Failure>>,
{
    let before = read(how.lock)?;
    if let Some(locked) = before
        .as_ref()
        .filter(|l| l.answers(how.wanted) && !how.update)
    {
        let download = Download {
            url: locked.url.clone(),
            sha256: locked.hash(),
        };
        let got = fetch(download).await.map_err(|f| {
            f.hint(format!(
                "{} pins it; delete that file to resolve it anew",
                how.lock.display()
            ))
        })?;
        return Ok((locked.clone(), got));
    }
    let url = match how.wanted {
        Wanted::Release(release) => {
            format!(
                "{}/nixos-{release}/nixexprs.tar.xz",
                how.channels.trim_end_matches('/')
            )
        }
        Wanted::Url(url) => url.clone(),
    };
    let got = fetch(Download { url, sha256: None })
        .await
        .map_err(|f| unresolved(f, how.wanted))?;
    let locked = locked(how.wanted, &got);
    keep(how, before.as_ref(), &locked, events);
    Ok((locked, got))
}

fn unresolved(failure: Failure, wanted: &Wanted) -> Failure {
    let interrupted = failure.class == Class::Interrupted;
    let failure = failure.context(format!("resolve nixpkgs, {wanted}"));
    match wanted {
        Wanted::Release(release) if !interrupted => failure.hint(format!(
            "is there a release {release}? name another one, a folder or a URL with --nixpkgs"
        )),
        Wanted::Release(_) | Wanted::Url(_) => failure,
    }
}

fn locked(wanted: &Wanted, got: &Downloaded) -> Locked {
    let (release, requested) = match wanted {
        Wanted::Release(release) => (Some(release.clone()), None),
        Wanted::Url(url) => (None, Some(url.clone())),
    };
    Locked {
        release,
        requested,
        url: got.final_url.clone(),
        sha256: hex::encode(got.sha256),
    }
}

/// Writes the lock and says so. A folder that cannot be written is no reason not to build.
fn keep(how: &Resolve<'_>, before: Option<&Locked>, locked: &Locked, events: &Events) {
    if before == Some(locked) {
        events.notice(format!("nixpkgs {} is still {}", how.wanted, locked.url));
        return;
    }
    let verb = if before.is_some() {
        "moved in"
    } else {
        "written to"
    };
    let (wanted, lock) = (how.wanted, how.lock.display());
    match write(how.lock, locked) {
        Ok(()) => events.notice(format!(
            "nixpkgs {wanted} is {} (sha256 {}), {verb} {lock}",
            locked.url, locked.sha256
        )),
        Err(failure) => events.warn(format!(
            "{failure}: the next build may get another nixpkgs than {}",
            locked.url
        )),
    }
}

#[cfg(test)]
mod tests;
