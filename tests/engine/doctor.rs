//! `doctor` and `status` against engines that answer by script: what is wrong with one is told, and no
//! request changes anything. Their mirrors are ports where nobody listens,
//! and their caches are empty.

use std::time::Duration;

use serde_json::Value;

use crate::server::{Server, ok, refused, usual};
use crate::support::*;

fn user(engine: &Server) -> TestUser {
    let user = TestUser::new().with("DOCKER_HOST", engine.endpoint.to_string());
    let nobody = "http://127.0.0.1:9/debian";
    let empty = user.state.path().join("cache");
    user.with("XDG_CACHE_HOME", empty.to_str().unwrap())
        .with("SDBUILD_DEBIAN_MIRROR", nobody)
        .with("SDBUILD_CHANNELS", nobody)
        .with("http_proxy", "http://127.0.0.1:9")
}

/// The checks of `doctor` on `engine`, which must have been asked by GET alone.
#[track_caller]
fn examined(engine: &Server, code: i32) -> Vec<Value> {
    let outcome = run(&mut user(engine).sdbuild(&["doctor", "--json"])).assert_exit_code(code);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let requests = engine.requests();
    assert!(
        requests.iter().all(|r| r.starts_with("GET ")),
        "{requests:?}"
    );
    report["checks"].as_array().unwrap().clone()
}

/// The verdict, the text and the remedies of `topic`.
#[track_caller]
fn told(checks: &[Value], topic: &str) -> (String, String) {
    let check = checks.iter().find(|check| check["topic"] == topic).unwrap();
    let remedies = check["remedies"].as_array().unwrap();
    let remedies: Vec<_> = remedies.iter().map(|r| r.as_str().unwrap()).collect();
    let verdict = check["verdict"].as_str().unwrap().to_owned();
    let text = format!(
        "{} | {}",
        check["text"].as_str().unwrap(),
        remedies.join(" | ")
    );
    (verdict, text)
}

fn info(text: &'static str) -> Server {
    Server::new(move |request| match request {
        "GET /info" => ok(text),
        "GET /version" => usual(),
        _ if request.starts_with("GET /images/sdbuild") => ok("{}"),
        _ => ok("[]"),
    })
}

/// It says that it has images of our names, which an empty cache cannot confirm: a build would fetch.
#[test]
fn a_sound_engine_is_good_and_mirrors_that_nobody_reaches_are_not() {
    let engine = info(
        r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"6.1.0","MemTotal":16000000000,"NCPU":4}"#,
    );
    let checks = examined(&engine, 3);
    for topic in [
        "engine",
        "rights",
        "architecture",
        "kernel",
        "emulation",
        "memory",
        "binfmt_misc",
        "leftovers",
    ] {
        let (verdict, text) = told(&checks, topic);
        assert_eq!(verdict, "good", "{topic}: {text}");
    }
    let (verdict, text) = told(&checks, "Debian mirrors");
    assert_eq!(verdict, "bad", "{text}");
}

#[test]
fn what_is_wrong_with_an_engine_is_told_with_its_remedy() {
    let rootless = info(
        r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"6.1.0","MemTotal":500000000,"SecurityOptions":["name=rootless"]}"#,
    );
    let checks = examined(&rootless, 3);
    let (verdict, text) = told(&checks, "emulation");
    assert!(
        verdict == "warning" && text.contains("rootless") && text.contains("DOCKER_HOST"),
        "{text}"
    );
    let (verdict, text) = told(&checks, "memory");
    assert!(
        verdict == "warning" && text.contains("more memory"),
        "{text}"
    );
    let old = info(r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"3.10.0"}"#);
    let (verdict, text) = told(&examined(&old, 3), "kernel");
    assert!(
        verdict == "bad" && text.contains("needs 4.8 or later"),
        "{text}"
    );
    let ancient = Server::new(|_| ok(r#"{"Version":"19.03","ApiVersion":"1.40"}"#));
    let (verdict, text) = told(&examined(&ancient, 3), "engine");
    assert!(
        verdict == "bad" && text.contains("update the engine"),
        "{text}"
    );
}

/// As in most container images.
#[test]
fn a_machine_without_certificates_asks_servers_that_have_none() {
    let engine = info(r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"6.1.0"}"#);
    let mirror = Server::new(|_| ok(""));
    let user = user(&engine)
        .with("SSL_CERT_FILE", "/dev/null")
        .with("SSL_CERT_DIR", "/nowhere")
        .with("no_proxy", "127.0.0.1")
        .with(
            "SDBUILD_DEBIAN_MIRROR",
            mirror.endpoint.to_string().replace("tcp:", "http:"),
        );
    let told = run(&mut user.sdbuild(&["doctor"])).stdout;
    assert!(told.contains("✓ Debian mirrors"), "{told}");
}

/// Should a wait have no end, the test runner ends the test.
#[test]
fn lists_that_never_come_are_not_waited_for() {
    let engine = Server::new(|request| match request {
        "GET /info" | "GET /version" => usual(),
        _ => {
            std::thread::sleep(Duration::from_secs(3600));
            refused(500, "too late")
        }
    });
    let checks = examined(&engine, 3);
    let (verdict, text) = told(&checks, "leftovers");
    assert!(verdict == "warning" && text.contains("in time"), "{text}");
    let (verdict, text) = told(&checks, "Debian mirrors");
    assert!(
        verdict == "bad" && text.contains("SDBUILD_DEBIAN_MIRROR"),
        "{text}"
    );
}

#[test]
fn status_shows_the_rest_when_the_engine_refuses_its_lists() {
    let engine = Server::new(|request| match request {
        "GET /info" | "GET /version" => usual(),
        _ => refused(500, "out of order\u{1b}[2J"),
    });
    let told = run(&mut user(&engine).sdbuild(&["status"]))
        .assert_exit_code(0)
        .stdout;
    assert!(told.contains("out of order"), "{told}");
    assert!(
        told.contains("downloads") && !told.contains("containers  "),
        "{told}"
    );
    assert!(!told.contains('\u{1b}'), "{told}");
}
