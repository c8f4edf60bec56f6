//! The nixpkgs of a build as `doctor` sees it: whether this machine has it, and where it would come from. Nothing is fetched.

use std::path::Path;

use crate::artifact::Cache;
use crate::artifact::cache::CacheLookup;
use crate::nixos::lock::{self, Requested};
use crate::nixos::nixpkgs::Nixpkgs;
use crate::settings::{self, SourceChoice};

/// An archive of nixpkgs that a build needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pipeline) struct NixpkgsArchive {
    /// For messages: `release 26.05`, or its URL.
    pub(in crate::pipeline) name: String,
    /// Where a build would fetch it from.
    pub(in crate::pipeline) url: String,
    /// Whether `sdbuild.lock` names its hash and the cache has it: then no server is asked.
    pub(in crate::pipeline) is_held: bool,
}

impl NixpkgsArchive {
    /// The archive that a build with `settings` needs; `None` for a local directory, and for a flake.
    pub(in crate::pipeline) async fn of(settings: &settings::Build) -> Option<Self> {
        let SourceChoice::Config(config) = &settings.source else {
            return None;
        };
        let requested = match settings.nixpkgs.parse::<Nixpkgs>().ok()? {
            Nixpkgs::Dir(_) => return None,
            Nixpkgs::Url(url) => Requested::Url(url),
            Nixpkgs::Release(release) => Requested::Release(release),
        };
        let dir = config.parent().unwrap_or(Path::new("."));
        let entries = lock::read(&dir.join(lock::NAME)).unwrap_or_default();
        let locked = entries.into_iter().find(|locked| locked.is_for(&requested));
        let is_held = match &locked {
            Some(locked) => is_cached(&locked.sha256, &settings.common.cache_dir).await,
            None => false,
        };
        let url = match (locked, &requested) {
            (Some(locked), _) => locked.url,
            (None, Requested::Url(url)) => url.clone(),
            (None, Requested::Release(release)) => {
                lock::release_url(&settings.common.channels, release)
            }
        };
        Some(Self {
            name: requested.to_string(),
            url,
            is_held,
        })
    }
}

async fn is_cached(sha256: &str, cache_dir: &Path) -> bool {
    let Ok(Some(cache)) = Cache::open_existing(cache_dir) else {
        return false;
    };
    let Ok(hash) = sha256.parse() else {
        return false;
    };
    matches!(cache.find(hash).await, Ok(CacheLookup::Valid { .. }))
}
