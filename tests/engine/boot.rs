//! Boots of images for container engines that end while the engine loads them: it may go on with what it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::server::{Reply, Server, default_reply, ok, refused};
use crate::support::*;

/// An engine that takes a load, and has its image only when the test says so.
struct SlowEngine {
    server: Server,
    /// Whether a load has begun.
    is_loading: Arc<AtomicBool>,
    /// Whether it may end.
    may_end: Arc<AtomicBool>,
}

impl SlowEngine {
    fn start() -> Self {
        let (is_loading, may_end) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (begun, end) = (Arc::clone(&is_loading), Arc::clone(&may_end));
        let server = Server::new(move |request| {
            let is_loaded = end.load(Ordering::SeqCst);
            match request {
                "GET /version" | "GET /info" => default_reply(),
                "GET /_ping" => ok("OK"),
                // Of what an interruption cuts off the engine has nothing: it loads what it has all of.
                load if load.starts_with("POST /images/load") => {
                    let (begun, end) = (Arc::clone(&begun), Arc::clone(&end));
                    Reply::Late(Box::new(move || loaded(&begun, &end)))
                }
                one if one.starts_with("GET /images/sdbuild") && is_loaded => ok(booted(one)),
                one if one.starts_with("DELETE /images/") && is_loaded => ok("[]"),
                list if list.contains("/json?") && !list.contains("/sdbuild") => ok("[]"),
                _ => refused(404, "no such thing"),
            }
        });
        Self {
            server,
            is_loading,
            may_end,
        }
    }

    /// A boot of an image, which the engine is loading.
    fn boot(&self, user: &TestUser) -> Running {
        let mut running = Running::start(&mut user.sdbuild(&["boot", "box.oci.tar"]));
        running.wait_until("the load begins", || self.is_loading.load(Ordering::SeqCst));
        running
    }

    fn end_the_load(&self) {
        self.may_end.store(true, Ordering::SeqCst);
    }

    fn has_removed_the_image(&self) -> bool {
        let requests = self.server.requests();
        let mut all = requests.iter();
        all.any(|request| request.starts_with("DELETE /images/sdbuild/booted:"))
    }
}

/// The reply to a load, when it may end.
fn loaded(begun: &AtomicBool, may_end: &AtomicBool) -> Reply {
    begun.store(true, Ordering::SeqCst);
    while !may_end.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(20));
    }
    ok("{\"stream\":\"Loaded image\"}\n")
}

/// What the engine says of the image that `request` inspects.
fn booted(request: &str) -> String {
    let name = request.trim_start_matches("GET /images/");
    let name = name
        .split("/json")
        .next()
        .unwrap()
        .replace("%3A", ":")
        .replace("%2F", "/");
    let (_, run) = name.split_once(':').unwrap();
    let labels = json!({ "dev.sdbuild.run": run, "dev.sdbuild.role": "booted" });
    json!({ "Id": "sha256:1", "RepoTags": [name], "Config": { "Labels": labels } }).to_string()
}

/// A user with a small image for container engines.
fn user(engine: &SlowEngine) -> TestUser {
    let user = TestUser::new().with("DOCKER_HOST", engine.server.endpoint.to_string());
    let blob = |digit: &str| format!("blobs/sha256/{}", digit.repeat(64));
    let (layer, config) = (blob("1"), blob("2"));
    let manifest = json!([{ "Config": config, "RepoTags": ["box:latest"], "Layers": [layer] }]);
    let configuration = json!({
        "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/init"] },
        "rootfs": { "type": "layers", "diff_ids": ["sha256:1"] },
    });
    let files = [
        ("oci-layout", "{}".to_owned()),
        ("manifest.json", manifest.to_string()),
        (&config, configuration.to_string()),
        (&layer, "the layer".to_owned()),
    ];
    let path = user.home.path().join("box.oci.tar");
    let mut archive = tar::Builder::new(std::fs::File::create(path).unwrap());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive
            .append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    archive.finish().unwrap();
    user
}

/// The files of the runs that may have left something.
fn runs(user: &TestUser) -> Vec<String> {
    file_names(&user.state.path().join(".local/state/sdbuild/runs"))
}

#[test]
fn a_load_that_does_not_end_in_time_is_a_leftover() {
    let engine = SlowEngine::start();
    let user = user(&engine);
    let running = engine.boot(&user);
    running.signal(Signal::SIGINT);
    // Two at once would be one.
    std::thread::sleep(Duration::from_millis(300));
    running.signal(Signal::SIGINT);
    running
        .finish()
        .assert_exit_code(5)
        .assert_stderr_contains(&[
            "container image sdbuild/booted:",
            "the engine may still be loading it",
        ]);
    assert!(
        !runs(&user).is_empty(),
        "the next run would not look for it"
    );
    engine.end_the_load();
    wait_until(Duration::from_secs(20), "the image is removed", || {
        engine.has_removed_the_image()
    });
}

#[test]
fn a_load_that_ends_after_an_interruption_leaves_nothing() {
    let engine = SlowEngine::start();
    let user = user(&engine);
    let running = engine.boot(&user);
    running.signal(Signal::SIGINT);
    std::thread::sleep(Duration::from_millis(300));
    engine.end_the_load();
    let outcome = running.finish();
    assert_eq!(outcome.signal, Some(Signal::SIGINT as i32));
    assert!(
        !outcome.stderr.contains("sdbuild/booted:"),
        "{}",
        outcome.stderr
    );
    assert!(engine.has_removed_the_image());
    assert!(runs(&user).is_empty(), "{:?}", runs(&user));
}

#[test]
fn an_image_that_appears_after_a_kill_is_removed() {
    let engine = SlowEngine::start();
    let user = user(&engine);
    let running = engine.boot(&user);
    running.signal(Signal::SIGKILL);
    running.finish();
    // For longer than nothing is looked for once it is certain that nothing comes.
    std::thread::sleep(Duration::from_secs(9));
    assert_eq!(
        runs(&user).len(),
        2,
        "the run, and that it loads: {:?}",
        runs(&user)
    );
    engine.end_the_load();
    wait_until(Duration::from_secs(20), "the image is removed", || {
        engine.has_removed_the_image()
    });
}
