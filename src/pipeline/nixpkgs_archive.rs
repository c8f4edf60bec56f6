//! The nixpkgs of a build as `doctor` sees it: whether this machine has it, and where it would come from. Nothing is fetched.

use std::path::Path;

use crate::nixos::lock;
use crate::nixos::lock::Locked;
use crate::nixos::nixpkgs::Nixpkgs;
use crate::pipeline::request::{BuildRequest, SourceChoice};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_engine::artifact::Cache;
use sdbuild_engine::artifact::cache::CacheLookup;

/// What helps, besides a look at the network, where no server has it.
pub(in crate::pipeline) const NAME_ANOTHER: &str = "or name a checkout or an archive that this machine reaches: --nixpkgs DIR|URL, or nixpkgs in your own ~/.config/sdbuild/sdbuild.toml";

/// The same for `lock`, which takes no such flag and locks no directory.
pub(in crate::pipeline) const NAME_ANOTHER_TO_LOCK: &str = "or name an archive that this machine reaches with nixpkgs in your own ~/.config/sdbuild/sdbuild.toml";

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
    /// The archive that a build with `request` needs; `None` for a local directory, and for a flake.
    pub(in crate::pipeline) async fn of(request: &BuildRequest) -> Option<Self> {
        let SourceChoice::Config(config) = &request.source.choice else {
            return None;
        };
        // The plan of a build reports what is wrong with the setting or with the lock.
        let Nixpkgs::Remote(requested) = request.source.nixpkgs.parse().ok()? else {
            return None;
        };
        let dir = config.parent().unwrap_or(Path::new("."));
        let locked = lock::find(&dir.join(lock::NAME), &requested).ok().flatten();
        let is_held = match locked.as_ref().and_then(Locked::hash) {
            Some(hash) => is_cached(hash, &request.common.cache_dir).await,
            None => false,
        };
        let url = locked.map_or_else(
            || requested.url(&request.common.channels),
            |locked| locked.url,
        );
        Some(Self {
            name: requested.to_string(),
            url,
            is_held,
        })
    }
}

async fn is_cached(hash: Sha256Hash, cache_dir: &Path) -> bool {
    let Ok(Some(cache)) = Cache::open_existing(cache_dir) else {
        return false;
    };
    matches!(cache.find(hash).await, Ok(CacheLookup::Valid { .. }))
}
