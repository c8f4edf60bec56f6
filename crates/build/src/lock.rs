//! `sdbuild.lock`: the URL and hash of the nixpkgs that was used, so that later builds use the same one.
//!
//! A release is resolved once, through the channel's redirect, to an immutable URL. Every requested release and URL
//! has an entry of its own, so that trying another release changes no other entry. Downloading is left to the caller:
//! this module does not access the network.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use sdbuild_core::atomic_file;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Class, Failure, OrFail};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::http_url;
use sdbuild_core::http_url::HttpUrlError;
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::plain_file;

/// Name of the lock file in the configuration's directory.
pub const NAME: &str = "sdbuild.lock";

/// The nixpkgs that the user requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// A release of NixOS: `26.05`.
    Release(String),
    /// The URL of an archive.
    Url(String),
}

impl Requested {
    /// Where it is fetched from without a lock entry: the newest archive of a release is below the base URL `channels`.
    pub fn url(&self, channels: &str) -> String {
        match self {
            Self::Release(release) => {
                let base = channels.trim_end_matches('/');
                format!("{base}/nixos-{release}/nixexprs.tar.xz")
            }
            Self::Url(url) => url.clone(),
        }
    }
}

impl fmt::Display for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(release) => write!(f, "release {release}"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// An entry of the lock: what was requested and what it was resolved to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// The requested release; `None` when a URL was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The requested URL; `None` when a release was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// The URL after all redirects; the requested one when that would not last.
    pub url: String,
    /// The archive's SHA-256 in hex.
    pub sha256: String,
}

/// A download that the caller carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// The URL to fetch, following redirects.
    pub url: String,
    /// The expected SHA-256; `None` when it is resolved for the first time.
    pub sha256: Option<Sha256Hash>,
}

/// A download that the caller has carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// The complete and verified file.
    pub path: PathBuf,
    /// Its SHA-256.
    pub sha256: Sha256Hash,
    /// The URL after all redirects.
    pub final_url: String,
}

/// A request to resolve nixpkgs.
#[derive(Clone, Debug)]
pub struct Resolve<'a> {
    /// The nixpkgs that the user requested.
    pub requested: &'a Requested,
    /// Path of the lock file.
    pub lock: &'a Path,
    /// Base URL of the release channels.
    pub channels: &'a str,
    /// Whether a new entry is written to the lock file.
    pub write_lock: bool,
    /// Whether an entry that the lock file has is resolved again.
    pub renew: bool,
}

impl Locked {
    /// Whether this is the entry for `requested`.
    pub(crate) fn is_for(&self, requested: &Requested) -> bool {
        match requested {
            Requested::Release(release) => self.release.as_ref() == Some(release),
            Requested::Url(url) => self.requested.as_ref() == Some(url),
        }
    }

    /// The SHA-256; `None` when the text is not 64 hex digits, which an entry of a lock that was [read] never is.
    pub fn hash(&self) -> Option<Sha256Hash> {
        self.sha256.to_ascii_lowercase().parse().ok()
    }
}

/// The entry for the requested nixpkgs and its archive: by the lock file when that has an entry for it that is not to be renewed,
/// else resolved and, if wanted, written to the lock file.
pub async fn resolve<F, R>(
    request: &Resolve<'_>,
    events: &Events,
    fetch: F,
) -> Result<(Locked, Downloaded), Failure>
where
    F: FnOnce(Download) -> R,
    R: Future<Output = Result<Downloaded, Failure>>,
{
    if let Some(locked) = find(request.lock, request.requested)?.filter(|_| !request.renew) {
        let download = Download {
            url: locked.url.clone(),
            sha256: locked.hash(),
        };
        let got = fetch(download).await.map_err(|f| {
            if f.class == Class::Interrupted {
                return f;
            }
            let lock = request.lock.display();
            f.hint(format!("{lock} pins it; `sdbuild lock` resolves it again"))
        })?;
        return Ok((locked, got));
    }
    let url = request.requested.url(request.channels);
    let first = Download {
        url: url.clone(),
        sha256: None,
    };
    let got = fetch(first).await?;
    let locked = locked(request.requested, url, &got);
    if request.write_lock {
        add_entry(request, &locked, events);
    }
    Ok((locked, got))
}

/// The entry for `requested` in the lock file at `path`, if there is one. A usage error when the file is damaged.
pub fn find(path: &Path, requested: &Requested) -> Result<Option<Locked>, Failure> {
    let entries = read(path)?;
    Ok(entries.into_iter().find(|locked| locked.is_for(requested)))
}

/// The entry for what was downloaded from `url`. A redirect to an address with a query, which may be a signature that
/// expires, or with a password is not pinned: the requested address is, and the hash pins the content.
fn locked(requested: &Requested, url: String, got: &Downloaded) -> Locked {
    let url = if http_url::is_lasting(&got.final_url) {
        got.final_url.clone()
    } else {
        url
    };
    let (release, requested) = match requested {
        Requested::Release(release) => (Some(release.clone()), None),
        Requested::Url(url) => (None, Some(url.clone())),
    };
    Locked {
        release,
        requested,
        url,
        sha256: got.sha256.to_string(),
    }
}

/// Writes the entry to the lock file and reports it. A directory that is not writable does not fail the build.
fn add_entry(request: &Resolve<'_>, locked: &Locked, events: &Events) {
    // Read again: another build may have written entries during the download.
    let before = match read(request.lock) {
        Ok(before) => before,
        Err(failure) => {
            return events.warn(format!("the lock was not written: {}", failure.sentence()));
        }
    };
    let (requested, lock) = (request.requested, request.lock.display());
    if before.contains(locked) {
        events.notice(format!("nixpkgs {requested} is still {}", locked.url));
        return;
    }
    let others = before.iter().filter(|other| !other.is_for(requested));
    let after: Vec<Locked> = [locked].into_iter().chain(others).cloned().collect();
    let replaced = after.len() == before.len();
    let verb = if replaced {
        "replaced in"
    } else {
        "written to"
    };
    match write(request.lock, &after) {
        Ok(()) => events.notice(format!(
            "nixpkgs {requested} is {} (sha256 {}), {verb} {lock}",
            locked.url, locked.sha256
        )),
        Err(failure) => events.warn(format!(
            "{}, so the next build may get another nixpkgs than {}",
            failure.sentence(),
            locked.url
        )),
    }
}

/// Largest lock file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// Entries that are kept, newest first: more releases than one user tries, and far below [`MAX_FILE_BYTES`].
const MAX_ENTRIES: usize = 32;
/// The version that is read and written.
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    version: u32,
    /// The newest first.
    nixpkgs: Vec<Locked>,
}

/// The entries of the lock file at `path`, newest first; empty when there is no such file. A usage error when it is
/// damaged or has an unknown version.
pub fn read(path: &Path) -> Result<Vec<Locked>, Failure> {
    let shown = path.display();
    let broken = |f: Failure| f.hint(format!("delete {shown} to resolve nixpkgs again"));
    let text = match plain_file::read_text(path, MAX_FILE_BYTES) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).or_usage(format!("read {shown}")).map_err(broken),
    };
    let file: LockFile = toml::from_str(&text)
        .or_usage(format!("read {shown}"))
        .map_err(broken)?;
    let LockFile { version, nixpkgs } = file;
    if version != VERSION {
        let text = format!("{shown} has version {version}, which this sdbuild does not support");
        return Err(broken(Failure::usage(text)));
    }
    if nixpkgs.iter().any(|locked| locked.hash().is_none()) {
        let text = format!("a sha256 in {shown} is not 64 hex digits");
        return Err(broken(Failure::usage(text)));
    }
    if let Some(error) = nixpkgs.iter().find_map(secret) {
        let failure = Failure::usage(format!("an address in {shown} {error}"));
        return Err(
            broken(failure).hint("anyone who could read the file may know the secret: change it")
        );
    }
    Ok(nixpkgs)
}

/// The secret in an address of `locked`, if there is one.
fn secret(locked: &Locked) -> Option<HttpUrlError> {
    let mut addresses = std::iter::once(&locked.url).chain(&locked.requested);
    // What cannot be fetched fails when it is fetched.
    addresses.find_map(|address| {
        let error = http_url::check(address).err()?;
        (error != HttpUrlError::NotHttp).then_some(error)
    })
}

/// Replaces the lock file at `path` by one with `entries`, newest first; only the first `MAX_ENTRIES` are written.
pub fn write(path: &Path, entries: &[Locked]) -> Result<(), Failure> {
    let file = LockFile {
        version: VERSION,
        nixpkgs: entries.iter().take(MAX_ENTRIES).cloned().collect(),
    };
    let text = toml::to_string(&file).or_internal("serialize the lock")?;
    let text =
        format!("# Which nixpkgs images are built from. `sdbuild lock` resolves it again.\n{text}");
    replace_file(path, &text)
}

/// Replaces the file at `path` by one with `text`, which is complete or not there at all.
pub(crate) fn replace_file(path: &Path, text: &str) -> Result<(), Failure> {
    let shown = path.display();
    let dir = parent_dir(path);
    let written = atomic_file::replace_owned(path, text, 0o644, None);
    chown_to_owner_of(&written.or_environment(format!("write {shown}"))?, dir);
    Ok(())
}

/// As root (`sudo`), gives the file the owner of its directory.
fn chown_to_owner_of(file: &File, dir: &Path) {
    if nix::unistd::geteuid().is_root()
        && let Ok(dir) = std::fs::metadata(dir)
    {
        // May fail on a file system without owners, or one that restricts root: the lock then belongs to root.
        fchown(file, Some(dir.uid()), Some(dir.gid())).ok();
    }
}

#[cfg(test)]
mod tests;
