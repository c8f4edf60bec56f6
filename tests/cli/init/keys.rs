//! Which public keys `init` takes: of `~/.ssh`, of ssh-agent, of an account.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::{KEY, with_key};
use crate::support::*;
use crate::user;

#[test]
fn directory_is_created_and_named_key_is_the_only_one() {
    let user = with_key("me@here");
    let other = format!(
        "{} other",
        KEY.replace(
            "F4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c",
            "F4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd2c"
        )
    );
    user.write("other.pub", &other);
    let user = user.with("LANG", "de_DE.UTF-8");
    let words = ["init", "pi/board", "--ssh-key", "other.pub"];
    let outcome = run(&mut user.sdbuild(&words))
        .assert_exit_code(0)
        .assert_stderr_contains(&["language de_DE.UTF-8"]);
    let path = user.home.path().join("pi/board/sd-card.nix");
    assert_eq!(outcome.stdout, format!("{}\n", path.display()));
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(&other) && !text.contains("me@here"), "{text}");
    assert!(text.contains("i18n.defaultLocale = \"de_DE.UTF-8\";"), "{text}");
    user.write("none.pub", "hello");
    run(&mut user.sdbuild(&["init", "x", "--ssh-key", "none.pub"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["none.pub is not a public SSH key"]);
    assert!(!user.home.path().join("x").exists(), "nothing was made");
}

#[test]
fn keys_of_a_running_agent_are_used() {
    let user = user();
    let (private, public) = key(&user);
    let socket = user.state.path().join("agent");
    let mut agent = Command::new("ssh-agent");
    let mut agent = agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::piped()).spawn().unwrap();
    // It prints its socket once it listens.
    let mut line = String::new();
    BufReader::new(agent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut add = Command::new("ssh-add");
    add.args(["-q"]).arg(&private).env("SSH_AUTH_SOCK", &socket);
    let added = run(&mut add);
    let user = user.with("SSH_AUTH_SOCK", socket.to_str().unwrap());
    let outcome = run(&mut user.sdbuild(&["init"]));
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let outcome = outcome.assert_exit_code(0);
    let written = fs::read_to_string(outcome.stdout.trim_end()).unwrap();
    assert!(written.contains(&public), "{written}");
    // An agent that is gone is no trouble.
    run(&mut user.sdbuild(&["init", "--config", "two.nix"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["no public SSH key was found"]);
}

#[test]
fn keys_of_an_account_need_confirmation() {
    let listed = format!("{KEY}\nnonsense\n{KEY} again\n");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("octocat.keys"), listed).unwrap();
    let user = with_key("mine").with("SDBUILD_GITHUB", CacheServer::good(dir.path()).url());
    let cache = user.state.path().join("cache");
    let user = user.with("XDG_CACHE_HOME", cache.to_str().unwrap());
    run(&mut user.sdbuild(&["init", "--github", "octocat"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&[
            "octocat.keys has: ssh-ed25519 ",
            "was not answered on a terminal",
            "--yes",
        ]);
    assert_eq!(file_names(user.home.path()), ["out"]);
    run(&mut user.sdbuild(&["init", "--github", "octocat", "--yes"])).assert_exit_code(0);
    let text = user.read("sd-card.nix");
    assert_eq!(text.matches("ssh-ed25519 AAAA").count(), 1, "{text}");
    assert!(!text.contains("mine"), "only that account's: {text}");
}

#[test]
fn without_a_terminal_only_the_best_key_goes_in() {
    let user = with_key("me@here");
    let second = KEY.replace("Vd1c", "Vd2c");
    let ssh = user.state.path().join(".ssh");
    fs::write(ssh.join("aws.pub"), format!("{second} aws\n")).unwrap();
    let outcome = run(&mut user.sdbuild(&["init", "--hostname", "a"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&[
            "can log in as root: ssh-ed25519 …kGq5l3Vd1c me@here",
            "not added (--ssh-key FILE adds it): ssh-ed25519 …kGq5l3Vd2c aws",
        ]);
    assert!(outcome.stderr.lines().all(|line| line.len() < 80));
    let text = user.read("sd-card.nix");
    assert!(text.contains("me@here") && !text.contains("aws"), "{text}");
}
