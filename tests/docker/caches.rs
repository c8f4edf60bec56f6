//! Binary caches as users have them: several, incomplete, damaged, slow, behind a login or a proxy. What a build then fetches,
//! builds and says.

mod exported;
mod faults;
mod fetched;
mod reached;
mod system;

use std::fs;
use std::path::PathBuf;

use crate::support::*;

/// The cases for which the cache has an image and its two parts.
const CASES: [&str; 26] = [
    "well",
    "priority",
    "half",
    "both-halves",
    "swapped",
    "swapped-two",
    "swapped-fallback",
    "changed",
    "cut",
    "silent",
    "silent-two",
    "trickle",
    "status",
    "info",
    "forbidden",
    "forbidden-nar",
    "moved",
    "login",
    "login-none",
    "key",
    "proxy",
    "tls",
    "killed",
    "together",
    "tunnel",
    "portal",
];

fn expression() -> PathBuf {
    root().join("tests/docker/caches/cached.nix")
}

/// The cache of all cases.
fn cache() -> BinaryCache {
    if builder_image().is_none() {
        let user = TestUser::new();
        user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    }
    BinaryCache::of(&expression(), &CASES)
}

/// A user whose configuration is the image of `case`, which needs no emulation, and whose store is `volume`. Downloads stall
/// after six seconds, in Nix after three.
fn user(case: &str, volume: &StoreVolume, cache: &BinaryCache) -> TestUser {
    image_user(case)
        .with("SDBUILD_STORE", &volume.0)
        .with("SDBUILD_TRUSTED_PUBLIC_KEYS", &cache.key)
        .with("SDBUILD_STALL_TIMEOUT", "6")
}

/// A user whose configuration is the image of `case`, with the shared store.
fn image_user(case: &str) -> TestUser {
    let user = TestUser::new();
    user.write("cached.nix", &fs::read_to_string(expression()).unwrap());
    let body = format!(
        "  system.build.sdImage = lib.mkForce (import ./cached.nix {{ case = \"{case}\"; }});"
    );
    let arch = std::env::consts::ARCH;
    let text = configuration(&body).replace("aarch64", arch);
    user.write("sd-card.nix", &text);
    user.write("sdbuild.toml", &format!("system = \"{arch}-linux\"\n"));
    user
}

/// The same user with these binary caches.
fn with_caches(user: TestUser, servers: &[&CacheServer]) -> TestUser {
    let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
    user.with("SDBUILD_SUBSTITUTERS", urls.join(" "))
}

/// Builds the image of `case` with these binary caches and flags.
fn build(case: &str, servers: &[&CacheServer], flags: &[&str]) -> Outcome {
    let (volume, cache) = (StoreVolume::new(), cache());
    let user = with_caches(user(case, &volume, &cache), servers);
    let runs = user.track_runs();
    let outcome = run(user.build(flags).arg("-v"));
    runs.assert_nothing_left_but(&volume.0);
    outcome
}

/// The names of what was built, in order, without the case.
fn built(outcome: &Outcome, case: &str) -> Vec<String> {
    let start = format!("{case}-");
    let names = outcome.built().into_iter();
    names.filter_map(|name| Some(name.strip_prefix(&start)?.to_owned())).collect()
}

/// Asserts that the build succeeded and built these.
#[track_caller]
fn assert_built(outcome: Outcome, case: &str, expected: &[&str]) -> Outcome {
    let outcome = outcome.assert_exit_code(0);
    let mut names = built(&outcome, case);
    names.sort();
    assert_eq!(names, expected, "{}", outcome.stderr);
    outcome
}
