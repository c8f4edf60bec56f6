//! What is fetched from caches that deliver: all of it, once, from the right one, in as many bytes as were forecast.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{assert_built, build, cache, user, with_caches};
use crate::support::*;

/// A server that says that it has this priority; a lower number is asked first.
fn with_priority(priority: u32) -> CacheServer {
    CacheServer::start(&cache().dir, move |request| match request.file() {
        "nix-cache-info" => {
            Reply::Text(format!("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: {priority}\n"))
        }
        _ => Reply::File,
    })
}

/// A server that does not have the store path `name`.
fn without(name: &str) -> CacheServer {
    let info = cache().info(name);
    let info = info.file_name().unwrap().to_str().unwrap().to_owned();
    CacheServer::start(&cache().dir, move |request| {
        if request.file() == info {
            Reply::Status("404 Not Found", String::new())
        } else {
            Reply::File
        }
    })
}

#[test]
fn caches_are_asked_by_priority_and_complete_each_other() {
    needs!(engine_ready());
    let (second, first) = (with_priority(50), with_priority(10));
    let outcome = build("priority", &[&second, &first], &[]);
    assert_built(outcome, "priority", &[]);
    assert_eq!((first.nars(), second.nars()), (3, 0));
    // What only one of them has.
    let (one, two) = (without("both-halves-one"), without("both-halves-two"));
    let outcome = build("both-halves", &[&one, &two], &[]);
    assert_built(outcome, "both-halves", &[]);
    assert!(one.nars() > 0 && two.nars() > 0);
    // What none of them has is built.
    let half = without("half-two");
    let outcome = build("half", &[&half], &[]);
    assert_built(outcome, "half", &["two"]);
    assert_eq!(half.nars(), 2);
}

/// The objects on standard error.
fn events(outcome: &Outcome) -> Vec<Value> {
    let lines = outcome.stderr.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    let kind = kind.to_owned();
    events.iter().filter(move |event| event["event"] == kind)
}

#[test]
fn forecast_bytes_are_fetched_and_stored_paths_cost_nothing() {
    needs!(engine_ready());
    let (volume, cache) = (StoreVolume::new(), cache());
    let good = CacheServer::good(&cache.dir);
    let user = with_caches(user("well", &volume, &cache), &[&good]);
    let dry = run(&mut user.build(&["--dry-run", "--json"])).assert_exit_code(0);
    let forecast = dry.json();
    let forecast = &forecast["forecast"];
    let sizes = ["well-image", "well-one", "well-two"]
        .map(|name| cache.field(name, "FileSize").parse::<u64>().unwrap());
    let all: u64 = sizes.iter().sum();
    // Nix rounds to hundredths of a MiB.
    let about = |bytes: &Value| bytes.as_u64().unwrap().abs_diff(all) <= (1 << 20) / 100;
    assert_eq!(forecast["build"], 0, "{forecast}");
    assert_eq!(forecast["fetch"]["paths"], 3, "{forecast}");
    assert!(about(&forecast["fetch"]["download"]), "{all}: {forecast}");

    let first = run(&mut user.build(&["--json-events"])).assert_exit_code(0);
    let first = events(&first);
    let mut moved = BTreeMap::new();
    for event in of_kind(&first, "progress").filter(|event| event["id"].is_u64()) {
        moved.insert(event["id"].as_u64(), event["done"].as_u64().unwrap());
    }
    assert_eq!(moved.values().sum::<u64>(), all, "{moved:?}");
    let announced = of_kind(&first, "will-fetch").next().unwrap();
    assert!(about(&announced["download"]), "{all}: {announced}");
    let totals = of_kind(&first, "to-download").map(|event| event["bytes"].as_u64().unwrap());
    assert_eq!(totals.max(), Some(all));
    let mut caches = of_kind(&first, "fetch-started").map(|event| event["cache"].as_str().unwrap());
    assert!(caches.all(|cache| cache == good.url()));
    assert_eq!(of_kind(&first, "fetch-started").count(), 3);

    let before = good.requests().len();
    let second = run(&mut user.build(&["--force", "--json-events"])).assert_exit_code(0);
    let second = events(&second);
    for kind in ["will-fetch", "fetch-started", "will-build", "build-started"] {
        assert_eq!(of_kind(&second, kind).count(), 0, "{kind}");
    }
    let more = good.requests().split_off(before);
    assert!(!more.iter().any(Request::is_nar), "{more:?}");
}

#[test]
fn killed_fetch_is_continued() {
    needs!(engine_ready());
    let (volume, cache) = (StoreVolume::new(), cache());
    let nar = cache.field("killed-two", "URL");
    let hangs = CacheServer::start(&cache.dir, move |request| {
        if request.file() == nar { Reply::Silence } else { Reply::File }
    });
    let user = user("killed", &volume, &cache).with("SDBUILD_STALL_TIMEOUT", "600");
    let user = with_caches(user, &[&hangs]);
    let runs = user.track_runs();
    let mut running = Running::start(&mut user.build(&["-vv"]));
    let stored = "nix-store --check-validity \"$1\" 2>/dev/null";
    let one = cache.field("killed-one", "StorePath");
    running.wait_until("one part is fetched", || {
        hangs.nars() == 2 && in_builder(&volume.0, &[], stored, &[&one]).code == Some(0)
    });
    running.signal(Signal::SIGKILL);
    running.finish();
    let good = CacheServer::good(&cache.dir);
    let user = with_caches(user, &[&good]);
    assert_built(run(&mut user.build(&["-v"])), "killed", &[]);
    assert_eq!(good.nars(), 2, "the other part and the image");
    runs.assert_nothing_left_but(&volume.0);
}

#[test]
fn two_builds_fetch_the_same_at_once() {
    needs!(engine_ready());
    let (volume, cache) = (StoreVolume::new(), cache());
    let good = CacheServer::good(&cache.dir);
    let users = [(); 2].map(|()| with_caches(user("together", &volume, &cache), &[&good]));
    std::thread::scope(|scope| {
        let builds = users.each_ref().map(|user| scope.spawn(|| run(&mut user.build(&["-v"]))));
        for build in builds {
            assert_built(build.join().unwrap(), "together", &[]);
        }
    });
    let images =
        users.each_ref().map(|user| std::fs::read(user.out().join("together.img")).unwrap());
    assert!(images[0] == images[1] && images[0].len() == 800_000);
}
