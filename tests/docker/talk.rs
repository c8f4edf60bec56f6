//! What `status`, `doctor` and `init` say and do on a real engine.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::*;

fn json(user: &TestUser, words: &[&str]) -> Value {
    let told = run(&mut user.sdbuild(words)).assert_exit_code(0).stdout;
    serde_json::from_str(&told).unwrap()
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

/// How many containers of `run` are in that state.
fn containers_of(status: &Value, run: &str, running: bool) -> usize {
    let all = status["containers"].as_array().unwrap().iter();
    all.filter(|c| c["run"] == run && c["running"] == running)
        .count()
}

#[test]
fn status_and_doctor_tell_a_live_run_from_a_dead_one() {
    if !engine_available() {
        return;
    }
    let before = Machine::snapshot();
    let user = TestUser::new();
    let running = Running::in_mid_build(&user, &[]);
    let run_id = is_shown_alive(&user);
    running.signal(Signal::SIGKILL);
    drop(running.finish());
    before.wait_for_handlers();
    is_shown_dead(&user, &run_id);
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    run(&mut user.build(&[]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["swept"]);
    assert_eq!(
        json(&user, &["status", "--json"])["runs"],
        Value::Array(vec![])
    );
    before.assert_unchanged();
}

/// The id of the one run.
fn is_shown_alive(user: &TestUser) -> String {
    let live = json(user, &["status", "--json"]);
    let run_id = live["runs"][0]["run"].as_str().unwrap().to_owned();
    assert_eq!(live["runs"].as_array().unwrap().len(), 1, "{live}");
    assert_eq!(live["runs"][0]["life"], "live");
    let handlers = live["handlers"].as_array().unwrap().iter();
    assert_eq!(
        handlers.filter(|h| h["run"] == run_id.as_str()).count(),
        1,
        "{live}"
    );
    assert_eq!(
        containers_of(&live, &run_id, true),
        2,
        "registrar and builder\n{live}"
    );
    let mut volumes = live["volumes"].as_array().unwrap().iter();
    let store = volumes.find(|v| v["name"] == STORE).unwrap();
    assert!(store["size"].as_u64() > Some(1_000_000), "{store}");
    assert!(store["age"].is_u64(), "{store}");
    let images = live["images"].as_array().unwrap();
    assert!(images.len() >= 2, "{live}");
    assert!(
        images.iter().all(|i| i["size"].as_u64() > Some(0)),
        "{live}"
    );
    let told = run(&mut user.sdbuild(&["doctor"])).stdout;
    assert!(
        told.contains("✓ leftovers"),
        "a live run leaves nothing yet:\n{told}"
    );
    run_id
}

fn is_shown_dead(user: &TestUser, run_id: &str) {
    let machine = Machine::snapshot();
    let dead = json(user, &["status", "--json"]);
    assert_eq!(dead["runs"][0]["run"], run_id);
    assert_eq!(dead["runs"][0]["life"], "dead");
    let left = containers_of(&dead, run_id, true) + containers_of(&dead, run_id, false);
    assert!(left >= 1, "{dead}");
    let screen = run(&mut user.sdbuild(&["status"]))
        .assert_exit_code(0)
        .stdout;
    assert!(screen.lines().count() <= 24, "{screen}");
    assert!(
        screen.lines().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    assert!(
        screen.contains(run_id) && screen.contains("stale"),
        "{screen}"
    );
    let told = run(&mut user.sdbuild(&["doctor"])).stdout;
    assert!(told.contains("! leftovers       of dead runs: "), "{told}");
    machine.assert_unchanged();
}

#[test]
fn doctor_finds_this_machine_fit_and_changes_nothing() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    let cache = user.state.path().join("cache");
    let user = user.with("XDG_CACHE_HOME", cache.to_str().unwrap());
    let events = || docker(&["ps", "--all", "--quiet", "--no-trunc", "--latest"]);
    let (machine, home, latest) = (Machine::snapshot(), tree(user.state.path()), events());
    let told = run(&mut user.sdbuild(&["doctor"]))
        .assert_exit_code(0)
        .stdout;
    for topic in [
        "engine",
        "rights",
        "architecture",
        "kernel",
        "emulation",
        "memory",
        "binfmt_misc",
    ] {
        assert!(told.contains(&format!("✓ {topic}")), "{topic}\n{told}");
    }
    assert!(!told.contains('✗'), "{told}");
    let report = json(&user, &["doctor", "--json"]);
    assert_eq!(report["can_build"], true);
    assert_eq!(report["checks"][0]["verdict"], "good");
    machine.assert_unchanged();
    assert_eq!(tree(user.state.path()), home, "no directory was made");
    assert_eq!(
        events(),
        latest,
        "not even for a moment was there a container"
    );
}

#[test]
fn doctor_knows_whether_a_build_would_need_a_mirror() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    run(&mut user.build(&[])).assert_exit_code(0);
    let nobody = "http://127.0.0.1:9/debian";
    let cut_off = user
        .with("SDBUILD_DEBIAN_MIRROR", nobody)
        .with("http_proxy", nobody);
    let mirrors = |user: &TestUser| {
        let told = run(&mut user.sdbuild(&["doctor", "--json"])).stdout;
        let report: Value = serde_json::from_str(&told).unwrap();
        let checks = report["checks"].as_array().unwrap().iter();
        let mut mirrors = checks.filter(|check| check["topic"] == "Debian mirrors");
        mirrors.next().unwrap()["verdict"].clone()
    };
    assert_eq!(mirrors(&cut_off), "warning", "all packages are here");
    let empty = cut_off.state.path().join("cache");
    let cold = cut_off.with("XDG_CACHE_HOME", empty.to_str().unwrap());
    assert_eq!(mirrors(&cold), "bad", "a build would fetch");
}

#[test]
fn what_init_writes_becomes_an_image_with_that_key_in_it() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    let ssh = user.state.path().join(".ssh");
    fs::create_dir(&ssh).unwrap();
    let (_, public) = key(&user);
    let bare = public.rsplit_once(' ').unwrap().0;
    let comment = r#"it's "me" ${builtins.throw "x"} $${y} ''${z} \n \"#;
    fs::write(
        ssh.join("id.pub"),
        format!("{bare} {comment}\nssh-rsa AAAA other\n"),
    )
    .unwrap();
    run(&mut user.sdbuild(&["init", "--hostname", "kitchen"])).assert_exit_code(0);

    // The key as Nix understands it, out of the very file that was written.
    let show = "    mkdir -p $out/sd-image $out/nix-support\n    cp ${keys} $out/sd-image/keys.img\n    \
        echo \"file sd-image $out/sd-image/keys.img\" > $out/nix-support/hydra-build-products";
    user.write(
        "keys.nix",
        &format!(
            "{{ config, pkgs, lib, ... }}: let\n  \
             keys = builtins.toFile \"keys\" (lib.concatStringsSep \"|\" config.users.users.root.openssh.authorizedKeys.keys);\n\
             in {{\n  imports = [ ./sd-card.nix ];\n  \
             system.build.sdImage = lib.mkForce (pkgs.runCommand \"keys\" {{ }} ''\n{show}\n  '');\n}}\n"
        ),
    );
    let built = run(&mut user.build(&["--config", "keys.nix"])).assert_exit_code(0);
    let keys = fs::read_to_string(built.image()).unwrap();
    assert_eq!(keys.trim_end(), format!("{bare} {comment}"));

    let built = run(&mut user.build(&[])).assert_exit_code(0);
    let image = built.image();
    let seen = json(&user, &["inspect", image.to_str().unwrap(), "--json"]);
    assert_eq!(seen["boot"]["system"]["host_name"], "kitchen", "{seen}");
    assert_eq!(seen["problems"], Value::Array(vec![]));
}
