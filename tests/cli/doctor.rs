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
    of.map(|check| check["topic"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn without_an_engine_the_rest_is_checked() {
    let user = user().with("SDBUILD_DEBIAN_MIRROR", "http://127.0.0.1:9/debian");
    let before = file_names(user.state.path());
    let shown = run(&mut user.sdbuild(&["doctor"]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["error: a build cannot work here: "]);
    let out = &shown.stdout;
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
    assert_eq!(file_names(user.state.path()), before, "nothing was created");
    let shown = run(&mut user.sdbuild(&["doctor", "--json"])).assert_exit_code(3);
    let report: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(report["can_build"], false);
    assert!(
        topics(&report, "bad").contains(&"engine".to_owned()),
        "{report}"
    );
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
    let report: Value = serde_json::from_str(&shown.stdout).unwrap();
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
fn missing_output_directory_of_the_project_file_is_bad() {
    let user = user();
    user.write("sdbuild.toml", "output = \"nowhere\"\n");
    let shown = run(&mut user.sdbuild(&["doctor"])).assert_exit_code(3);
    assert!(
        shown.stdout.contains("✗ output directory"),
        "{}",
        shown.stdout
    );
    assert!(shown.stdout.contains("nowhere"), "{}", shown.stdout);
    assert!(
        shown.stdout.contains("→ make it: mkdir -p"),
        "{}",
        shown.stdout
    );
}
