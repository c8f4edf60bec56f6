//! `doctor` and `status` against scripted engines: problems of an engine are shown, and no request changes
//! anything. Mirrors are ports where nothing listens, and caches are empty.

use std::time::Duration;

use serde_json::Value;

use crate::server::{Server, default_reply, ok, refused};
use crate::support::*;

fn user(engine: &Server) -> TestUser {
    let user = TestUser::new().with("DOCKER_HOST", engine.endpoint.to_string());
    let refusing = "http://127.0.0.1:9/debian";
    let empty = user.state.path().join("cache");
    user.with("XDG_CACHE_HOME", empty.to_str().unwrap())
        .with("SDBUILD_DEBIAN_MIRROR", refusing)
        .with("SDBUILD_CHANNELS", refusing)
        .with("http_proxy", "http://127.0.0.1:9")
}

/// The checks of `doctor` on `engine`, which must have received GET requests only.
#[track_caller]
fn doctor_checks(engine: &Server, code: i32) -> Vec<Value> {
    let outcome = run(&mut user(engine).sdbuild(&["doctor", "--json"])).assert_exit_code(code);
    let report = outcome.json();
    let requests = engine.requests();
    assert!(requests.iter().all(|r| r.starts_with("GET ")), "{requests:?}");
    report["checks"].as_array().unwrap().clone()
}

/// The verdict of `topic`, and its text with its remedies.
#[track_caller]
fn check_of(checks: &[Value], topic: &str) -> (String, String) {
    let check = checks.iter().find(|check| check["topic"] == topic).unwrap();
    let remedies = check["remedies"].as_array().unwrap();
    let remedies: Vec<_> = remedies.iter().map(|r| r.as_str().unwrap()).collect();
    let verdict = check["verdict"].as_str().unwrap().to_owned();
    let text = format!("{} | {}", check["text"].as_str().unwrap(), remedies.join(" | "));
    (verdict, text)
}

/// An engine whose `/info` is `text`, without any objects.
fn engine_with_info(text: &'static str) -> Server {
    Server::new(move |request| match request {
        "GET /info" => ok(text),
        "GET /version" => default_reply(),
        _ if request.starts_with("GET /images/sdbuild") => ok("{}"),
        _ => ok("[]"),
    })
}

/// The engine has images with our names, but without a cache their content is not known: a build would fetch.
#[test]
fn sound_engine_is_good_and_refusing_mirrors_are_bad() {
    let engine = engine_with_info(
        r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"6.1.0","MemTotal":16000000000,"NCPU":4}"#,
    );
    let checks = doctor_checks(&engine, 3);
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
        let (verdict, text) = check_of(&checks, topic);
        assert_eq!(verdict, "good", "{topic}: {text}");
    }
    let (verdict, text) = check_of(&checks, "Debian mirrors");
    assert_eq!(verdict, "bad", "{text}");
}

#[test]
fn problems_of_an_engine_come_with_remedies() {
    let rootless = engine_with_info(
        r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"6.1.0","MemTotal":500000000,"SecurityOptions":["name=rootless"]}"#,
    );
    let checks = doctor_checks(&rootless, 3);
    let (verdict, text) = check_of(&checks, "emulation");
    assert!(
        verdict == "warning" && text.contains("rootless") && text.contains("DOCKER_HOST"),
        "{text}"
    );
    let (verdict, text) = check_of(&checks, "memory");
    assert!(verdict == "warning" && text.contains("more memory"), "{text}");
    let old =
        engine_with_info(r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"3.10.0"}"#);
    let (verdict, text) = check_of(&doctor_checks(&old, 3), "kernel");
    assert!(verdict == "bad" && text.contains("needs Linux 4.8 or later"), "{text}");
    let ancient = Server::new(|_| ok(r#"{"Version":"19.03","ApiVersion":"1.40"}"#));
    let (verdict, text) = check_of(&doctor_checks(&ancient, 3), "engine");
    assert!(verdict == "bad" && text.contains("update the engine"), "{text}");
}

/// Most container images have no certificates.
#[test]
fn plain_http_mirror_works_without_certificates() {
    let engine =
        engine_with_info(r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"6.1.0"}"#);
    let mirror = Server::new(|_| ok(""));
    let user = user(&engine)
        .with("SSL_CERT_FILE", "/dev/null")
        .with("SSL_CERT_DIR", "/nowhere")
        .with("no_proxy", "127.0.0.1")
        .with("SDBUILD_DEBIAN_MIRROR", mirror.endpoint.to_string().replace("tcp:", "http:"));
    let shown = run(&mut user.sdbuild(&["doctor"])).stdout;
    assert!(shown.contains("✓ Debian mirrors"), "{shown}");
}

/// The test runner's timeout ends the test if a wait never ends.
#[test]
fn endless_lists_are_not_waited_for() {
    let engine = Server::new(|request| match request {
        "GET /info" | "GET /version" => default_reply(),
        _ => {
            std::thread::sleep(Duration::from_hours(1));
            refused(500, "too late")
        }
    });
    let checks = doctor_checks(&engine, 3);
    let (verdict, text) = check_of(&checks, "leftovers");
    assert!(verdict == "warning" && text.contains("in time"), "{text}");
    let (verdict, text) = check_of(&checks, "Debian mirrors");
    assert!(verdict == "bad" && text.contains("SDBUILD_DEBIAN_MIRROR"), "{text}");
}

#[test]
fn status_shows_the_rest_when_the_engine_refuses_lists() {
    let engine = Server::new(|request| match request {
        "GET /info" | "GET /version" => default_reply(),
        _ => refused(500, "out of order\u{1b}[2J"),
    });
    let shown = run(&mut user(&engine).sdbuild(&["status"])).assert_exit_code(0).stdout;
    assert!(shown.contains("out of order"), "{shown}");
    assert!(shown.contains("downloads") && !shown.contains("containers  "), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}
