//! The store volume that the tests share. Its packages come out of a signed binary cache, as those of users do.

use std::process::Command;

use super::{BinaryCache, CacheServer, STORE, StoreVolume, TestUser, configuration, lock, run};

/// Fills the shared store with what the image of the default configuration takes, unless it exists: a store of its own builds the
/// packages, a cache is made of them, and the shared store fetches from it.
pub fn fill_shared_store() {
    let _one_at_a_time = lock("shared-store");
    if exists(STORE) {
        return;
    }
    let source = StoreVolume::new();
    let user = TestUser::new();
    user.write("sd-card.nix", &configuration(""));
    let user = user.with("SDBUILD_STORE", &source.0);
    let built = run(&mut user.build(&[])).assert_exit_code(0).image();
    let cache = BinaryCache::made_of("packages", &source.0, &built);
    let server = CacheServer::good(&cache.dir);
    let user = user
        .with("SDBUILD_STORE", STORE)
        .with("SDBUILD_SUBSTITUTERS", server.url())
        .with("SDBUILD_TRUSTED_PUBLIC_KEYS", &cache.key);
    run(&mut user.build(&["--force"])).assert_exit_code(0);
    assert!(server.nars() > 10, "{} store paths fetched", server.nars());
}

fn exists(volume: &str) -> bool {
    let found = run(Command::new("docker").args(["volume", "inspect", volume]));
    found.code == Some(0)
}
