//! `doctor` where there is no engine, or one that says nothing.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use serde_json::Value;

use crate::support::*;
use crate::user;

/// An address that accepts and says nothing, for as long as the listener lives.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, format!("http://{address}/debian"))
}

fn topics(checks: &Value, verdict: &str) -> Vec<String> {
    let checks = checks["checks"].as_array().unwrap().iter();
    let of = checks.filter(|check| check["verdict"] == verdict);
    of.map(|check| check["topic"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn without_an_engine_a_build_cannot_work_and_the_rest_is_looked_at() {
    let user = user().with("SDBUILD_DEBIAN_MIRROR", "http://127.0.0.1:9/debian");
    let before = file_names(user.state.path());
    let told = run(&mut user.sdbuild(&["doctor"]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["error: a build cannot work here: "]);
    let out = &told.stdout;
    assert!(
        out.contains("✗ engine          no engine answers at"),
        "{out}"
    );
    assert!(out.contains("                  → install Docker"), "{out}");
    for topic in [
        "output's disk",
        "cache's disk",
        "Debian mirrors",
        "clock",
        "leftovers",
    ] {
        assert!(out.contains(topic), "{topic}\n{out}");
    }
    assert_eq!(file_names(user.state.path()), before, "nothing was made");
    let told = run(&mut user.sdbuild(&["doctor", "--json"])).assert_exit_code(3);
    let report: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(report["can_build"], false);
    assert!(
        topics(&report, "bad").contains(&"engine".to_owned()),
        "{report}"
    );
}

/// Should one of the waits have no end, the test runner ends the test.
#[test]
fn an_engine_and_servers_that_say_nothing_are_not_waited_for() {
    let (_mirror, address) = silent();
    let (_cache, cache) = silent();
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("engine.sock");
    let _engine = UnixListener::bind(&socket).unwrap();
    let user = user()
        .with("DOCKER_HOST", format!("unix://{}", socket.display()))
        .with("SDBUILD_DEBIAN_MIRROR", address)
        .with("SDBUILD_CHANNELS", cache.clone())
        .with("SDBUILD_SUBSTITUTERS", cache);
    let told = run(&mut user.sdbuild(&["doctor", "--json"])).assert_exit_code(3);
    let report: Value = serde_json::from_str(&told.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let text = |topic: &str| {
        let check = checks.iter().find(|check| check["topic"] == topic);
        check.unwrap()["text"].as_str().unwrap().to_owned()
    };
    assert!(
        text("engine").contains("does not answer within 8 s"),
        "{report}"
    );
    assert!(
        text("binary caches").contains("no answer in time"),
        "{report}"
    );
    assert!(text("nixpkgs").contains("no answer in time"), "{report}");
}

#[test]
fn an_output_dir_that_is_not_there_is_told_by_the_settings_that_count() {
    let user = user();
    user.write("sdbuild.toml", "output = \"nowhere\"\n");
    let told = run(&mut user.sdbuild(&["doctor"])).assert_exit_code(3);
    assert!(
        told.stdout.contains("✗ output directory"),
        "{}",
        told.stdout
    );
    assert!(told.stdout.contains("nowhere"), "{}", told.stdout);
    assert!(
        told.stdout.contains("→ make it: mkdir -p"),
        "{}",
        told.stdout
    );
}
