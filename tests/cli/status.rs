//! `status` without an engine.

use std::fs;

use crate::support::*;
use crate::user;

#[test]
fn without_an_engine_the_rest_is_shown() {
    let user = user().with("XDG_CACHE_HOME", "/nonexistent/cache");
    let runs = user.state.path().join(".local/state/sdbuild/runs");
    fs::create_dir_all(&runs).unwrap();
    fs::write(runs.join("0123456789ab"), "unix:///gone.sock").unwrap();
    let logs = user.state.path().join(".local/state/sdbuild/logs");
    fs::create_dir_all(&logs).unwrap();
    fs::write(logs.join("build-0123456789ab.log"), "x".repeat(5000)).unwrap();

    let shown = run(&mut user.sdbuild(&["status"])).assert_exit_code(0).stdout;
    let words =
        ["no engine answers at unix:///nonexistent/engine.sock", "0123456789ab", "stale", "5.0 kB"];
    for word in words {
        let joined = shown.replace("\n            ", " ");
        assert!(joined.contains(word), "{word}\n{shown}");
    }
    assert!(!shown.contains("containers"), "containers are unknown, not none:\n{shown}");
    // A path is whole, however long it is.
    let home = user.state.path().to_str().unwrap();
    for line in shown.lines().filter(|line| !line.contains(home)) {
        assert!(line.chars().count() <= 80, "{line}");
    }

    let json = run(&mut user.sdbuild(&["status", "--json"])).assert_exit_code(0).json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["runs"][0]["life"], "dead");
    assert_eq!(json["runs"][0]["endpoint"], "unix:///gone.sock");
    assert_eq!(json["logs"]["size"], 5000);
    assert!(json["engine"]["problem"].as_str().unwrap().contains("no engine answers"));
}

#[test]
fn status_creates_no_directory() {
    let user = user();
    let before = file_names(user.state.path());
    run(&mut user.sdbuild(&["status"])).assert_exit_code(0);
    assert_eq!(file_names(user.state.path()), before);
}
