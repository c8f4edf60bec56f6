//! What is said, by which stream, and what programs make of it.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::support::*;
use crate::{GOOD, user};

#[test]
fn the_version_is_the_crates() {
    let outcome = run(&mut user().sdbuild(&["--version"])).assert_exit_code(0);
    assert_eq!(
        outcome.stdout,
        concat!("sdbuild ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_help_names_every_flag_that_stays() {
    let help = run(&mut user().sdbuild(&["build", "--help"]))
        .assert_exit_code(0)
        .stdout;
    let flags = [
        "--config",
        "--nixpkgs",
        "--system",
        "--emulation",
        "--builder-image",
        "--output",
        "--force",
    ];
    for flag in flags {
        assert!(help.contains(flag), "{flag} is not in\n{help}");
    }
    let help = run(&mut user().sdbuild(&["clean", "--help"]))
        .assert_exit_code(0)
        .stdout;
    assert!(
        help.contains("--dry-run") && help.contains("--yes"),
        "{help}"
    );
}

#[test]
fn a_mistyped_flag_is_a_usage_error_with_a_suggestion() {
    run(&mut user().sdbuild(&["build", "--confg", "x"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["--config"]);
    run(&mut user().sdbuild(&[])).assert_exit_code(2);
    run(&mut user().sdbuild(&["build", "--system", "z80-linux"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["z80-linux"]);
}

#[test]
fn quiet_says_nothing_but_the_error() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    let outcome = run(&mut user.build(&["--quiet"])).assert_exit_code(3);
    assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
}

#[test]
fn events_for_programs_are_all_that_is_on_standard_error() {
    let user = user().with("CLICOLOR_FORCE", "1");
    user.write("sd-card.nix", GOOD);
    let outcome = run(&mut user.build(&["--json-events"])).assert_exit_code(3);
    let objects: Vec<serde_json::Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects[0]["event"], "phase-started");
    assert_eq!(objects[0]["phase"], "preflight");
    let failed = objects.last().unwrap();
    assert_eq!(
        (&failed["event"], &failed["class"]),
        (&"failed".into(), &"environment".into())
    );
    assert!(failed["hints"][0].is_string(), "{failed}");
    assert!(objects.iter().all(|object| object["version"] == 1));
    let usage = user.build(&["--json-events", "--quiet"]).status().unwrap();
    assert_eq!(usage.code(), Some(2));
}

#[test]
fn colours_are_where_they_are_wanted() {
    let coloured = |name: &str, value: &str, also: &str| {
        let user = user().with(name, value).with("NO_COLOR", also);
        user.write("sd-card.nix", GOOD);
        let outcome = run(&mut user.build(&[])).assert_exit_code(3);
        assert!(
            outcome.stderr.contains("no engine answers"),
            "{}",
            outcome.stderr
        );
        outcome.stderr.contains('\u{1b}')
    };
    assert!(!coloured("TERM", "xterm", ""), "not a terminal");
    assert!(coloured("CLICOLOR_FORCE", "1", ""));
    assert!(!coloured("CLICOLOR_FORCE", "0", ""));
    assert!(!coloured("CLICOLOR_FORCE", "1", "1"), "NO_COLOR wins");
}

#[test]
fn a_closed_or_full_standard_error_changes_no_exit_code() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    let full = fs::OpenOptions::new()
        .write(true)
        .open(Path::new("/dev/full"))
        .unwrap();
    let (_, closed) = std::io::pipe().unwrap();
    for stderr in [Stdio::from(full), closed.into()] {
        let status = user.build(&[]).stderr(stderr).status().unwrap();
        assert_eq!(status.code(), Some(3));
    }
}

/// Every `sdbuild WORD` that a message or the documentation names is a command.
#[test]
fn no_text_names_a_command_that_does_not_exist() {
    let named = [
        "README.md",
        "docs/reference.md",
        "docs/errors.md",
        "sd-card.nix",
    ];
    let mut files: Vec<_> = named.map(|name| root().join(name)).into();
    let mut dirs = vec![root().join("src"), root().join("containers")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            if entry.path().is_dir() {
                dirs.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    let help = run(&mut user().sdbuild(&["--help"]))
        .assert_exit_code(0)
        .stdout;
    let mut named = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for rest in text.split("`sdbuild ").skip(1) {
            let word = rest.split(['`', ' ']).next().unwrap();
            named += 1;
            let known = help.contains(&format!("\n  {word} ")) || word.starts_with('-');
            assert!(known, "`sdbuild {word}` in {}", file.display());
        }
    }
    assert!(named > 3, "the search finds what it is to find");
}
