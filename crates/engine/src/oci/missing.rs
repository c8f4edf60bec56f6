//! Which container images an engine does not have, and how much has to be downloaded for them. Read-only.

use std::collections::HashSet;

use super::definition::Definition;
use super::images::held;
use crate::Engine;
use crate::artifact::{Cache, Pin};
use sdbuild_core::failure::Failure;

/// What has to be downloaded and assembled before the engine has some images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingImages {
    /// References of the images that the engine does not have, or may not have.
    pub images: Vec<String>,
    /// How many of their packages the cache does not have completely.
    pub packages: usize,
    /// How many bytes of those are still to be downloaded.
    pub to_fetch: u64,
    /// How many bytes all packages of those images have, downloaded or not.
    pub packed: u64,
}

impl MissingImages {
    /// Asks the `engine`, and looks into the `cache` if there is one. Only the lengths of packages are compared: a damaged
    /// one is not noticed.
    pub async fn of(
        definitions: &[&Definition],
        engine: &Engine,
        cache: Option<&Cache>,
    ) -> Result<Self, Failure> {
        let mut missing = Self::default();
        let mut seen = HashSet::new();
        for definition in definitions {
            let held = match cache {
                Some(cache) => held(cache, engine, definition).await?,
                None => None,
            };
            if held.is_some() {
                continue;
            }
            missing.images.push(definition.reference());
            let packages = definition.lock.packages.iter();
            for pin in packages.filter(|pin| seen.insert(pin.sha256)) {
                missing.count(pin, cache);
            }
        }
        Ok(missing)
    }

    fn count(&mut self, pin: &Pin, cache: Option<&Cache>) {
        let missing = cache.map_or(pin.size, |cache| cache.missing_bytes(pin));
        self.packages += usize::from(missing > 0);
        self.to_fetch += missing;
        self.packed += pin.size;
    }
}
