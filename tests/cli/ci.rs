//! The examples for continuous integration match this version of sdbuild.

use std::fs;

use clap::Parser as _;
use sdbuild::cli::Cli;

use crate::support::{Ci, root};

#[test]
fn every_command_of_the_examples_exists() {
    for ci in [Ci::GitHub, Ci::GitLab] {
        let lines = ci.lines();
        let programs = lines.iter().map(|line| line.split(' ').next().unwrap());
        let programs: Vec<&str> = programs.collect();
        assert_eq!(programs, ["cargo", "sdbuild", "mkdir", "sdbuild"], "{ci:?}");
        for line in &lines {
            assert!(
                !line.contains(['<', '>']),
                "{ci:?}: a shell would redirect: {line}"
            );
        }
        for line in lines.iter().filter(|line| line.starts_with("sdbuild ")) {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{ci:?}: {line}: {}", parsed.unwrap_err());
        }
        let builds = |line: &String| line.starts_with("sdbuild build ");
        assert!(lines.iter().any(builds), "{lines:?}");
    }
}

#[test]
fn every_variable_of_the_examples_is_documented() {
    let reference = fs::read_to_string(root().join("docs/reference.md")).unwrap();
    let variables = Ci::GitLab.variables();
    assert!(!variables.is_empty());
    for (name, _) in variables {
        assert!(reference.contains(&format!("`{name}`")), "{name}");
    }
}
