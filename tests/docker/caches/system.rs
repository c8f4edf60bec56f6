//! A system whose packages come out of a binary cache, as every user's do.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use super::with_caches;
use crate::support::*;

/// A user with the configuration of the cached system, and the store `volume`, who fetches from `server`.
fn elsewhere(volume: &StoreVolume, cache: &BinaryCache, server: &CacheServer) -> TestUser {
    let user = TestUser::new()
        .with("SDBUILD_STORE", &volume.0)
        .with("SDBUILD_TRUSTED_PUBLIC_KEYS", &cache.key);
    user.write("sd-card.nix", &system("cached"));
    with_caches(user, &[server])
}

/// Compressed archives above this size, in bytes, are the kernel and its modules.
const LARGE: u64 = 8 << 20;

/// The configuration of a system of this host name.
fn system(name: &str) -> String {
    configuration(&format!("  networking.hostName = \"{name}\";"))
}

/// The content of the system's image, built in the shared store, and the cache with all that it took.
fn cached() -> (Vec<u8>, BinaryCache) {
    let here = TestUser::new();
    let image = here.build_of(&system("cached"), &[]).assert_exit_code(0).image();
    let cache = BinaryCache::made_of("system", STORE, &[&image]);
    (fs::read(image).unwrap(), cache)
}

#[test]
fn empty_store_fetches_packages_and_builds_the_configuration() {
    needs!(engine_ready());
    let (local, cache) = cached();
    let (volume, good) = (StoreVolume::new(), CacheServer::good(&cache.dir));
    let there = elsewhere(&volume, &cache, &good);
    let outcome = run(&mut there.build(&["-v"])).assert_exit_code(0);
    assert!(fs::read(outcome.image()).unwrap() == local);
    let names = outcome.built();
    // Only what nixpkgs keeps out of caches (`allowSubstitutes = false`), and the image.
    for package in ["busybox", "bash", "linux-", "glibc", "e2fsprogs", "nixos-system"] {
        let is_built = names.iter().any(|name| name.starts_with(package));
        assert!(!is_built, "{names:?}");
    }
    assert!(good.nars() > 10 && names.len() < 10, "{} {names:?}", good.nars());
    assert!(!names.iter().any(|name| name.contains(".deb")), "{names:?}");

    let fetched = good.nars();
    let outcome = there.build_of(&system("renamed"), &["-v", "--force"]).assert_exit_code(0);
    assert_eq!(good.nars(), fetched, "everything is there");
    assert!(outcome.built().len() < 20, "{:?}", outcome.built());
}

/// Whether a request is for the kernel or its modules, which only the system and the image need.
fn is_large(dir: &Path, request: &Request) -> bool {
    let size = fs::metadata(dir.join(request.file())).map_or(0, |file| file.len());
    request.is_nar() && size > LARGE
}

#[test]
fn building_begins_while_packages_are_fetched() {
    needs!(engine_ready());
    let (_, cache) = cached();
    let is_building = Arc::new(AtomicBool::new(false));
    let held = Arc::new(AtomicUsize::new(0));
    let (is_over, count, dir) = (is_building.clone(), held.clone(), cache.dir.clone());
    let server = CacheServer::start(&cache.dir, move |request| {
        if is_large(&dir, request) {
            count.fetch_add(1, SeqCst);
            // For two minutes at most, also if the test has failed.
            for _ in 0..6000 {
                if is_over.load(SeqCst) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Reply::File
    });
    let volume = StoreVolume::new();
    let user = elsewhere(&volume, &cache, &server);
    user.write("sd-card.nix", &system("renamed"));
    let mut running = Running::start(&mut user.build(&["-v"]));
    running.wait_until("a large package is asked for", || held.load(SeqCst) > 0);
    running.wait_for("-etc-hostname.drv'");
    is_building.store(true, SeqCst);
    running.finish().assert_exit_code(0);
}

#[test]
fn damaged_packages_of_a_cache_are_not_emulated() {
    needs!(engine_ready());
    let (_, cache) = cached();
    let dir = cache.dir.clone();
    let server = CacheServer::start(&cache.dir, move |request| {
        if is_large(&dir, request) { Reply::Changed } else { Reply::File }
    });
    let volume = StoreVolume::new();
    let user = elsewhere(&volume, &cache, &server);
    let outcome = run(&mut user.build(&["-v"])).assert_exit_code(3);
    let outcome = outcome.assert_stderr_contains(&["error: a binary cache failed: "]);
    let is_retried = outcome.stderr.contains("glue: retried");
    assert!(!is_retried, "{}", outcome.stderr);
}
