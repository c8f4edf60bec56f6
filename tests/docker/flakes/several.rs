//! Several configurations at once: two of a flake, and a file.

use nix::sys::signal::Signal;

use super::{lock, without_a_network};
use crate::support::*;

/// An image of a few bytes called `name`, made by the shell text `script` and what makes it.
fn image(name: &str, script: &str) -> String {
    let made = SMALL_IMAGE.replace("small", name);
    format!(
        "system.build.sdImage = lib.mkForce (pkgs.runCommand \"product\" {{ }} ''\n{}\n'');",
        fresh(&format!("{script}\n{made}"))
    )
}

/// A flake with the configurations `a` and `b`, whose image is made after `script`, and `pi/sd-card.nix`.
fn configurations(user: &TestUser, script: &str) {
    let one = |name, script| flake_configuration(name, &flake_module(&image(name, script)));
    let laptop =
        "({ ... }: { system.stateVersion = \"26.05\"; boot.loader.systemd-boot.enable = true; })";
    let laptop = flake_configuration("laptop", laptop);
    let outputs = [one("a", ""), one("b", script), laptop].join("\n");
    FlakeRepository::new(user, "flake", &[("flake.nix", &flake_text("./nixpkgs", &outputs))]);
    lock(user, &["--flake", "flake"]).assert_exit_code(0);
    user.write("pi/sd-card.nix", &configuration(&image("c", "")));
}

const ALL: [&str; 3] = ["flake#a", "flake#b", "pi/sd-card.nix"];

/// A build of all of them. A flake has a nixpkgs of its own, so that of the file is not named by a flag.
fn build(user: &TestUser) -> std::process::Command {
    let mut build = user.sdbuild(&["build", "--output", "out"]);
    build.env("SDBUILD_NIXPKGS", mini_nixpkgs()).args(ALL);
    build
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    needs!(engine_ready());
    let user = without_a_network();
    let runs = user.track_runs();
    configurations(&user, "    echo the second is broken >&2\n    exit 7");
    let outcome = run(build(&user).arg("-v"));
    let outcome = outcome
        .assert_exit_code(4)
        .assert_stderr_contains(&["the second is broken", "error: flake#b: "]);
    let images: Vec<_> = outcome.stdout.lines().collect();
    let expected = ["a.img", "c.img"].map(|name| user.out().join(name).display().to_string());
    assert_eq!(images, expected);
    let lines: Vec<_> = outcome.stderr.lines().collect();
    let table = |name: &str, part: &str| {
        let is_row = |line: &&&str| line.starts_with(name) && line.contains(part);
        assert_eq!(lines.iter().filter(is_row).count(), 1, "{name}\n{}", outcome.stderr);
    };
    table("flake#a         ", "out/a.img");
    table("flake#b         ", "exit code 7");
    table("pi/sd-card.nix  ", "out/c.img");
    runs.assert_nothing_left();

    let json = run(build(&user).arg("--json")).assert_exit_code(4);
    let objects = serde_json::Deserializer::from_str(&json.stdout).into_iter();
    let objects: Vec<serde_json::Value> = objects.map(Result::unwrap).collect();
    assert_eq!(objects[1]["configuration"], "flake#b");
    assert_eq!(objects[1]["errors"][0]["class"], "build");
    assert!(objects.len() == 3 && objects[2]["image"].is_object(), "{}", json.stdout);

    // A machine without an image is no failure.
    let all = ["build", "--output", "out", "--all", "flake"];
    let all = run(&mut user.sdbuild(&all)).assert_exit_code(4).assert_stderr_contains(&[
        "flake#a       out/a.img",
        "flake#laptop  no image: ",
        "error: flake#b: ",
    ]);
    assert!(!all.stderr.contains("error: flake#laptop"), "{}", all.stderr);

    let checked = run(user.sdbuild(&["check", "--json"]).args(&ALL[..2]));
    let objects = serde_json::Deserializer::from_str(&checked.stdout).into_iter();
    let named =
        objects.map(|one: Result<serde_json::Value, _>| one.unwrap()["configuration"].clone());
    assert_eq!(named.collect::<Vec<_>>(), ALL[..2], "{}", checked.stderr);
    runs.assert_nothing_left();
}

#[test]
fn killed_in_the_second_it_leaves_nothing() {
    needs!(engine_ready());
    let user = without_a_network();
    let runs = user.track_runs();
    configurations(&user, "    echo in the middle of the second\n    sleep 600");
    let mut running = Running::start(build(&user).arg("-v"));
    running.wait_for("in the middle of the second");
    let handlers = runs.handlers();
    assert_eq!(handlers.len(), 1, "one registration for all: {handlers:?}");
    assert_eq!(runs.containers_of("registrar").len(), 1);
    let builder = runs.container("builder");
    let id = builder.rsplit('-').next().unwrap();
    assert!(!handlers[0].contains(id), "the first run registered it: {handlers:?}, {builder}");
    running.signal(Signal::SIGKILL);
    runs.wait_until_unregistered();
    running.finish();
    // The next run removes the containers.
    user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    runs.assert_nothing_left();

    let mut running = Running::start(build(&user).arg("-v"));
    running.wait_for("in the middle of the second");
    running.signal(Signal::SIGINT);
    let outcome = running.finish();
    assert_eq!(outcome.signal, Some(Signal::SIGINT as i32), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("not begun"), "{}", outcome.stderr);
    runs.assert_nothing_left();
}

#[test]
fn images_of_the_same_name_do_not_replace_each_other() {
    needs!(engine_ready());
    let user = without_a_network();
    for name in ["one", "two"] {
        let made = image("small", &format!("    echo {name} >text"));
        user.write(
            &format!("{name}/sd-card.nix"),
            &configuration(&made.replace("echo small", "cat text")),
        );
    }
    let mini = mini_nixpkgs();
    let words = ["build", "--output", "out", "--nixpkgs", mini.to_str().unwrap(), "one", "two"];
    run(&mut user.sdbuild(&words)).assert_exit_code(2).assert_stderr_contains(&[
        "one/sd-card.nix  out/small.img",
        "error: two/sd-card.nix: ",
        "out/small.img already exists",
    ]);
    let forced = run(user.sdbuild(&words).arg("--force")).assert_exit_code(2);
    forced.assert_stderr_contains(&["error: two/sd-card.nix: "]);
    assert_eq!(user.read("out/small.img"), "one\n");
}

/// What the log of each run of `outcome` says.
fn logs(outcome: &Outcome) -> Vec<String> {
    let files = outcome.stderr.lines().filter_map(|line| line.strip_prefix("log: "));
    files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn one_evaluation_serves_all_configurations_of_a_flake() {
    needs!(engine_ready());
    let user = without_a_network();
    let mark = nonce();
    let one = |name: &str, more: &str| {
        let body = format!(
            "warnings = [ \"of {name}\" ]; time.timeZone = builtins.trace \"evaluated {name} {mark}\" \"UTC\";"
        );
        flake_configuration(name, &flake_module(&format!("{body} {more}")))
    };
    let flake = |more: &str| {
        let outputs = [one("a", ""), one("b", more), one("c", "")].join("\n");
        flake_text("./nixpkgs", &outputs)
    };
    let repository = FlakeRepository::new(&user, "flake", &[("flake.nix", &flake(""))]);
    lock(&user, &["--flake", "flake"]).assert_exit_code(0);
    let words = ["flake#a", "flake#b", "flake#c"];
    let check = || {
        let checked = run(user.sdbuild(&["check", "--json"]).args(words));
        let objects = serde_json::Deserializer::from_str(&checked.stdout).into_iter();
        let objects: Vec<serde_json::Value> = objects.map(Result::unwrap).collect();
        (checked, objects)
    };
    let (checked, objects) = check();
    for (name, object) in ["a", "b", "c"].into_iter().zip(&objects) {
        let findings = object["findings"].to_string();
        let told = ["a", "b", "c"].map(|name| findings.contains(&format!("\"of {name}\"")));
        assert_eq!(told, ["a", "b", "c"].map(|one| one == name), "{findings}");
    }
    let is_at_once = |log: &String| log.contains("evaluating 3 configurations at once");
    // The part of the one that the log is of.
    let has_evaluated = |log: &String| {
        ["a", "b", "c"].map(|name| log.contains(&format!("evaluated {name} {mark}")))
    };
    let first = logs(&checked);
    assert_eq!(first.iter().map(is_at_once).collect::<Vec<_>>(), [true, false, false]);
    let nothing = [false; 3];
    let of_first = [true, false, false];
    assert_eq!(first.iter().map(has_evaluated).collect::<Vec<_>>(), [of_first, nothing, nothing]);
    // They need no further evaluation for the forecast of a build.
    let dry = |more: &[&str]| {
        let dry = run(user.sdbuild(&["build", "--dry-run"]).args(words).args(more));
        let dry = dry.assert_exit_code(0);
        assert_eq!(dry.stdout.matches("\nderivation").count(), 3, "{}", dry.stdout);
        let later = logs(&dry).into_iter().skip(1);
        assert!(later.map(|log| has_evaluated(&log)).all(|it| it == nothing), "{}", dry.stderr);
        for name in ["a", "b", "c"] {
            assert_eq!(dry.stderr.matches(&format!("> of {name}\n")).count(), 1, "{}", dry.stderr);
        }
        logs(&dry).iter().filter(|log| is_at_once(log)).count()
    };
    assert_eq!(dry(&[]), 0);
    // With another host name they are others.
    for (glue, name) in [("auto", "x"), ("emulated", "y")] {
        let words = ["--hostname", name, "--glue", glue];
        assert_eq!([dry(&words), dry(&words)], [1, 0], "{glue}");
    }

    repository.write("flake.nix", &flake("networking.hotsName = \"b\";"));
    let (checked, objects) = check();
    let evaluates: Vec<_> = objects.iter().map(|one| one["evaluates"].clone()).collect();
    assert_eq!(evaluates, [true, false, true], "{}", checked.stderr);
    assert!(objects[1]["errors"].to_string().contains("hotsName"), "{}", objects[1]);
    assert!(!objects[0].to_string().contains("hotsName"), "{}", objects[0]);
}
