//! Which output goes to which stream, its colours and its width.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::{GOOD, user};

#[test]
fn json_events_are_all_of_standard_error() {
    let user = user().with("CLICOLOR_FORCE", "1");
    let outcome = user.build_of(GOOD, &["--json-events"]).assert_exit_code(3);
    let objects: Vec<serde_json::Value> =
        outcome.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects[0]["event"], "phase-started");
    assert_eq!(objects[0]["phase"], "preflight");
    let failed = objects.last().unwrap();
    assert_eq!((&failed["event"], &failed["class"]), (&"failed".into(), &"environment".into()));
    assert!(failed["hints"][0].is_string(), "{failed}");
    assert!(objects.iter().all(|object| object["version"] == 1));
    let usage = user.build(&["--json-events", "--quiet"]).status().unwrap();
    assert_eq!(usage.code(), Some(2));
}

#[test]
fn colours_follow_the_environment() {
    let coloured = |name: &str, value: &str, also: &str| {
        let user = user().with(name, value).with("NO_COLOR", also);
        let outcome = user.build_of(GOOD, &[]).assert_exit_code(3);
        assert!(outcome.stderr.contains("no engine answers"), "{}", outcome.stderr);
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
    let full = fs::OpenOptions::new().write(true).open(Path::new("/dev/full")).unwrap();
    let (_, closed) = std::io::pipe().unwrap();
    for stderr in [Stdio::from(full), closed.into()] {
        let status = user.build(&[]).stderr(stderr).status().unwrap();
        assert_eq!(status.code(), Some(3));
    }
}
