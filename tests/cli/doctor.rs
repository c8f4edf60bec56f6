//! `doctor` without an engine, and with an engine that never answers.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use serde_json::Value;

use crate::support::*;
use crate::user;

/// A server that accepts connections and never answers, for as long as the listener lives.
fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, format!("http://{address}/debian"))
}

fn topics(checks: &Value, verdict: &str) -> Vec<String> {
    let checks = checks["checks"].as_array().unwrap().iter();
    let of = checks.filter(|check| check["verdict"] == verdict);
    of.map(|check| check["topic"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn without_an_engine_the_rest_is_checked() {
    let user = user().with("SDBUILD_DEBIAN_MIRROR", "http://127.0.0.1:9/debian");
    let before = file_names(user.state.path());
    let shown = run(&mut user.sdbuild(&["doctor"]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["error: this machine cannot build yet; see "]);
    let out = &shown.stdout;
    assert!(out.contains("✗ engine          no engine answers at"), "{out}");
    assert!(out.contains("                  → correct the socket's address"), "{out}");
    // The user has an engine somewhere.
    assert!(!out.contains("install Docker"), "{out}");
    for topic in ["output's disk", "cache's disk", "Debian mirrors", "clock", "leftovers"] {
        assert!(out.contains(topic), "{topic}\n{out}");
    }
    assert_eq!(file_names(user.state.path()), before, "nothing was created");
    let shown = run(&mut user.sdbuild(&["doctor", "--json"])).assert_exit_code(3);
    let report = shown.json();
    assert_eq!(report["can_build"], false);
    assert!(topics(&report, "bad").contains(&"engine".to_owned()), "{report}");
}

/// The test runner's timeout ends the test if a wait never ends.
#[test]
fn silent_engine_and_servers_are_not_waited_for() {
    let (_mirror, address) = silent_server();
    let (_cache, cache) = silent_server();
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("engine.sock");
    let _engine = UnixListener::bind(&socket).unwrap();
    let user = user()
        .with("DOCKER_HOST", format!("unix://{}", socket.display()))
        .with("SDBUILD_DEBIAN_MIRROR", address)
        .with("SDBUILD_CHANNELS", cache.clone())
        .with("SDBUILD_SUBSTITUTERS", cache);
    let shown = run(&mut user.sdbuild(&["doctor", "--json"])).assert_exit_code(3);
    let report = shown.json();
    let checks = report["checks"].as_array().unwrap();
    let text = |topic: &str| {
        let check = checks.iter().find(|check| check["topic"] == topic);
        check.unwrap()["text"].as_str().unwrap().to_owned()
    };
    assert!(text("engine").contains("does not answer within 8 s"), "{report}");
    assert!(text("binary caches").contains("no answer in time"), "{report}");
    assert!(text("nixpkgs").contains("no answer in time"), "{report}");
}

/// What a build needs of nixpkgs is here or at a server; otherwise `doctor` says that a build cannot work.
#[test]
fn nixpkgs_that_no_server_has_is_bad_unless_it_is_here() {
    let cache = tempfile::tempdir().unwrap();
    let user = user()
        .with("SDBUILD_CHANNELS", "http://127.0.0.1:9")
        .with("XDG_CACHE_HOME", cache.path().to_str().unwrap());
    let verdict = |user: &TestUser| {
        let shown = run(&mut user.sdbuild(&["doctor", "--json"]));
        let report = shown.json();
        let checks = report["checks"].as_array().unwrap();
        let nixpkgs = checks.iter().find(|check| check["topic"] == "nixpkgs");
        nixpkgs.map(|check| check["verdict"].as_str().unwrap().to_owned())
    };
    assert_eq!(verdict(&user).as_deref(), Some("bad"));
    // The hash of the bytes `nixpkgs`.
    let hash = "d93fc7d10ddf5b30a89848233f527f483a0d886fa74bd6c00c0cf49177752aaa";
    user.write(
        "sdbuild.lock",
        &format!("version = 2\n[[nixpkgs]]\nrelease = \"26.05\"\nurl = \"http://127.0.0.1:9/x\"\nsha256 = \"{hash}\"\n"),
    );
    assert_eq!(verdict(&user).as_deref(), Some("bad"), "locked, not here");
    let object = cache.path().join("sdbuild/sha256").join(hash);
    std::fs::create_dir_all(object.parent().unwrap()).unwrap();
    std::fs::write(&object, "nixpkgs").unwrap();
    assert_eq!(verdict(&user).as_deref(), Some("good"));
    let local = user.with("SDBUILD_NIXPKGS", mini_nixpkgs().to_str().unwrap());
    assert_eq!(verdict(&local).as_deref(), Some("good"));
    let other = local.with("SDBUILD_NIXPKGS", "/usr");
    assert_eq!(verdict(&other).as_deref(), Some("bad"));
}
