//! Which output goes to which stream, its colours and its width.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use crate::cli_test::CliTest;
use crate::support::*;
use crate::{GOOD, user};

#[test]
fn manual_page_on_a_terminal_is_shown_by_man() {
    let user = user();
    let shown_with = |program: &str| {
        let file = user.home.path().join("man");
        fs::write(&file, format!("#!/bin/sh\n{program}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let mut man = user.sdbuild(&["man"]);
        man.env(
            "PATH",
            format!("{}:/usr/bin:/bin", user.home.path().display()),
        );
        let mut screen = Screen::start(&man, (80, 24));
        screen.assert_exit_code(0);
        String::from_utf8(screen.all()).unwrap()
    };
    let text = shown_with("[ \"$*\" = '-l -' ] && echo \"shown: $(wc -l)\"");
    assert!(text.contains("shown: ") && !text.contains(".TH"), "{text}");
    let text = shown_with("exit 1");
    assert!(
        text.contains("`man` could not show the page") && text.contains(".TH"),
        "{text}"
    );
    CliTest::new(&["man"]).stdout(".TH").run();
    CliTest::new(&["-h"]).stdout("To begin:\n  doctor ").run();
    let version = concat!("sdbuild ", env!("CARGO_PKG_VERSION"), "\n");
    CliTest::new(&["version"]).stdout(version).run();
}

/// As cargo and Docker, and on standard output, so that a pipe gets it.
#[test]
fn alone_it_names_the_first_commands_on_one_screen() {
    let piped = CliTest::new(&[])
        .stdout("There is no sd-card.nix or flake.nix in this directory")
        .stdout("sdbuild init")
        .run();
    assert_eq!(piped.stderr, "");
    for size in [(80, 24), (40, 24)] {
        let mut screen = Screen::start(&user().sdbuild(&[]), size);
        screen.assert_exit_code(0);
        let text = String::from_utf8(screen.all()).unwrap();
        let columns = usize::from(size.0);
        assert!(text.lines().count() <= 22, "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= columns),
            "{text}"
        );
        assert!(text.contains("sdbuild flash"), "{text}");
    }
}

#[test]
fn quiet_prints_only_the_error() {
    let outcome = CliTest::new(&["build", "--quiet"])
        .config()
        .exit_code(3)
        .run();
    assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
}

#[test]
fn json_events_are_all_of_standard_error() {
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
fn colours_follow_the_environment() {
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
fn unwritable_standard_error_keeps_the_exit_code() {
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
