//! What an engine and a cache lack of some container images. Looking changes nothing.

use std::collections::HashSet;

use super::definition::Definition;
use super::images::held;
use crate::artifact::{Cache, Pin};
use crate::common::failure::Failure;
use crate::engine::Engine;

/// What has to be fetched and assembled before the engine holds some images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingImages {
    /// References of the images that the engine lacks, or may lack.
    pub images: Vec<String>,
    /// How many of their packages the cache lacks.
    pub packages: usize,
    /// Bytes of those that are still to be fetched.
    pub to_fetch: u64,
    /// Bytes of all packages of those images, fetched or not.
    pub packed: u64,
}

impl MissingImages {
    /// Asks `engine`, and looks into the `cache` if there is one. Packages are known by their length here:
    /// a damaged one counts as there.
    pub async fn of(
        definitions: &[&Definition],
        engine: &Engine,
        cache: Option<&Cache>,
    ) -> Result<Self, Failure> {
        let mut lacking = Self::default();
        let mut seen = HashSet::new();
        for definition in definitions {
            let held = match cache {
                Some(cache) => held(cache, engine, definition).await?,
                None => None,
            };
            if held.is_some() {
                continue;
            }
            lacking.images.push(definition.reference());
            let packages = definition.lock.packages.iter();
            for pin in packages.filter(|pin| seen.insert(pin.sha256)) {
                lacking.count(pin, cache);
            }
        }
        Ok(lacking)
    }

    fn count(&mut self, pin: &Pin, cache: Option<&Cache>) {
        let left = cache.map_or(pin.size, |cache| cache.lacks(pin));
        self.packages += usize::from(left > 0);
        self.to_fetch += left;
        self.packed += pin.size;
    }
}
