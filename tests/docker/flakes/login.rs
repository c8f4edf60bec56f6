//! Inputs behind a login: the user's own git fetches them with its credential helper, and the builder never sees a password.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use serde_json::{Value, json};

use super::private::{flake_with, hash_of, word_repository};
use super::{assert_tells, check, lock};
use crate::support::*;

/// The password; in none of sdbuild's words, files and arguments.
const TOKEN: &str = "t0ken-of-the-tests";

/// A server that gives the repositories in `dir` to whoever has the password: those in `me` as files, as a server without git does,
/// all others by the protocol of git's own server.
fn git_server(dir: &Path) -> CacheServer {
    let login = base64::engine::general_purpose::STANDARD.encode(format!("me:{TOKEN}"));
    let files = dir.to_owned();
    CacheServer::start(dir, move |request| {
        if request.header("authorization") != Some(&format!("Basic {login}")) {
            let ask = "WWW-Authenticate: Basic realm=\"git\"\r\n".to_owned();
            return Reply::Status("401 Unauthorized", ask);
        }
        // git asks with a query, which a server without git ignores.
        let path = request.file().split('?').next().unwrap_or_default();
        if path.starts_with("me/") { Reply::Other(files.join(path)) } else { Reply::Git }
    })
}

/// Puts a bare copy of `repository` on the server.
fn publish(repository: &FlakeRepository<'_>, dir: &Path, name: &str) {
    let from = repository.path("").display().to_string();
    for words in [&["clone", "-q", "--bare", &from, name][..], &["-C", name, "update-server-info"]]
    {
        let done = Command::new("git").args(words).current_dir(dir).status();
        assert!(done.unwrap().success(), "{words:?}");
    }
}

/// The user's git gets the password from a helper, which notes the arguments of all processes, and finds github.com on the
/// server at `url`.
fn with_helper(user: TestUser, url: &str) -> TestUser {
    let home = user.home.path().display().to_string();
    user.write("token", TOKEN);
    let helper = format!(
        "#!/bin/sh\n[ \"$1\" = get ] || exit 0\ncat /proc/[0-9]*/cmdline >>'{home}/arguments' 2>/dev/null\n\
         echo username=me\nread -r token <'{home}/token' || [ \"$token\" ]\necho \"password=$token\"\n"
    );
    user.write("helper", &helper);
    let settings = format!(
        "[credential]\n helper = \"!sh '{home}/helper'\"\n[url \"{url}/\"]\n insteadOf = https://github.com/\n"
    );
    let settings = user.write("gitconfig", &settings);
    user.with("GIT_CONFIG_GLOBAL", settings.to_str().unwrap())
}

fn assert_nowhere(user: &TestUser, told: &Outcome) {
    assert!(!told.stderr.contains(TOKEN), "{}", told.stderr);
    assert!(!told.stdout.contains(TOKEN), "{}", told.stdout);
    let arguments = fs::read(user.home.path().join("arguments")).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains(TOKEN));
    // The state directory has the logs.
    let mut grep = Command::new("grep");
    let state = Path::new(&user.environment["HOME"]).join(".local/state");
    let found = grep.args(["-rl", TOKEN]).arg(state).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one flake on its way: refused, locked, built, fetched itself"
)]
fn inputs_behind_a_login_are_fetched_by_the_users_git() {
    needs!(engine_ready());
    let public = tempfile::tempdir().unwrap();
    let server = git_server(public.path());
    let url = server.url();
    let user = with_helper(TestUser::new(), &url).with_own_cache();
    let runs = user.track_runs();
    // What no earlier run put into the store.
    let (word, part) = (nonce().to_string(), nonce().to_string());
    let (secrets, commit) = word_repository(&user, "secrets", &word);
    publish(&secrets, public.path(), "secrets.git");
    let (parts, _) = word_repository(&user, "parts", &part);
    // GitHub makes archives, which lack such files.
    parts.write(".gitattributes", "/.* export-ignore\n");
    let parts_commit = parts.commit();
    fs::create_dir(public.path().join("me")).unwrap();
    publish(&parts, &public.path().join("me"), "parts");
    let inputs = format!(
        "inputs.secrets = {{ type = \"git\"; url = \"{url}/secrets.git\"; flake = false; }};\n  \
         inputs.parts = {{ url = \"github:me/parts\"; flake = false; }};"
    );
    let text = flake_with(&inputs)
        .replace("word ${", "word ${builtins.readFile \"${inputs.parts}/word\"} ${");
    let pi = FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);

    // The builder's git is asked for a name, and has none.
    let only_parts = ["--flake", "pi", "--git-inputs", "parts"];
    lock(&user, &only_parts)
        .assert_exit_code(2)
        .assert_stderr_contains(&["asks for a user name", "--git-inputs NAME"]);
    let named = ["--flake", "pi", "--git-inputs", "secrets parts"];
    let locked = lock(&user, &named).assert_exit_code(0).assert_stderr_contains(&[
        "parts added",
        "secrets added",
        "with your git",
    ]);
    assert_nowhere(&user, &locked);
    let is_second =
        |r: &Request| r.method == "POST" && r.header("git-protocol") == Some("version=2");
    assert!(server.requests().iter().any(is_second));
    let node = |name: &str| -> Value {
        let text = fs::read_to_string(pi.path("flake.lock")).unwrap();
        assert!(!text.contains("/build") && !text.contains(TOKEN), "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["nodes"][name].clone()
    };
    let time = |of: &FlakeRepository<'_>| -> u64 {
        let time = of.git(&["log", "-1", "--format=%ct"]);
        time.parse().unwrap()
    };
    let branch = secrets.git(&["symbolic-ref", "HEAD"]);
    let expected = json!({ "type": "git", "url": format!("{url}/secrets.git"), "ref": branch, "rev": commit,
        "revCount": 1, "lastModified": time(&secrets), "narHash": hash_of(&word) });
    assert_eq!(node("secrets")["locked"], expected);
    let expected = json!({ "type": "github", "owner": "me", "repo": "parts", "rev": parts_commit,
        "lastModified": time(&parts), "narHash": hash_of(&part) });
    assert_eq!(node("parts")["locked"], expected);
    let original = json!({ "type": "github", "owner": "me", "repo": "parts" });
    assert_eq!(node("parts")["original"], original);
    lock(&user, &named).assert_exit_code(0).assert_stderr_contains(&["nothing has changed"]);

    pi.write("sdbuild.toml", "git-inputs = [\"secrets\", \"parts\"]\n");
    pi.commit();
    let checked = check(&user, &["--flake", "pi"]).assert_exit_code(6);
    assert_tells(&checked, &[&format!("word {part} {word}")]);
    assert_nowhere(&user, &checked);
    check(&user, &["--flake", "pi", "--git-inputs", "secret"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["the flake has no input secret;", "did you mean secrets?"]);

    // The flake itself.
    publish(&pi, public.path(), "pi.git");
    let reference = ["--flake", &format!("git+{url}/pi.git#pi"), "--git-inputs"];
    let mine = [&reference[..], &["self secrets parts"]].concat();
    let checked = check(&user, &mine).assert_exit_code(6);
    assert_tells(&checked, &[&format!("word {part} {word}")]);
    check(&user, &[&reference[..], &["secrets"]].concat())
        .assert_exit_code(2)
        .assert_stderr_contains(&["the builder fetches", "self"]);
    runs.assert_nothing_left();

    // A wrong password, in an address that only git's settings have.
    let host = url.strip_prefix("http://").unwrap();
    let settings = format!(
        "[url \"http://me:{TOKEN}-old@{host}/\"]\n insteadOf = {url}/\n insteadOf = https://github.com/\n"
    );
    user.write("gitconfig", &settings);
    let refused = check(&user, &mine).assert_exit_code(2).assert_stderr_contains(&[
        "fetch http://",
        "/pi.git",
        "git ls-remote",
    ]);
    assert_nowhere(&user, &refused);
}
