//! Inputs and caches of flakes, and flakes that the builder fetches.

use std::path::Path;
use std::process::Command;

use super::{assert_tells, check, lock};
use crate::support::*;

/// A configuration `pi` that tells the version of its nixpkgs and the revision of the flake.
fn outputs() -> String {
    let module = flake_module(
        "warnings = [ \"release ${config.system.nixos.version}\" \"revision ${self.rev or \"none\"}\" ];",
    );
    flake_configuration("pi", &module)
}

#[test]
fn inputs_can_be_overridden() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    let text = flake_text("./nixpkgs", &outputs());
    let repository = FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    let head = repository.commit();
    let other = FlakeRepository::new(&user, "other", &[]);
    let version = "nixpkgs/lib/trivial.nix";
    let library = std::fs::read_to_string(other.path(version)).unwrap();
    other.write(version, &library.replace(".mini", ".other"));

    let checked = check(&user, &["--flake", "pi"]).assert_exit_code(6);
    assert_tells(
        &checked,
        &["release 26.05.mini", &format!("revision {head}")],
    );
    let check_overridden = |reference, head: &str| {
        let overridden = ["--flake", "pi", "--override-input", "nixpkgs", reference];
        let checked = check(&user, &overridden).assert_exit_code(6);
        assert_tells(
            &checked,
            &["release 26.05.other", &format!("revision {head}")],
        );
    };
    check_overridden("path:other/nixpkgs", &head);
    let before = std::fs::read_to_string(repository.path("flake.lock")).unwrap();
    assert!(before.contains("./nixpkgs"), "the lock stays: {before}");
    // With every input overridden no lock is needed.
    repository.git(&["rm", "-q", "flake.lock"]);
    let head = repository.commit();
    check_overridden("other?dir=nixpkgs", &head);
    assert!(!repository.path("flake.lock").exists());
    check(
        &user,
        &["--flake", "pi", "--override-input", "nix pkgs", "other"],
    )
    .assert_exit_code(2)
    .assert_stderr_contains(&["not the name of an input"]);
}

#[test]
fn caches_that_a_flake_names_are_used_only_on_request() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
    let server = CacheServer::good(dir.path());
    let url = server.url();
    let caches = format!(
        "  nixConfig.extra-substituters = [ \"{url}\" ];\n  \
         nixConfig.extra-trusted-public-keys = \"cache.example-1:AAAA\";\n  nixConfig.sandbox = true;\n  outputs"
    );
    // What no cache and no store has, so that caches are asked.
    let outputs = outputs().replace(
        "warnings",
        &format!("environment.etc.nonce.text = \"{}\"; warnings", nonce()),
    );
    let text = flake_text("./nixpkgs", &outputs).replace("  outputs", &caches);
    FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    let dry = |more: &[&str]| {
        let mut build = user.sdbuild(&["build", "--flake", "pi", "--dry-run", "--output"]);
        run(build.arg(user.out()).args(more)).assert_exit_code(0)
    };
    dry(&[]).assert_stderr_contains(&[
        &format!("not used: {url}"),
        "cache.example-1:AAAA",
        "--accept-flake-caches",
    ]);
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    let accepted =
        dry(&["--accept-flake-caches"]).assert_stderr_contains(&[&format!("are used: {url}")]);
    assert!(!accepted.stderr.contains("not used"), "{}", accepted.stderr);
    assert!(!server.requests().is_empty());
}

#[test]
fn the_builder_fetches_flakes_from_servers() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    let text = flake_text("./nixpkgs", &outputs());
    let repository = FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    let head = repository.commit();
    let public = tempfile::tempdir().unwrap();
    let git = |dir: &Path, words: &[&str]| {
        let done = Command::new("git").args(words).current_dir(dir).status();
        assert!(done.unwrap().success(), "{words:?}");
    };
    let archive = public.path().join("pi.tar.gz");
    let archive = archive.to_str().unwrap();
    git(
        &repository.path(""),
        &["archive", "--prefix=pi/", "-o", archive, "HEAD"],
    );
    git(
        public.path(),
        &[
            "clone",
            "-q",
            "--bare",
            repository.path("").to_str().unwrap(),
            "pi.git",
        ],
    );
    git(&public.path().join("pi.git"), &["update-server-info"]);
    let files = public.path().to_owned();
    // git asks with a query, which a server without git ignores.
    let server = CacheServer::start(public.path(), move |request| {
        let path = request.file().split('?').next().unwrap_or_default();
        Reply::Other(files.join(path))
    });
    let url = server.url();
    let checked = check(&user, &[&format!("git+{url}/pi.git#pi")]).assert_exit_code(6);
    assert_tells(
        &checked,
        &["release 26.05.mini", &format!("revision {head}")],
    );
    let reference = format!("{url}/pi.tar.gz");
    let checked = check(&user, &["--flake", &reference]).assert_exit_code(6);
    assert_tells(&checked, &["release 26.05.mini", "revision none"]);
    check(&user, &["--flake", &format!("{url}/none.tar.gz")])
        .assert_exit_code(2)
        .assert_stderr_contains(&["404"]);
}
