//! A system whose packages come out of a binary cache, as every user's do.

use std::fs;

use super::with_caches;
use crate::support::*;

/// The names of what was built, in order.
fn built(outcome: &Outcome) -> Vec<&str> {
    let lines = outcome.stderr.lines();
    lines
        .filter_map(|line| line.strip_prefix("building "))
        .collect()
}

#[test]
fn empty_store_fetches_packages_and_builds_the_configuration() {
    if !engine_available() {
        return;
    }
    let system = |name: &str| configuration(&format!("  networking.hostName = \"{name}\";"));
    let here = TestUser::new();
    here.write("sd-card.nix", &system("cached"));
    let local = run(&mut here.build(&[])).assert_exit_code(0).image();

    let cache = BinaryCache::made_of("system", &local);
    let (volume, good) = (StoreVolume::new(), CacheServer::good(&cache.dir));
    let there = TestUser::new()
        .with("SDBUILD_STORE", &volume.0)
        .with("SDBUILD_TRUSTED_PUBLIC_KEYS", &cache.key);
    let there = with_caches(there, &[&good]);
    there.write("sd-card.nix", &system("cached"));
    let outcome = run(&mut there.build(&["-v"])).assert_exit_code(0);
    assert!(fs::read(outcome.image()).unwrap() == fs::read(local).unwrap());
    let names = built(&outcome);
    // Only what nixpkgs keeps out of caches (`allowSubstitutes = false`), and the image.
    for package in [
        "busybox",
        "bash",
        "linux-",
        "glibc",
        "e2fsprogs",
        "nixos-system",
    ] {
        let is_built = names.iter().any(|name| name.starts_with(package));
        assert!(!is_built, "{names:?}");
    }
    assert!(
        good.nars() > 10 && names.len() < 10,
        "{} {names:?}",
        good.nars()
    );
    assert!(!names.iter().any(|name| name.contains(".deb")), "{names:?}");

    let fetched = good.nars();
    there.write("sd-card.nix", &system("renamed"));
    let outcome = run(&mut there.build(&["-v", "--force"])).assert_exit_code(0);
    assert_eq!(good.nars(), fetched, "everything is there");
    assert!(built(&outcome).len() < 20, "{:?}", built(&outcome));
}
