//! `init --flake` locks the flake that it writes, if GitHub answers. A server of this machine answers in its place.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::lock;
use crate::support::*;

/// The commit of the branch.
const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

/// A server in the place of GitHub, which a user reaches through a proxy. Its branch has the miniature nixpkgs.
struct GitHub {
    server: CacheServer,
    volume: StoreVolume,
    /// Has the authority of its certificate, and its files.
    dir: tempfile::TempDir,
}

impl GitHub {
    /// A server that gives this `reply` to every request.
    fn start(reply: Reply) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let api = dir.path().join("files/repos/NixOS/nixpkgs/commits");
        fs::create_dir_all(&api).unwrap();
        let commit = json!({ "sha": REVISION, "commit": { "tree": { "sha": REVISION } } });
        fs::write(api.join("nixos-26.05"), commit.to_string()).unwrap();
        let archives = dir.path().join("files/NixOS/nixpkgs/archive");
        fs::create_dir_all(&archives).unwrap();
        let nixpkgs = mini_nixpkgs();
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(archives.join(format!("{REVISION}.tar.gz")));
        tar.arg("-C").arg(nixpkgs.parent().unwrap());
        run(tar.arg(nixpkgs.file_name().unwrap())).assert_exit_code(0);
        let tls = certificates(dir.path(), &["DNS:github.com", "DNS:api.github.com"]);
        let files = dir.path().join("files");
        let server = CacheServer::over_tls(&files, tls, move |_| reply.clone());
        Self { server, volume: StoreVolume::new(), dir }
    }

    /// A user who reaches it, with a store that has nothing of GitHub's yet. What is written into the cache for a while is in no
    /// other test's way.
    fn user(&self) -> TestUser {
        let (port, _) = tunnel_to(self.server.port(), None);
        let authority = self.dir.path().join("ca.pem");
        let proxy = format!("http://{}:{port}", host_for_containers());
        TestUser::new()
            .with("SDBUILD_STORE", &self.volume.0)
            .with("SDBUILD_CA_FILE", authority.to_str().unwrap())
            .with("https_proxy", proxy)
            .with_own_cache()
    }
}

/// Asserts that `init` wrote the flake in `pi`, told so, and wrote no lock.
#[track_caller]
fn assert_written_without_lock(user: &TestUser, init: &Outcome) {
    let names = [".gitignore", "configuration.nix", "flake.nix"];
    assert_eq!(file_names(&user.home.path().join("pi")), names);
    for name in names {
        assert!(init.stdout.contains(name), "{name}\n{}", init.stdout);
    }
    assert_eq!(init.stdout.lines().count(), names.len());
}

#[test]
fn init_locks_the_flake_that_it_writes() {
    needs!(engine_ready(), tools_available(&["openssl"]));
    let github = GitHub::start(Reply::File);
    let user = github.user();
    let runs = user.track_runs();
    // What git does not track is locked nevertheless, and what cannot be uploaded is not looked at.
    let pi = FlakeRepository::new(&user, "pi", &[]);
    let link = pi.path("etc");
    std::os::unix::fs::symlink("/etc", &link).unwrap();
    let cache = Path::new(&user.environment["XDG_CACHE_HOME"]).join("sdbuild");
    let before = file_names(&cache);
    let init = run(&mut user.sdbuild(&["init", "pi", "--flake"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["git add", "sdbuild build --flake pi"]);
    assert!(!init.stderr.contains("then `sdbuild lock"), "{}", init.stderr);
    let path = pi.path("flake.lock");
    assert_eq!(init.stdout.lines().last(), path.canonicalize().unwrap().to_str());
    let text = fs::read_to_string(&path).unwrap();
    let nixpkgs = &serde_json::from_str::<Value>(&text).unwrap()["nodes"]["nixpkgs"];
    assert_eq!(nixpkgs["locked"]["rev"], REVISION, "{text}");
    assert_eq!(nixpkgs["original"]["ref"], "nixos-26.05", "{text}");
    let hash = nixpkgs["locked"]["narHash"].as_str().unwrap();
    assert!(hash.starts_with("sha256-"), "{text}");
    // The copy of the shared cache may have what another test had there.
    let is_new = |name: &String| !before.contains(name);
    assert_eq!(file_names(&cache).into_iter().find(is_new), None);

    fs::remove_file(link).unwrap();
    pi.git(&["add", "-A"]);
    lock(&user, &["--flake", "pi"])
        .assert_exit_code(0)
        .assert_stderr_contains(&["is complete, nothing has changed"]);
    fs::remove_file(&path).unwrap();
    lock(&user, &["--flake", "pi"]).assert_exit_code(0).assert_stderr_contains(&["nixpkgs added"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    runs.assert_nothing_left_but(&github.volume.0);
}

#[test]
fn init_without_an_answer_writes_the_flake_alone() {
    needs!(engine_ready(), tools_available(&["openssl"]));
    let github = GitHub::start(Reply::Status("404 Not Found", String::new()));
    let user = github.user();
    let runs = user.track_runs();
    let init = run(&mut user.sdbuild(&["init", "pi", "--flake"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&[
            "warning: flake.lock is not written: ",
            "HTTP error 404",
            "then `sdbuild lock --flake pi`, `sdbuild check --flake pi` and `sdbuild build --flake pi`",
        ]);
    assert!(!init.stderr.contains(".tmp-"), "{}", init.stderr);
    assert_written_without_lock(&user, &init);
    // It is not asked again and again.
    let requests = github.server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    runs.assert_nothing_left_but(&github.volume.0);
}

#[test]
fn init_interrupted_while_it_locks_keeps_what_it_wrote() {
    needs!(engine_ready(), tools_available(&["openssl"]));
    let github = GitHub::start(Reply::Silence);
    let user = github.user();
    let runs = user.track_runs();
    let mut running = Running::start(&mut user.sdbuild(&["init", "pi", "--flake"]));
    running.wait_for("to write flake.lock, init asks GitHub for the newest commit of nixpkgs");
    running.wait_until("a request", || !github.server.requests().is_empty());
    running.signal(Signal::SIGINT);
    let init = running.finish();
    assert_eq!(init.signal, Some(Signal::SIGINT as i32), "{:?} {}", init.code, init.stderr);
    assert_written_without_lock(&user, &init);
    assert!(!init.stderr.contains("next:"), "{}", init.stderr);
    runs.assert_nothing_left_but(&github.volume.0);
}
