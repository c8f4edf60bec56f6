//! The store volume that the tests share. Its packages come out of a signed binary cache, as those of users do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use sdbuild_core::hash::Sha256Hash;

use super::{
    BinaryCache, CacheServer, STORE, StoreVolume, TestUser, configuration, docker, lock,
    mini_nixpkgs, remove_volume, run,
};

/// The beginning of the name of an empty volume of the engine: the shared store has the packages of the miniature nixpkgs whose hash
/// follows, and the label `store` of the volume has the time at which that store was created. Every checkout that uses the engine
/// finds it there.
pub const FILLED: &str = "sdbuild-tests-filled-";

/// Fills the shared store with what the image of the default configuration takes, unless a test has: a store of its own builds the
/// packages, a cache is made of them, and the shared store fetches from it.
pub fn fill_shared_store() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let _one_at_a_time = lock("shared-store");
        let mark = format!("{FILLED}{}", packages().short());
        let created = volume(STORE, "{{.CreatedAt}}");
        if created.is_some() && created == volume(&mark, "{{.Labels.store}}") {
            return;
        }
        let fetched = fill();
        // What another checkout has put there is not fetched again.
        assert!(created.is_some() || fetched > 10, "{fetched} paths fetched");
        remove_volume(&mark);
        let label = format!("store={}", volume(STORE, "{{.CreatedAt}}").unwrap());
        docker(&["volume", "create", "--label", &label, &mark]);
    });
}

/// Fills the shared store; returns how many store paths it fetched.
fn fill() -> usize {
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
    server.nars()
}

/// The hash of the miniature nixpkgs, which says what is in the packages.
fn packages() -> Sha256Hash {
    let mut files = Vec::new();
    list_files(&mini_nixpkgs(), &mut files);
    files.sort();
    let contents = files.iter().map(|file| fs::read(file).unwrap());
    let hashes = contents.map(|content| Sha256Hash::of(&content).to_string());
    Sha256Hash::of(hashes.collect::<String>().as_bytes())
}

fn list_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list_files(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// What `format` makes of the volume `name`; `None` if there is none.
fn volume(name: &str, format: &str) -> Option<String> {
    let inspect = ["volume", "inspect", "--format", format, name];
    let found = run(Command::new("docker").args(inspect));
    (found.code == Some(0)).then(|| found.stdout.trim().to_owned())
}
