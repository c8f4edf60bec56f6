//! The examples for continuous integration match this version of sdbuild.

use std::fs;
use std::process::Command;

use clap::Parser as _;
use sdbuild::cli::Cli;

use crate::support::{Ci, root, run};

#[test]
fn every_command_of_the_examples_exists() {
    for ci in [Ci::GitHub, Ci::GitLab] {
        let lines = ci.lines();
        assert_eq!(ci.version(), env!("CARGO_PKG_VERSION"), "{ci:?}");
        let installs = format!(
            "{}/releases/download/v$SDBUILD_VERSION/install.sh",
            env!("CARGO_PKG_REPOSITORY")
        );
        assert!(lines.concat().contains(&installs), "{ci:?}");
        for line in lines.iter().filter(|line| line.starts_with("sdbuild ")) {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{ci:?}: {line}: {}", parsed.unwrap_err());
        }
        for start in ["mkdir -p images", "sdbuild doctor", "sdbuild build "] {
            let starts = |line: &String| line.starts_with(start);
            assert!(lines.iter().any(starts), "{start}: {lines:?}");
        }
    }
}

#[test]
fn shell_and_program_know_the_steps_of_the_release() {
    let script = fs::read_to_string(root().join("scripts/release")).unwrap();
    let lines = Ci::release_lines();
    for line in &lines {
        let mut shell = Command::new("bash");
        run(shell.args(["-n", "-c", line])).assert_exit_code(0);
        for (_, rest) in line
            .match_indices("scripts/release --")
            .map(|(at, found)| line.split_at(at + found.len()))
        {
            let flag = rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap();
            assert!(script.contains(&format!("\n  --{flag})")), "{flag}");
        }
    }
    let all = lines.join("\n");
    for flag in ["--check", "--key", "--test", "--notes"] {
        assert!(all.contains(&format!("scripts/release {flag}")), "{flag}\n{all}");
    }
}
