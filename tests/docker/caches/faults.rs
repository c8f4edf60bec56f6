//! Caches that do not deliver: the error names cache and path, and another cache or the builder takes their place.

use super::{assert_built, build, cache};
use crate::support::*;

/// What helps when a cache fails.
const HELP: [&str; 2] = ["--extra-substituters", "--fallback"];

/// A server that answers requests for the store path `name` like this, and all others well.
fn failing(name: &str, reply: Reply) -> CacheServer {
    let cache = cache();
    let nar = cache.field(name, "URL");
    CacheServer::start(
        &cache.dir,
        move |request| {
            if request.file() == nar { reply.clone() } else { Reply::File }
        },
    )
}

/// The file of another store path of the cache.
fn other(name: &str) -> Reply {
    let cache = cache();
    Reply::Other(cache.dir.join(cache.field(name, "URL")))
}

/// Asserts that the build ended as a failure of the cache, not of the configuration.
#[track_caller]
fn assert_cache_failed(outcome: Outcome, says: &[&str]) {
    let outcome =
        outcome.assert_exit_code(3).assert_stderr_contains(says).assert_stderr_contains(&HELP);
    let text = &outcome.stderr;
    assert!(!text.contains("evaluate the configuration"), "{text}");
}

#[test]
fn damaged_file_is_named_with_its_cache() {
    needs!(engine_ready());
    let damaged = failing("swapped-one", other("well-one"));
    let path = cache().field("swapped-one", "StorePath");
    let text = format!("the binary cache {} sent a damaged file for {path}", damaged.url());
    assert_cache_failed(build("swapped", &[&damaged], &[]), &[&text]);
    // Bytes that cannot even be unpacked.
    let damaged = failing("changed-one", Reply::Changed);
    let path = cache().field("changed-one", "StorePath");
    let text = format!("the binary cache {} sent a damaged file for {path}", damaged.url());
    assert_cache_failed(build("changed", &[&damaged], &[]), &[&text]);
}

#[test]
fn damaged_file_comes_from_another_cache_or_is_built() {
    needs!(engine_ready());
    let damaged = failing("swapped-two-one", other("well-one"));
    let good = CacheServer::good(&cache().dir);
    let two = build("swapped-two", &[&damaged, &good], &[]);
    assert_built(two, "swapped-two", &[]);
    assert_eq!(good.nars(), 1, "only what the first one does not deliver");
    let damaged = failing("swapped-fallback-one", other("well-one"));
    let fallback = build("swapped-fallback", &[&damaged], &["--fallback"]);
    assert_built(fallback, "swapped-fallback", &["image", "one"]);
}

#[test]
fn silent_cache_is_named_and_given_up() {
    needs!(engine_ready());
    let silent = failing("silent-one", Reply::Silence);
    let url = silent.url();
    let said = format!("unable to download '{url}/nar/");
    let outcome = build("silent", &[&silent], &[]);
    assert_cache_failed(outcome, &[&said, "a server that the builder needs does not answer"]);
    let silent = failing("silent-two-one", Reply::Silence);
    let good = CacheServer::good(&cache().dir);
    let outcome = build("silent-two", &[&silent, &good], &[]);
    assert_built(outcome, "silent-two", &[]);
    assert_eq!(good.nars(), 1, "only what the first one does not send");
}

#[test]
fn cut_and_failing_caches_are_explained() {
    needs!(engine_ready());
    let cut = failing("cut-one", Reply::Cut);
    assert_cache_failed(build("cut", &[&cut], &[]), &[&cut.url()]);
    let broken = failing("status-one", Reply::Status("503 Service Unavailable", String::new()));
    let outcome = build("status", &[&broken], &[]);
    assert_cache_failed(outcome, &[&broken.url(), "HTTP error 503"]);
    let broken = CacheServer::start(&cache().dir, |request| {
        if request.file().ends_with(".narinfo") {
            Reply::Status("500 Internal Server Error", String::new())
        } else {
            Reply::File
        }
    });
    let outcome = build("info", &[&broken], &[]);
    assert_cache_failed(outcome, &[&broken.url(), "HTTP error 500"]);
    // Whether that cache has a path is not known: what another cache lacks would be built for hours.
    let caches = [&broken, &CacheServer::good(&cache().dir)];
    let outcome = build("info", &caches, &["--fallback"]);
    assert_built(outcome, "info", &[]);
}

#[test]
fn slow_cache_is_named_while_it_sends() {
    needs!(engine_ready());
    let slow = failing("trickle-one", Reply::Trickle);
    let (volume, cache) = (StoreVolume::new(), cache());
    let user = super::with_caches(super::user("trickle", &volume, &cache), &[&slow]);
    let mut running = Running::start(&mut user.build(&[]));
    running.wait_for(&format!("warning: {} is very slow", slow.url()));
    running.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(running.finish().signal, Some(2));
}

#[test]
fn cache_that_refuses_is_left_out_with_a_warning() {
    needs!(engine_ready());
    let closed =
        CacheServer::start(&cache().dir, |_| Reply::Status("403 Forbidden", String::new()));
    let outcome = build("forbidden", &[&closed], &[]);
    let outcome = assert_built(outcome, "forbidden", &["image", "one", "two"]);
    let said = format!("unable to download '{}/nix-cache-info': HTTP error 403", closed.url());
    outcome.assert_stderr_contains(&[&said, "--netrc-file"]);
    let closed = failing("forbidden-nar-one", Reply::Status("403 Forbidden", String::new()));
    let outcome = build("forbidden-nar", &[&closed], &[]);
    assert_built(outcome, "forbidden-nar", &["one"]);
}

#[test]
fn unknown_key_means_building_with_a_warning() {
    needs!(engine_ready());
    let good = CacheServer::good(&cache().dir);
    for keys in ["", "tests-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        let outcome = build("key", &[&good], &["--trusted-public-keys", keys]);
        let outcome = assert_built(outcome, "key", &["image", "one", "two"]);
        let said = ["not signed by any of the keys", "--extra-trusted-public-keys KEY"];
        let outcome = outcome.assert_stderr_contains(&said);
        let told = outcome.stderr.matches("not signed").count();
        assert_eq!(told, 1, "{}", outcome.stderr);
    }
    assert_eq!(good.nars(), 0);
}

#[test]
fn login_page_is_no_binary_cache() {
    needs!(engine_ready());
    let page = || Reply::Text("<!DOCTYPE html>\n<html>Log in</html>\n".to_owned());
    let portal = CacheServer::start(&cache().dir, move |_| page());
    build("portal", &[&portal], &[]).assert_exit_code(3).assert_stderr_contains(&[
        "a binary cache answered with something other than the description of a store path",
        ".narinfo' is corrupt",
        "--fallback",
    ]);
    let good = CacheServer::good(&cache().dir);
    let outcome = build("portal", &[&portal, &good], &["--fallback"]);
    outcome.assert_exit_code(0);
}
