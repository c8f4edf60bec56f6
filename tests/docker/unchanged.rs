//! A build of what has not changed: nothing is evaluated again, unless the evaluation can see something else than what sdbuild
//! knows.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::*;

/// Whether Nix was run.
fn ran_nix(outcome: &Outcome) -> bool {
    outcome.stderr.contains("\nBuild: done")
}

/// A configuration with `body` whose image is quickly made and is in no store yet.
fn small(body: &str) -> String {
    let system = product(&fresh(SMALL_IMAGE));
    let (start, end) = system.rsplit_once('}').unwrap();
    format!("{start}{body}\n}}{end}")
}

#[test]
fn unchanged_inputs_and_image_need_no_evaluation() {
    needs!(engine_ready());
    let user = TestUser::new().offline();
    let runs = user.track_runs();
    // Options of NixOS, and not the function `storePath`.
    let text = small("  # As sdImage.storePaths.");
    let first = user.build_of(&text, &["--json"]).assert_exit_code(0);
    assert!(ran_nix(&first), "{}", first.stderr);
    let same = |more: &[&str]| run(user.build(&["--json"]).args(more)).assert_exit_code(0);
    let again = same(&[]);
    assert_eq!(again.stdout, first.stdout);
    assert!(!ran_nix(&again), "{}", again.stderr);
    // Each of these may give another result, and is asked.
    for changed in [
        &["--set", "time.timeZone=Europe/Berlin"][..],
        &["--glue", "emulated"],
        &["--rpi-imager"],
        &["--force"],
    ] {
        assert!(ran_nix(&same(changed)), "{changed:?}");
    }
    let other = user.write("other.nix", "{ }");
    assert!(ran_nix(&same(&[])), "a new file may be imported");
    fs::remove_file(other).unwrap();
    let again = same(&[]);
    assert!(!ran_nix(&again), "as it was: {}", again.stderr);
    user.write("sd-card.nix", &small(""));
    assert!(ran_nix(&same(&[])));
    let image = user.out().join("small.img");
    fs::remove_file(&image).unwrap();
    fs::remove_file(user.out().join("small.img.sha256")).unwrap();
    assert!(ran_nix(&same(&["--force"])), "the image was removed");
    fs::write(&image, "other\n").unwrap();
    let refused = run(&mut user.build(&[])).assert_exit_code(2);
    refused.assert_stderr_contains(&["already exists"]);
    runs.assert_nothing_left();
}

/// A build begins with a directory of nixpkgs as it was read last.
#[test]
fn a_changed_directory_of_nixpkgs_is_seen() {
    needs!(engine_ready());
    let user = TestUser::new().offline();
    let runs = user.track_runs();
    user.write("pi/sd-card.nix", &small(""));
    let nixpkgs = user.home.path().join("nixpkgs");
    run(Command::new("cp").arg("-r").args([&mini_nixpkgs(), &nixpkgs])).assert_exit_code(0);
    let build = || {
        // What was changed just before is not remembered.
        std::thread::sleep(Duration::from_secs(3));
        let mut build = user.sdbuild(&["build", "pi", "--json", "--output"]);
        let build = build.arg(user.out()).arg("--nixpkgs").arg(&nixpkgs);
        run(build).assert_exit_code(0)
    };
    let first = build();
    assert!(ran_nix(&first), "{}", first.stderr);
    let again = build();
    assert!(!ran_nix(&again), "{}", again.stderr);
    let added = user.write("nixpkgs/added.nix", "{ }");
    let changed = build();
    assert!(ran_nix(&changed), "{}", changed.stderr);
    // Now it is remembered with that file, and of the directory without it there is an image.
    fs::remove_file(added).unwrap();
    let back = build();
    assert!(!ran_nix(&back), "{}", back.stderr);
    assert_eq!(back.stdout, first.stdout);
    runs.assert_nothing_left();
}

/// Runs of others that were killed meanwhile once made it a whole build.
#[test]
fn what_a_killed_run_left_is_removed_without_a_build() {
    needs!(engine_ready());
    let user = TestUser::new().offline();
    let runs = user.track_runs();
    let text = small("");
    user.build_of(&text, &[]).assert_exit_code(0);
    let slow = product(&fresh("    echo started\n    sleep 600"));
    user.write("sd-card.nix", &slow);
    let mut killed = Running::start(&mut user.build(&["-v"]));
    killed.wait_for("started");
    killed.signal(Signal::SIGKILL);
    killed.finish();
    let again = user.build_of(&text, &["-v"]).assert_exit_code(0);
    assert!(!ran_nix(&again), "{}", again.stderr);
    // Its registrar removes handlers of stale runs.
    again.assert_stderr_contains(&["\nEmulation: done"]);
    runs.assert_nothing_left();
}

#[test]
fn evaluation_that_sees_more_is_done_again() {
    needs!(engine_ready());
    let user = TestUser::new().offline();
    for body in [
        "  time.timeZone = if builtins.currentTime > 0 then \"UTC\" else null;",
        "  time.timeZone = if builtins.getEnv \"HOME\" == \"\" then null else \"UTC\";",
        "  time.timeZone = builtins.substring 0 3 (builtins.readFile /etc/passwd);",
        "  time.timeZone = let all = builtins; in if all.currentSystem == \"\" then null else \"UTC\";",
    ] {
        user.write("sd-card.nix", &small(body));
        for words in [&["--force"][..], &[]] {
            let done = run(&mut user.build(words)).assert_exit_code(0);
            assert!(ran_nix(&done), "{body}\n{}", done.stderr);
        }
    }
}

fn was_evaluated(outcome: &Outcome) -> bool {
    let mut lines = outcome.stderr.lines();
    let log = lines.find_map(|line| line.strip_prefix("log: ")).unwrap();
    fs::read_to_string(log).unwrap().contains("evaluated now")
}

#[test]
fn what_check_evaluated_serves_the_build() {
    needs!(engine_ready());
    let mini = mini_nixpkgs().to_str().unwrap().to_owned();
    let mut user = TestUser::new().offline().with("SDBUILD_NIXPKGS", mini);
    let body = format!("  time.timeZone = builtins.trace \"evaluated now\" \"UTC\"; # {}", nonce());
    user.write("sd-card.nix", &small(&body));
    for glue in ["auto", "emulated"] {
        user = user.with("SDBUILD_GLUE", glue);
        let checked = run(&mut user.sdbuild(&["check"])).assert_exit_code(6);
        assert!(was_evaluated(&checked));
        assert!(!checked.stderr.contains("warning: "), "{}", checked.stderr);
        let dry = run(user.build(&["--force"]).arg("--dry-run")).assert_exit_code(0);
        let built = run(&mut user.build(&["--force"])).assert_exit_code(0);
        for done in [dry, built] {
            assert!(!was_evaluated(&done), "{glue}: {}", done.stderr);
            assert!(done.stderr.contains("services.openssh.enable = false"), "{}", done.stderr);
        }
    }
}

#[test]
fn remembered_evaluation_is_forgotten_with_its_derivation() {
    needs!(engine_ready());
    let mini = mini_nixpkgs().to_str().unwrap().to_owned();
    let user = TestUser::new().offline().with("SDBUILD_NIXPKGS", mini);
    let text = small("  time.timeZone = builtins.trace \"evaluated now\" \"UTC\";");
    user.write("sd-card.nix", &text);
    let build = || {
        let done = run(&mut user.build(&["--force"])).assert_exit_code(0);
        assert!(ran_nix(&done));
        done
    };
    assert!(was_evaluated(&build()));
    assert!(!was_evaluated(&build()), "it was remembered");
    let dry = run(user.build(&["--force"]).arg("--dry-run")).assert_exit_code(0);
    assert!(!was_evaluated(&dry), "{}", dry.stderr);
    let derivation = dry.stdout.lines().find_map(|line| line.strip_prefix("derivation"));
    let derivation = derivation.unwrap().trim();
    let cut = format!(
        "for file in $(grep -l {derivation} /nix/var/sdbuild/evaluations/*); do echo more >>$file; done"
    );
    run(&mut user.sdbuild(&["shell", "--run", &cut])).assert_exit_code(0);
    assert!(was_evaluated(&build()), "what is remembered is damaged");
    let delete = format!("nix-store --delete --ignore-liveness {derivation}");
    run(&mut user.sdbuild(&["shell", "--run", &delete])).assert_exit_code(0);
    assert!(was_evaluated(&build()), "the store lacks its derivation");
}
