//! Flakes and inputs that only the user's own git reaches.

use serde_json::{Value, json};

use super::{assert_tells, check, lock};
use crate::support::*;

/// A configuration `pi` that tells the revision of its flake and what the file `word` of its input `secrets` says.
fn flake() -> String {
    let module = flake_module(
        "warnings = [ \"revision ${self.rev or \"none\"}\" \"word ${builtins.readFile \"${inputs.secrets}/word\"}\" ];",
    );
    flake_text("./nixpkgs", &flake_configuration("pi", &module))
}

/// The hash of a directory whose only file `word` has the content `text`, as Nix has it in locks.
fn hash_of(text: &str) -> String {
    let script = "mkdir /tmp/input; printf %s \"$1\" >/tmp/input/word; nix --extra-experimental-features nix-command hash path /tmp/input";
    let hash = in_builder(STORE, &[], script, &[text]).assert_exit_code(0);
    hash.stdout.trim().to_owned()
}

/// A stand-in for ssh in the user's home: each host is this machine, and `/NAME` is the repository `NAME` there.
fn with_ssh(user: TestUser) -> TestUser {
    let home = user.home.path().display();
    let script = format!(
        "#!/bin/sh\nfor command; do :; done\nname=${{command#*\\'/}}\nexec git-upload-pack '{home}'/\"${{name%\\'}}\"\n"
    );
    let ssh = user.write("ssh", &script);
    let command = format!("sh '{}'", ssh.display());
    user.with("GIT_SSH_COMMAND", command)
        .with("GIT_SSH_VARIANT", "ssh")
}

#[test]
fn what_only_the_users_git_reaches_is_uploaded() {
    if !engine_available() {
        return;
    }
    let user = with_ssh(TestUser::new()).with_own_cache();
    let runs = user.track_runs();
    // What no earlier run put into the store.
    let word = nonce().to_string();
    let secrets = FlakeRepository::new(&user, "secrets", &[("word", &word)]);
    secrets.git(&["rm", "-rq", "--cached", "nixpkgs"]);
    std::fs::remove_dir_all(secrets.path("nixpkgs")).unwrap();
    let revision = secrets.commit();
    let pi = FlakeRepository::new(&user, "pi", &[("flake.nix", &flake())]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    let url = "ssh://git@host.example/secrets";
    let original = json!({ "type": "git", "url": url });
    let mut locked = json!({ "type": "git", "url": url, "rev": revision, "ref": "refs/heads/none", "revCount": 1,
        "lastModified": 1, "narHash": hash_of(&word) });
    let path = pi.path("flake.lock");
    let mut text: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    text["nodes"]["root"]["inputs"]["secrets"] = json!("secrets");
    text["nodes"]["secrets"] = json!({ "flake": false, "locked": locked, "original": original });
    pi.write("flake.lock", &text.to_string());
    let input = format!("  inputs.secrets = {{ url = \"git+{url}\"; flake = false; }};\n  outputs");
    pi.write("flake.nix", &flake().replace("  outputs", &input));
    let head = pi.commit();

    let reference = ["--flake", "git+ssh://git@host.example/pi#pi"];
    let checked = check(&user, &reference)
        .assert_exit_code(6)
        .assert_stderr_contains(&["fetching ssh://host.example/secrets with your git"]);
    assert_tells(
        &checked,
        &[&format!("word {word}"), &format!("revision {head}")],
    );
    // Another content than the locked one is not taken.
    locked["narHash"] = json!(format!("sha256-{}=", "A".repeat(43)));
    text["nodes"]["secrets"]["locked"] = locked;
    pi.write("flake.lock", &text.to_string());
    let wrong = check(&user, &["--flake", "pi"]);
    assert_ne!(wrong.code, Some(6), "{}", wrong.stderr);
    assert!(!wrong.stdout.contains(&word), "{}", wrong.stdout);

    let cache = std::path::Path::new(&user.environment["XDG_CACHE_HOME"]).join("sdbuild");
    let left = file_names(&cache)
        .into_iter()
        .find(|name| name.starts_with('.'));
    assert_eq!(left, None);
    runs.assert_nothing_left();
    let locked_out = user.with("GIT_SSH_COMMAND", "false");
    check(&locked_out, &reference)
        .assert_exit_code(2)
        .assert_stderr_contains(&["fetch ssh://host.example/pi", "git ls-remote"]);
}
