//! The user's git asks nobody: no password is waited for, whatever programs the user has for questions.

use crate::support::*;
use crate::user;

/// A program in the user's home that notes that it was run, and with what.
fn program(user: &TestUser, name: &str, note: &str) -> String {
    let home = user.home.path().display();
    let text =
        format!("#!/bin/sh\n{{ {note}; }} >>'{home}/{name}.ran' 2>&1\necho secret\nexit 1\n");
    let path = user.write_program(&format!("bin/{name}"), &text);
    path.display().to_string()
}

/// A user whose git has a program for questions in every place where one can be named.
fn user_with_askers() -> TestUser {
    let user = user();
    let askers = ["core", "git", "ssh"].map(|name| program(&user, name, "echo \"$@\""));
    let [by_setting, by_git, by_ssh] = askers;
    let settings = user.write("gitconfig", &format!("[core]\n askPass = {by_setting}\n"));
    user.with("GIT_CONFIG_GLOBAL", settings.to_str().unwrap())
        .with("GIT_ASKPASS", by_git)
        .with("SSH_ASKPASS", by_ssh)
        .with("DISPLAY", ":9")
}

fn notes(user: &TestUser) -> Vec<String> {
    let names = file_names(user.home.path()).into_iter();
    names.filter(|name| name.contains(".ran")).collect()
}

#[test]
fn nobody_is_asked_for_a_password_of_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = CacheServer::start(dir.path(), |_| {
        let ask = "WWW-Authenticate: Basic realm=\"git\"\r\n".to_owned();
        Reply::Status("401 Unauthorized", ask)
    });
    let reference = format!("git+{}/pi", server.url());
    let words = ["check", "--flake", &reference, "--git-inputs", "self"];
    // Each of them alone too: git takes the first that there is.
    for without in [&[][..], &["GIT_ASKPASS"], &["GIT_ASKPASS", "GIT_CONFIG_GLOBAL"]] {
        let mut user = user_with_askers();
        user.environment.retain(|name, _| !without.contains(&name.as_str()));
        run(&mut user.sdbuild(&words))
            .assert_exit_code(2)
            .assert_stderr_contains(&["/pi", "sdbuild never asks for a password"]);
        assert!(!server.requests().is_empty());
        assert_eq!(notes(&user), [""; 0], "{without:?}");
    }
}
