//! The store volume that the tests share. Its packages come out of a signed binary cache, as those of users do.

use std::fs;
use std::process::Command;
use std::sync::Once;

use super::{
    BinaryCache, CacheServer, STORE, StoreVolume, TestUser, configuration, lock, remove_volume,
    run, shared,
};

/// Fills the shared store with what the image of the default configuration takes, unless a test has: a store of its own builds the
/// packages, a cache is made of them, and the shared store fetches from it.
pub fn fill_shared_store() {
    static FILLED: Once = Once::new();
    FILLED.call_once(|| {
        let _one_at_a_time = lock("shared-store");
        let filled = shared("shared-store").join("filled");
        // When the volume was created: another one is to be filled again.
        let created = created_at();
        if created.is_some() && created == fs::read_to_string(&filled).ok() {
            return;
        }
        remove_volume(STORE);
        fill();
        fs::write(filled, created_at().unwrap()).unwrap();
    });
}

fn fill() {
    let source = StoreVolume::new();
    let user = TestUser::new();
    user.write("sd-card.nix", &configuration(""));
    let user = user.with("SDBUILD_STORE", &source.0);
    let built = run(&mut user.build(&[])).assert_exit_code(0).image();
    let cache = BinaryCache::made_of("packages", &source.0, &[&built]);
    let server = CacheServer::good(&cache.dir);
    let user = user
        .with("SDBUILD_STORE", STORE)
        .with("SDBUILD_SUBSTITUTERS", server.url())
        .with("SDBUILD_TRUSTED_PUBLIC_KEYS", &cache.key);
    run(&mut user.build(&["--force"])).assert_exit_code(0);
    assert!(server.nars() > 10, "{} store paths fetched", server.nars());
}

/// When the shared volume was created; `None` if there is none.
fn created_at() -> Option<String> {
    let format = "{{.CreatedAt}}";
    let inspect = ["volume", "inspect", "--format", format, STORE];
    let found = run(Command::new("docker").args(inspect));
    (found.code == Some(0)).then(|| found.stdout.trim().to_owned())
}
