//! Inputs and caches of flakes, and flakes that the builder fetches.

use std::path::Path;
use std::process::Command;

use super::{assert_tells, check, lock, without_a_network};
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
    needs!(engine_ready());
    let user = without_a_network();
    let text = flake_text("./nixpkgs", &outputs());
    let repository = FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    let head = repository.commit();
    let other = FlakeRepository::new(&user, "other", &[]);
    let version = "nixpkgs/lib/trivial.nix";
    let library = std::fs::read_to_string(other.path(version)).unwrap();
    other.write(version, &library.replace(".mini", ".other"));

    let checked = check(&user, &["--flake", "pi"]).assert_exit_code(6);
    assert_tells(&checked, &["release 26.05.mini", &format!("revision {head}")]);
    let check_overridden = |reference, head: &str| {
        let overridden = ["--flake", "pi", "--override-input", "nixpkgs", reference];
        let checked = check(&user, &overridden).assert_exit_code(6);
        assert_tells(&checked, &["release 26.05.other", &format!("revision {head}")]);
    };
    check_overridden("path:other/nixpkgs", &head);
    let before = std::fs::read_to_string(repository.path("flake.lock")).unwrap();
    assert!(before.contains("./nixpkgs"), "the lock stays: {before}");
    check(&user, &["--flake", "pi", "--override-input", "nixpgs", "path:other/nixpkgs"])
        .assert_exit_code(2)
        .assert_stderr_contains(&[
            "the flake has no input nixpgs; its inputs: nixpkgs",
            "did you mean nixpkgs?",
        ]);
    // With every input overridden no lock is needed.
    repository.git(&["rm", "-q", "flake.lock"]);
    let head = repository.commit();
    check_overridden("other?dir=nixpkgs", &head);
    assert!(!repository.path("flake.lock").exists());
    check(&user, &["--flake", "pi", "--override-input", "nix pkgs", "other"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["`nix pkgs` is not the name of an input"]);
}

#[test]
fn inputs_of_overridden_inputs_can_be_overridden() {
    needs!(engine_ready());
    let user = without_a_network();
    let module = flake_module("warnings = [ \"word ${inputs.library.word}\" ];");
    let input = "inputs.library.url = \"path:./library\";";
    let text = flake_text("./nixpkgs", &flake_configuration("pi", &module));
    let text = text.replace("  outputs", &format!("  {input}\n  outputs"));
    // No server has the inputs of both libraries.
    let library = |word: &str| {
        format!(
            "{{ inputs.dots.url = \"github:nobody/none\"; outputs = {{ dots, ... }}: {{ word = \"{word} ${{dots.word}}\"; }}; }}"
        )
    };
    let files = [("flake.nix", &*text), ("library/flake.nix", &library("own"))];
    let repository = FlakeRepository::new(&user, "pi", &files);
    user.write("other/flake.nix", &library("other"));
    user.write("dots/flake.nix", "{ outputs = _: { word = \"dots\"; }; }");
    let check_with = |overrides: &[(&str, &str)]| {
        let nixpkgs = [("nixpkgs", "path:pi/nixpkgs")];
        let all = nixpkgs.iter().chain(overrides);
        let flags = all.flat_map(|(input, dir)| ["--override-input", input, dir]);
        check(&user, &["--flake", "pi"].into_iter().chain(flags).collect::<Vec<_>>())
    };
    // Nothing is locked, so everything is overridden.
    repository.commit();
    let library = ("library", "path:other");
    for overrides in
        [[library, ("library/dots", "path:dots")], [("library/dots", "path:dots"), library]]
    {
        assert_tells(&check_with(&overrides).assert_exit_code(6), &["word other dots"]);
    }
    let own = [("library", "pi?dir=library"), ("library/dots", "path:dots")];
    assert_tells(&check_with(&own).assert_exit_code(6), &["word own dots"]);
    check_with(&[library, ("library/words", "path:dots")])
        .assert_exit_code(2)
        .assert_stderr_contains(&["the input library has no input words; its inputs: dots"]);
}

/// Whether Nix evaluated, and the megabytes that were uploaded.
fn work_of(checked: &Outcome) -> (bool, u32) {
    let is_known = checked.stderr.contains("nothing has changed since");
    let size = checked.stderr.lines().find_map(|line| {
        let (_, size) = line.strip_prefix("Upload: done")?.split_once('(')?;
        size.split_once(['.', ' '])?.0.parse().ok().filter(|_| size.ends_with("MB)"))
    });
    (!is_known, size.unwrap_or(0))
}

#[test]
fn what_replaces_inputs_stays_on_the_store_volume() {
    needs!(engine_ready());
    let user = without_a_network();
    let text = flake_text("./nixpkgs", &outputs());
    let input = "inputs.twin = { url = \"github:nobody/none\"; flake = false; };";
    let text = text.replace("  outputs", &format!("  {input}\n  outputs"));
    FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]).commit();
    let other = FlakeRepository::new(&user, "other", &[]);
    let mark = format!("26.05.{}", nonce());
    let file = other.path("nixpkgs/lib/trivial.nix");
    let library = std::fs::read_to_string(&file).unwrap();
    let padding = "# padding\n".repeat(200_000);
    other.write("nixpkgs/lib/padding.nix", &format!("{padding}{{ }}"));
    let check_with = |version: &str| {
        other.write("nixpkgs/lib/trivial.nix", &library.replace("${release}.mini", version));
        let words = ["--flake", "pi", "--override-input", "nixpkgs", "path:other/nixpkgs"];
        let twin = ["--override-input", "twin", "path:other/nixpkgs"];
        let checked = check(&user, &[&words[..], &twin].concat()).assert_exit_code(6);
        assert_tells(&checked, &[&format!("release {version}")]);
        checked
    };
    // Both inputs have the same content of more than 2 MB.
    assert_eq!(work_of(&check_with(&mark)), (true, 2));
    assert_eq!(work_of(&check_with(&mark)), (false, 0));
    assert_eq!(work_of(&check_with(&format!("{mark}.2"))), (true, 2));
    // The first content is on the volume still, and what it evaluated to is known.
    assert_eq!(work_of(&check_with(&mark)), (false, 0));
    let state = user.state.path().join(".local/state/sdbuild/checks.json");
    std::fs::remove_file(state).unwrap();
    assert_eq!(work_of(&check_with(&mark)), (true, 0));
    // A build evaluates nothing anew.
    let words = ["build", "--dry-run", "--flake", "pi", "--override-input", "nixpkgs"];
    let twin = ["path:other/nixpkgs", "--override-input", "twin", "path:other/nixpkgs"];
    let dry = run(&mut user.sdbuild(&[&words[..], &twin].concat())).assert_exit_code(0);
    assert!(dry.stdout.contains("\nderivation"), "{}", dry.stdout);
    assert!(!dry.stdout.contains("\nevaluation"), "{}", dry.stdout);
}

/// An input with `flake = false` is plain files: what replaces it needs no `flake.nix`, whether git tracks it or not.
#[test]
fn an_input_of_plain_files_can_be_a_directory() {
    needs!(engine_ready());
    let user = without_a_network();
    let module = flake_module("warnings = [ (builtins.readFile \"${inputs.dots}/word\") ];");
    let text = flake_text("./nixpkgs", &flake_configuration("pi", &module));
    let input = "inputs.dots = { url = \"github:me/dots\"; flake = false; };";
    let text = text.replace("  outputs", &format!("  {input}\n  outputs"));
    let repository = FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    repository.commit();
    user.write("dots/word", "of the directory");
    let tracked = FlakeRepository::new(&user, "tracked", &[("own/word", "of git")]);
    tracked.commit();
    user.write("tracked/other/word", "new");
    let check_with = |dots| {
        let nixpkgs = ["--override-input", "nixpkgs", "path:pi/nixpkgs"];
        let flags = [&["--flake", "pi"][..], &nixpkgs[..], &["--override-input", "dots", dots]];
        check(&user, &flags.concat())
    };
    for (dots, word) in [
        ("dots", "of the directory"),
        ("path:dots", "of the directory"),
        ("tracked/own", "of git"),
        ("path:tracked/other", "new"),
    ] {
        let checked = check_with(dots).assert_exit_code(6);
        assert_tells(&checked, &[word]);
    }
    check_with("tracked/other")
        .assert_exit_code(2)
        .assert_stderr_contains(&["git tracks no file in", "/tracked/other"]);
}

/// A flake `pi` that names a cache with the key `cache.example-1:AAAA`, and has what no cache and no store has, so that caches are
/// asked; and the server of that cache, which has nothing.
fn with_cache(user: &TestUser) -> (FlakeRepository<'_>, CacheServer, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
    let server = CacheServer::good(dir.path());
    let url = server.url();
    let caches = format!(
        "  nixConfig.extra-substituters = [ \"{url}\" \"{url}?trusted=true\" \"https://me:secret@c.example\" \"file:///etc\" ];\n  \
         nixConfig.extra-trusted-public-keys = \"cache.example-1:AAAA\";\n  nixConfig.sandbox = true;\n  outputs"
    );
    let outputs = outputs()
        .replace("warnings", &format!("environment.etc.nonce.text = \"{}\"; warnings", nonce()));
    let text = flake_text("./nixpkgs", &outputs).replace("  outputs", &caches);
    let repository = FlakeRepository::new(user, "pi", &[("flake.nix", &text)]);
    lock(user, &["--flake", "pi"]).assert_exit_code(0);
    (repository, server, dir)
}

fn dry_run(user: &TestUser) -> Command {
    user.sdbuild(&["build", "--flake", "pi", "--dry-run", "--output", "out"])
}

#[test]
fn caches_that_a_flake_names_are_used_only_on_request() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_repository, server, _dir) = with_cache(&user);
    let url = server.url();
    let dry = |more: &[&str]| run(dry_run(&user).args(more)).assert_exit_code(0);
    dry(&[]).assert_stderr_contains(&[
        &format!("not used: {url}"),
        "cache.example-1:AAAA",
        "--accept-flake-caches",
    ]);
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    let accepted =
        dry(&["--accept-flake-caches"]).assert_stderr_contains(&[&format!("are used: {url}")]);
    // What needs no signature, or has a password, is not a cache for sdbuild.
    for word in ["not used", "trusted=", "secret", "file:"] {
        assert!(!accepted.stderr.contains(word), "{}", accepted.stderr);
    }
    assert!(!server.requests().is_empty());
}

#[test]
fn caches_of_a_flake_are_asked_about_once() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let (repository, server, _dir) = with_cache(&user);
    let notice = format!("are used: {}", server.url());
    // On a terminal, with the answer that is typed when it asks.
    let on_a_terminal = |answer: Option<&str>| {
        let mut screen = Screen::start(&dry_run(&user), (200, 60));
        if let Some(answer) = answer {
            screen.wait_for("[y/N]");
            screen.type_keys(answer);
        }
        assert_eq!(screen.wait().code(), Some(0), "{}", screen.contents());
        String::from_utf8_lossy(&screen.all()).into_owned()
    };
    let answers =
        Path::new(&user.environment["HOME"]).join(".local/state/sdbuild/flake-caches.toml");
    // Ctrl-D is not an answer: nothing is kept, and the next run asks again.
    let seen = on_a_terminal(Some("\u{4}"));
    assert!(seen.contains("--accept-flake-caches"), "{seen}");
    assert!(!answers.exists() && server.requests().is_empty());
    let seen = on_a_terminal(Some("n\n"));
    for part in
        [&server.url(), "cache.example-1:AAAA", "flake-caches.toml", "as you answered before"]
    {
        assert!(seen.contains(part), "{part}\n{seen}");
    }
    assert_eq!(seen.matches("image into ").count(), 1, "{seen}");
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    // Another key is another question.
    let text = std::fs::read_to_string(repository.path("flake.nix")).unwrap();
    repository.write("flake.nix", &text.replace("1:AAAA", "1:BBBB"));
    let seen = on_a_terminal(Some("y\n"));
    assert!(seen.contains("1:BBBB") && seen.contains(&notice), "{seen}");
    assert!(!server.requests().is_empty());
    // Nix remembers what a cache lacks, and does not ask again.
    run(&mut dry_run(&user)).assert_exit_code(0).assert_stderr_contains(&[&notice]);
    // Both answers are kept.
    repository.write("flake.nix", &text);
    let seen = on_a_terminal(None);
    assert!(seen.contains("as you answered before") && !seen.contains("[y/N]"), "{seen}");
    std::fs::remove_file(answers).unwrap();
    run(&mut dry_run(&user))
        .assert_exit_code(0)
        .assert_stderr_contains(&["not used", "give --accept-flake-caches"]);
    runs.assert_nothing_left();
}

#[test]
fn the_builder_fetches_flakes_from_servers() {
    needs!(engine_ready());
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
    git(&repository.path(""), &["archive", "--prefix=pi/", "-o", archive, "HEAD"]);
    git(public.path(), &["clone", "-q", "--bare", repository.path("").to_str().unwrap(), "pi.git"]);
    git(&public.path().join("pi.git"), &["update-server-info"]);
    let files = public.path().to_owned();
    // git asks with a query, which a server without git ignores.
    let server = CacheServer::start(public.path(), move |request| {
        let path = request.file().split('?').next().unwrap_or_default();
        // The login is `me:secret`.
        let is_known = request.header("authorization") == Some("Basic bWU6c2VjcmV0");
        match path.strip_prefix("private/") {
            Some(_) if !is_known => Reply::Status("401 Unauthorized", String::new()),
            private => Reply::Other(files.join(private.unwrap_or(path))),
        }
    });
    let url = server.url();
    let checked = check(&user, &[&format!("git+{url}/pi.git#pi")]).assert_exit_code(6);
    assert_tells(&checked, &["release 26.05.mini", &format!("revision {head}")]);
    let reference = format!("{url}/pi.tar.gz");
    let checked = check(&user, &["--flake", &reference]).assert_exit_code(6);
    assert_tells(&checked, &["release 26.05.mini", "revision none"]);
    // An archive behind a login.
    let reference = format!("{url}/private/pi.tar.gz");
    check(&user, &["--flake", &reference])
        .assert_exit_code(2)
        .assert_stderr_contains(&["HTTP error 401", "--netrc-file FILE"]);
    let host = url.trim_start_matches("http://").split(':').next().unwrap();
    let netrc = format!("machine {host} login me password secret\n");
    let netrc = user.write("netrc", &netrc);
    let mut checked = user.sdbuild(&["check", "--json", "--flake", &reference]);
    let checked = run(checked.env("SDBUILD_NETRC_FILE", netrc)).assert_exit_code(6);
    assert_tells(&checked, &["release 26.05.mini"]);
    assert!(!checked.stderr.contains("secret"), "{}", checked.stderr);
    check(&user, &["--flake", &format!("{url}/none.tar.gz")])
        .assert_exit_code(2)
        .assert_stderr_contains(&["404"]);
}
