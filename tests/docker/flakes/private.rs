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
pub fn hash_of(text: &str) -> String {
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
    user.with("GIT_SSH_COMMAND", command).with("GIT_SSH_VARIANT", "ssh")
}

/// A repository with nothing but the file `word`, whose content is `word`, and its commit.
pub fn word_repository<'a>(
    user: &'a TestUser,
    name: &str,
    word: &str,
) -> (FlakeRepository<'a>, String) {
    let repository = FlakeRepository::new(user, name, &[("word", word)]);
    repository.git(&["rm", "-rq", "--cached", "nixpkgs"]);
    std::fs::remove_dir_all(repository.path("nixpkgs")).unwrap();
    let revision = repository.commit();
    (repository, revision)
}

/// The `flake.nix` of [`flake`] with inputs of its own.
pub fn flake_with(inputs: &str) -> String {
    flake().replace("  outputs", &format!("  {inputs}\n  outputs"))
}

#[test]
fn what_only_the_users_git_reaches_is_uploaded() {
    needs!(engine_ready());
    let user = with_ssh(TestUser::new()).with_own_cache();
    let runs = user.track_runs();
    // What no earlier run put into the store.
    let word = nonce().to_string();
    let (_, revision) = word_repository(&user, "secrets", &word);
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
    let input = format!("inputs.secrets = {{ url = \"git+{url}\"; flake = false; }};");
    pi.write("flake.nix", &flake_with(&input));
    let head = pi.commit();

    let reference = ["--flake", "git+ssh://git@host.example/pi#pi"];
    let checked = check(&user, &reference)
        .assert_exit_code(6)
        .assert_stderr_contains(&["fetching ssh://git@host.example/secrets with your git"]);
    assert_tells(&checked, &[&format!("word {word}"), &format!("revision {head}")]);
    // Another content than the locked one is not taken.
    locked["narHash"] = json!(format!("sha256-{}=", "A".repeat(43)));
    text["nodes"]["secrets"]["locked"] = locked;
    pi.write("flake.lock", &text.to_string());
    let wrong = check(&user, &["--flake", "pi"]);
    assert_ne!(wrong.code, Some(6), "{}", wrong.stderr);
    assert!(!wrong.stdout.contains(&word), "{}", wrong.stdout);

    let cache = std::path::Path::new(&user.environment["XDG_CACHE_HOME"]).join("sdbuild");
    let left = file_names(&cache).into_iter().find(|name| name.starts_with('.'));
    assert_eq!(left, None);
    runs.assert_nothing_left();
    let locked_out = user.with("GIT_SSH_COMMAND", "false");
    check(&locked_out, &reference)
        .assert_exit_code(2)
        .assert_stderr_contains(&["fetch ssh://git@host.example/pi", "git ls-remote"]);
}

/// The commit is found by the user's git, the hash by the builder's Nix.
#[test]
#[expect(clippy::too_many_lines, reason = "one lock in its states, for several")]
fn inputs_that_only_the_users_git_reaches_are_locked() {
    needs!(engine_ready());
    let user = with_ssh(TestUser::new()).with_own_cache();
    let runs = user.track_runs();
    let word = nonce().to_string();
    let (secrets, first) = word_repository(&user, "secrets", &word);
    let (parts, _) = word_repository(&user, "parts", "none");
    parts.write(
        "sub/flake.nix",
        "{ inputs.deep.url = \"path:./deep\"; outputs = { deep, ... }: { inherit (deep) word; }; }",
    );
    parts.write("sub/deep/flake.nix", "{ outputs = _: { word = \"deep\"; }; }");
    parts.commit();
    parts.git(&["branch", "-m", "stable"]);
    let branch = secrets.git(&["symbolic-ref", "HEAD"]);
    let url = "ssh://git@host.example/secrets";
    let inputs = format!(
        "inputs.secrets = {{ type = \"git\"; url = \"{url}\"; flake = false; }};\n  \
         inputs.parts.url = \"git+ssh://git@host.example/parts?ref=stable&dir=sub\";"
    );
    let text = flake_with(&inputs).replace("word ${", "word ${inputs.parts.word} ${");
    let pi = FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    check(&user, &["--flake", "pi"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["needs for the inputs nixpkgs, parts, secrets", "sdbuild lock"]);
    let written = lock(&user, &["--flake", "pi"]).assert_exit_code(0).assert_stderr_contains(&[
        "deep added",
        "parts added",
        "secrets added",
    ]);
    assert_eq!(written.stderr.matches("fetching ssh://git@host.example/secrets").count(), 1);
    let node = |name: &str| -> Value {
        let text = std::fs::read_to_string(pi.path("flake.lock")).unwrap();
        assert!(!text.contains("/build"), "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["nodes"][name].clone()
    };
    let time = secrets.git(&["log", "-1", "--format=%ct"]);
    let locked = |revision: &str, count: u32, word: &str, time: &str| {
        json!({ "type": "git", "url": url, "ref": branch, "rev": revision, "revCount": count,
            "lastModified": time.parse::<u64>().unwrap(), "narHash": hash_of(word) })
    };
    let original = json!({ "type": "git", "url": url });
    let expected =
        json!({ "flake": false, "locked": locked(&first, 1, &word, &time), "original": original });
    assert_eq!(node("secrets"), expected);
    assert_eq!(node("parts")["locked"]["dir"], "sub");
    assert_eq!(node("parts")["locked"]["ref"], "stable");
    let tells = |word: &str| {
        let checked = check(&user, &["--flake", "pi"]).assert_exit_code(6);
        assert_tells(&checked, &[&format!("word deep {word}")]);
    };
    tells(&word);

    let newer = nonce().to_string();
    secrets.write("word", &newer);
    let second = secrets.commit();
    lock(&user, &["--flake", "pi"])
        .assert_exit_code(0)
        .assert_stderr_contains(&["nothing has changed"]);
    lock(&user, &["--flake", "pi", "secrets"])
        .assert_exit_code(0)
        .assert_stderr_contains(&["is written (secrets updated);"]);
    let time = secrets.git(&["log", "-1", "--format=%ct"]);
    assert_eq!(node("secrets")["locked"], locked(&second, 2, &newer, &time));
    tells(&newer);
    lock(&user, &["--flake", "pi", "secrets"])
        .assert_exit_code(0)
        .assert_stderr_contains(&["nothing has changed"]);
    runs.assert_nothing_left();

    let path = pi.path("flake.lock");
    std::fs::remove_file(&path).unwrap();
    let locked_out = user.with("GIT_SSH_COMMAND", "false");
    lock(&locked_out, &["--flake", "pi"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["fetch the input parts", "git ls-remote"]);
    assert!(!path.exists());
}
