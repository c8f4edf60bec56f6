//! `--help`, the manual page, the completions and the README name the same commands and flags.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use clap::CommandFactory as _;
use sdbuild::cli::{Cli, EXIT_CODES};
use sdbuild::settings::VARIABLES;

use crate::support::{root, run};
use crate::user;

/// The standard output of `sdbuild` with `words`.
fn stdout_of(words: &[&str]) -> String {
    run(&mut user().sdbuild(words)).assert_exit_code(0).stdout
}

/// Whole names of all commands, and each one's own long options.
fn commands() -> Vec<(String, Vec<String>)> {
    fn walk(command: &clap::Command, all: &mut Vec<(String, Vec<String>)>) {
        // `help` is clap's own.
        let own = |sub: &&clap::Command| !sub.is_hide_set() && sub.get_name() != "help";
        for sub in command.get_subcommands().filter(own) {
            let options = sub.get_arguments().filter(|arg| !arg.is_hide_set());
            let long = options.filter_map(|arg| arg.get_long()).map(str::to_owned);
            all.push((sub.get_bin_name().unwrap().to_owned(), long.collect()));
            walk(sub, all);
        }
    }
    let mut root = Cli::command();
    root.build();
    let mut all = Vec::new();
    walk(&root, &mut all);
    all
}

#[test]
fn every_command_has_a_manual_page_with_its_flags() {
    let dir = tempfile::tempdir().unwrap();
    let man = dir.path().join("man");
    run(&mut user().sdbuild(&["man", "--dir", man.to_str().unwrap()]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["manual pages are in "]);
    let page = |name: &str| fs::read_to_string(man.join(format!("{name}.1"))).unwrap();
    for (command, options) in commands() {
        let text = page(&command.replace(' ', "-")).replace("\\-", "-");
        for option in options {
            let found = text.contains(&format!("--{option}"));
            assert!(found, "{command} {option}\n{text}");
        }
    }
    let files = fs::read_dir(&man).unwrap().count();
    assert_eq!(files, commands().len() + 1, "one for sdbuild itself");
    assert_eq!(page("sdbuild-build"), stdout_of(&["man", "build"]));
    assert_eq!(page("sdbuild"), stdout_of(&["man"]));
}

#[test]
fn readme_has_every_command_and_no_other() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 110, "README.md is longer than 110 lines");
    let (_, table) = readme.split_once("\n## Commands\n").unwrap();
    let table = table.trim_start().lines();
    let rows =
        table.take_while(|line| line.starts_with('|')).filter(|line| line.starts_with("| `"));
    let firsts = rows.map(|row| row.split('|').nth(1).unwrap().to_owned());
    let words = firsts.flat_map(|cell| {
        let cell = cell.replace('`', " ");
        let parts = cell.split("sdbuild ").skip(1);
        let parts: Vec<String> =
            parts.map(|p| p.split([' ', ',']).next().unwrap().to_owned()).collect();
        parts
    });
    let documented: BTreeSet<String> = words.collect();
    let there = commands().into_iter().map(|(name, _)| name.split(' ').nth(1).unwrap().to_owned());
    assert_eq!(documented, there.collect());
}

#[test]
fn completions_work_in_the_shell() {
    for (shell, sign) in [
        ("bash", "complete -F _sdbuild"),
        ("zsh", "#compdef sdbuild"),
        ("fish", "complete -c sdbuild"),
    ] {
        let script = stdout_of(&["completions", shell]);
        assert!(script.contains(sign), "{script}");
        assert!(script.contains("nixpkgs") && script.contains("doctor"), "{script}");
        assert!(!script.contains("exec-with-parent"), "an inner command is offered");
    }
    let script = stdout_of(&["completions", "bash"]);
    // What bash itself offers after `sdbuild sta`.
    let ask = "COMP_WORDS=(sdbuild sta); COMP_CWORD=1; _sdbuild sdbuild sta sdbuild; echo \"${COMPREPLY[@]}\"";
    let asked =
        run(Command::new("bash").args(["-c", &format!("{script}\n{ask}")])).assert_exit_code(0);
    assert_eq!(asked.stdout, "status\n");
}

/// `SNAPSHOTS=overwrite` writes the tables of the page anew.
#[test]
fn the_page_has_the_variables_and_exit_codes_of_the_program() {
    let table = |heading: &str, rows: &[(&str, &str)]| {
        let code = |words: &str| format!("`{}`", words.replace(", ", "`, `"));
        let rows = rows.iter().map(|(words, text)| format!("| {} | {text} |\n", code(words)));
        format!("| {heading} | meaning |\n| --- | --- |\n{}", rows.collect::<String>())
    };
    let groups = VARIABLES.iter().map(|group| {
        let table = table("variable", group.variables);
        format!("**{}**\n\n{table}", group.heading)
    });
    let variables = groups.collect::<Vec<_>>().join("\n");
    let path = root().join("docs/reference.md");
    let page = fs::read_to_string(&path).unwrap();
    let mut renewed = page.clone();
    for (mark, text) in
        [("<!-- variables -->\n", variables), ("<!-- exit codes -->\n", table("code", &EXIT_CODES))]
    {
        let (before, rest) = renewed.split_once(mark).unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        renewed = format!("{before}{mark}\n{text}\n<!-- end -->{after}");
    }
    if std::env::var_os("SNAPSHOTS").is_some_and(|mode| mode == "overwrite") {
        fs::write(&path, &renewed).unwrap();
    } else {
        assert_eq!(page, renewed, "SNAPSHOTS=overwrite renews the page");
    }
}
