//! `status` and `doctor` report all runs on the machine.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::commands::json;
use crate::support::*;

#[test]
fn status_and_doctor_tell_live_from_stale_runs() {
    needs!(engine_ready());
    let before = Machine::snapshot();
    let user = TestUser::new();
    let running = Running::in_mid_build(&user, &[]);
    let run_id = is_shown_alive(&user);
    running.signal(Signal::SIGKILL);
    drop(running.finish());
    before.wait_for_handlers();
    is_shown_dead(&user, &run_id);
    user.build_of(&product(SMALL_IMAGE), &[])
        .assert_exit_code(0)
        .assert_stderr_contains(&["removed container ", ", which a stale run left"]);
    assert_eq!(own_runs(&json(&user, &["status", "--json"])), [] as [&Value; 0]);
    before.assert_unchanged();
}

/// The runs of the user who asks. What another user's killed runs left on the engine may be listed beside them.
fn own_runs(status: &Value) -> Vec<&Value> {
    let runs = status["runs"].as_array().unwrap().iter();
    runs.filter(|run| run["endpoint"].is_string()).collect()
}

/// Asserts that the one run is live; returns its id.
fn is_shown_alive(user: &TestUser) -> String {
    let live = json(user, &["status", "--json"]);
    let runs = own_runs(&live);
    assert_eq!(runs.len(), 1, "{live}");
    let run_id = runs[0]["run"].as_str().unwrap().to_owned();
    assert_eq!(runs[0]["life"], "live");
    let handlers = live["handlers"].as_array().unwrap().iter();
    assert_eq!(handlers.filter(|h| h["run"] == run_id.as_str()).count(), 1, "{live}");
    assert_eq!(containers_of(&live, &run_id, true), 2, "registrar and builder\n{live}");
    let mut volumes = live["volumes"].as_array().unwrap().iter();
    let store = volumes.find(|v| v["name"] == STORE).unwrap();
    assert!(store["size"].as_u64() > Some(1_000_000), "{store}");
    assert!(store["age"].is_u64(), "{store}");
    let images = live["images"].as_array().unwrap();
    assert!(images.len() >= 2, "{live}");
    assert!(images.iter().all(|i| i["size"].as_u64() > Some(0)), "{live}");
    let told = run(&mut user.sdbuild(&["doctor"])).stdout;
    assert!(told.contains("✓ leftovers"), "a live run leaves nothing yet:\n{told}");
    run_id
}

fn is_shown_dead(user: &TestUser, run_id: &str) {
    let machine = Machine::snapshot();
    let dead = json(user, &["status", "--json"]);
    let runs = own_runs(&dead);
    assert_eq!(runs.len(), 1, "{dead}");
    assert_eq!((&runs[0]["run"], &runs[0]["life"]), (&run_id.into(), &"dead".into()));
    let left = containers_of(&dead, run_id, true) + containers_of(&dead, run_id, false);
    assert!(left >= 1, "{dead}");
    let screen = run(&mut user.sdbuild(&["status"])).assert_exit_code(0).stdout;
    let foreign = |kind: &str| {
        let rows = dead[kind].as_array().unwrap().iter();
        rows.filter(|row| row["run"] != run_id).count()
    };
    // The engine may have container images of other commits: one commit has three.
    let of_other_commits = dead["images"].as_array().unwrap().len().saturating_sub(3);
    let foreign = foreign("runs") + foreign("containers") + foreign("handlers") + of_other_commits;
    assert!(screen.lines().count() <= 24 + foreign, "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    assert!(screen.contains(run_id) && screen.contains("stale"), "{screen}");
    let told = run(&mut user.sdbuild(&["doctor"])).stdout;
    assert!(told.contains("! leftovers       from earlier runs: "), "{told}");
    machine.assert_unchanged();
}

#[test]
fn doctor_passes_on_this_machine_and_changes_nothing() {
    needs!(engine_ready());
    let user = TestUser::new();
    let cache = user.state.path().join("cache");
    let user = user.with("XDG_CACHE_HOME", cache.to_str().unwrap());
    let events = || docker(&["ps", "--all", "--quiet", "--no-trunc", "--latest"]);
    let (machine, home, latest) = (Machine::snapshot(), tree(user.state.path()), events());
    let user = user.with("SDBUILD_NIXPKGS", mini_nixpkgs().to_str().unwrap());
    let told = run(&mut user.sdbuild(&["doctor"])).assert_exit_code(0).stdout;
    for topic in
        ["engine", "rights", "architecture", "kernel", "emulation", "memory", "binfmt_misc"]
    {
        assert!(told.contains(&format!("✓ {topic}")), "{topic}\n{told}");
    }
    assert!(!told.contains('✗'), "{told}");
    let report = json(&user, &["doctor", "--json"]);
    assert_eq!(report["can_build"], true);
    assert_eq!(report["checks"][0]["verdict"], "good");
    machine.assert_unchanged();
    assert_eq!(tree(user.state.path()), home, "no directory was made");
    assert_eq!(events(), latest, "not even for a moment was there a container");
}

/// All files below `dir`.
fn tree(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        all.push(entry.path().display().to_string());
        if entry.file_type().unwrap().is_dir() {
            all.extend(tree(&entry.path()));
        }
    }
    all.sort();
    all
}

/// The number of containers of `run` that are running, or that are not.
fn containers_of(status: &Value, run: &str, running: bool) -> usize {
    let all = status["containers"].as_array().unwrap().iter();
    all.filter(|c| c["run"] == run && c["running"] == running).count()
}
