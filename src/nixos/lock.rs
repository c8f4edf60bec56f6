//! `sdbuild.lock`: which nixpkgs, by URL and hash, so that next month's build uses the same.
//!
//! A release is resolved once, through the channel's redirect, to an immutable URL; each release and each
//! URL that was asked for keeps its own answer, so that trying another one moves nothing. Downloading is the
//! caller's: this room has no network.

mod file;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::common::event::Events;
use crate::common::failure::{Class, Failure};
pub use file::{read, write};

/// Name of the lock beside the configuration.
pub const NAME: &str = "sdbuild.lock";
/// Where releases are asked for, when settings say nothing else.
pub const CHANNELS: &str = "https://channels.nixos.org";

/// What the user asked for.
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
    /// What the user asked for.
    pub wanted: &'a Wanted,
    /// The lock file.
    pub lock: &'a Path,
    /// Where releases are asked for, [`CHANNELS`] by default.
    pub channels: &'a str,
    /// Move the lock although it fits.
    pub update: bool,
    /// Write the answer down.
    pub keep: bool,
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
    let known = before.iter().find(|locked| locked.answers(how.wanted));
    if let Some(locked) = known.filter(|_| !how.update) {
        let download = Download {
            url: locked.url.clone(),
            sha256: locked.hash(),
        };
        let got = fetch(download).await.map_err(|f| {
            if f.class == Class::Interrupted {
                return f;
            }
            let lock = how.lock.display();
            f.hint(format!(
                "{lock} pins it; delete its entry there to resolve it anew"
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
    if how.keep {
        keep(how, &locked, events);
    }
    Ok((locked, got))
}

fn unresolved(failure: Failure, wanted: &Wanted) -> Failure {
    let interrupted = failure.class == Class::Interrupted;
    let failure = failure.context(format!("resolve nixpkgs, {wanted}"));
    match wanted {
        Wanted::Release(release) if !interrupted => failure.hint(format!(
            "is there a release {release}? name another one, a directory or a URL with --nixpkgs"
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

/// Writes the lock and says so. A directory that cannot be written is no reason not to build.
fn keep(how: &Resolve<'_>, locked: &Locked, events: &Events) {
    // Read again: the download took its time, and another build may have written meanwhile.
    let before = match read(how.lock) {
        Ok(before) => before,
        Err(failure) => return events.warn(format!("the answer is not kept: {failure}")),
    };
    if before.contains(locked) {
        events.notice(format!("nixpkgs {} is still {}", how.wanted, locked.url));
        return;
    }
    let others = before.iter().filter(|other| !other.answers(how.wanted));
    let after: Vec<Locked> = [locked].into_iter().chain(others).cloned().collect();
    let moved = after.len() == before.len();
    let verb = if moved { "moved in" } else { "written to" };
    let (wanted, lock) = (how.wanted, how.lock.display());
    match write(how.lock, &after) {
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
