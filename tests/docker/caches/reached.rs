//! Caches that are reached in other ways: by redirection, with a login, through a proxy, over TLS with an authority of the
//! user's. No password is in the container, the log, or what is printed.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{assert_built, build, cache, user, with_caches};
use crate::support::*;

const PASSWORD: &str = "s3cr3t-of-the-test";

/// The value of a header with the name `me` and the password.
fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("me:{PASSWORD}")))
}

/// Asserts that the password is neither in what was printed nor in a file below the user's home directory but the one that
/// has to have it.
fn assert_kept_secret(user: &TestUser, outcome: &Outcome) {
    let secret = |text: &str| text.contains(PASSWORD) || text.contains(&basic()[6..]);
    assert!(!secret(&outcome.stderr) && !secret(&outcome.stdout), "{}", outcome.stderr);
    let mut dirs = vec![user.state.path().to_owned(), user.out()];
    let mut files = 0;
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let text = fs::read(&path).unwrap();
            assert!(!secret(&String::from_utf8_lossy(&text)), "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 2, "the log, the manifest and the image at least");
}

/// What the engine says of a builder's container while a script runs in its shell, and how the shell ended.
fn inspected(user: &TestUser, script: &str, emulation: &str) -> (String, Outcome) {
    let runs = user.track_runs();
    let script = format!("{script}; echo ready >&2; sleep 600");
    let mini = mini_nixpkgs().to_str().unwrap().to_owned();
    let emulation = ["--emulation", emulation];
    let mut command = user.sdbuild(&["shell", "--nixpkgs", &mini, "--run", &script]);
    command.args(emulation);
    let mut running = Running::start(command.stdin(std::process::Stdio::null()));
    running.wait_for("ready");
    let container = runs.container("builder");
    let told = docker(&["inspect", &container]);
    running.signal(nix::sys::signal::Signal::SIGINT);
    (told, running.finish())
}

#[test]
fn redirections_are_followed() {
    needs!(engine_ready());
    let good = CacheServer::good(&cache().dir);
    let target = good.url();
    let moved = CacheServer::start(&cache().dir, move |request| {
        if request.is_nar() {
            Reply::Status("302 Found", format!("Location: {target}/{}\r\n", request.file()))
        } else {
            Reply::File
        }
    });
    let outcome = build("moved", &[&moved], &[]);
    assert_built(outcome, "moved", &[]);
    assert_eq!(good.nars(), 3);
}

#[test]
fn cache_with_a_login_takes_a_netrc_file() {
    needs!(engine_ready());
    let cache = cache();
    let closed = CacheServer::start(&cache.dir, |request| {
        if request.header("authorization") == Some(&basic()) {
            Reply::File
        } else {
            let challenge = "WWW-Authenticate: Basic realm=\"cache\"\r\n".to_owned();
            Reply::Status("401 Unauthorized", challenge)
        }
    });
    let volume = StoreVolume::new();
    let stranger = with_caches(user("login-none", &volume, &cache), &[&closed]);
    let outcome = run(&mut stranger.build(&["-v"]));
    let outcome = assert_built(outcome, "login-none", &["image", "one", "two"]);
    outcome.assert_stderr_contains(&["HTTP error 401", "--netrc-file"]);

    let user = with_caches(user("login", &volume, &cache), &[&closed]);
    let netrc = format!("machine {}\n  login me\n  password {PASSWORD}\n", host_for_containers());
    let netrc = user.write("netrc", &netrc);
    // Otherwise it would be uploaded with the configuration.
    user.write(".sdbuildignore", "netrc\n");
    let flags = ["-v", "--netrc-file", netrc.to_str().unwrap()];
    let outcome = assert_built(run(&mut user.build(&flags)), "login", &[]);
    assert_kept_secret(&user, &outcome);
}

#[test]
fn builder_uses_the_proxy_and_keeps_its_password() {
    needs!(engine_ready());
    let (volume, cache) = (StoreVolume::new(), cache());
    let proxy = CacheServer::start(&cache.dir, |request| {
        if request.header("proxy-authorization") == Some(&basic()) {
            Reply::File
        } else {
            let challenge = "Proxy-Authenticate: Basic realm=\"proxy\"\r\n".to_owned();
            Reply::Status("407 Proxy Authentication Required", challenge)
        }
    });
    let address = proxy.url().replace("http://", &format!("http://me:{PASSWORD}@"));
    // A host that only the proxy knows.
    let user = user("proxy", &volume, &cache)
        .with("SDBUILD_SUBSTITUTERS", "http://cache.invalid")
        .with("HTTP_PROXY", address)
        .with("NO_PROXY", "localhost");
    let outcome = assert_built(run(&mut user.build(&["-v"])), "proxy", &[]);
    assert_eq!(proxy.nars(), 3);
    let targets = proxy.requests().into_iter().map(|request| request.target);
    let through = targets.filter(|target| target.starts_with("http://cache.invalid/nar/"));
    assert_eq!(through.count(), 3);
    assert_kept_secret(&user, &outcome);

    for emulation in ["auto", "private"] {
        let script = "echo $http_proxy $HTTP_PROXY $no_proxy >&2";
        let (told, shell) = inspected(&user, script, emulation);
        assert!(told.contains("SDBUILD_SECRETS"), "{told}");
        assert!(!told.contains(PASSWORD), "{told}");
        let inside = shell.stderr.matches(PASSWORD).count();
        assert_eq!(inside, 2, "the shell has both spellings: {}", shell.stderr);
    }
}

#[test]
fn cache_with_a_certificate_of_the_users_authority() {
    needs!(engine_ready(), tools_available(&["openssl"]));
    let (volume, cache) = (StoreVolume::new(), cache());
    let dir = tempfile::tempdir().unwrap();
    let address = host_for_containers();
    let tls = certificates(dir.path(), &[&format!("IP:{address}"), "DNS:cache.invalid"]);
    let secure = CacheServer::over_tls(&cache.dir, tls, |_| Reply::File);
    let user = with_caches(user("tls", &volume, &cache), &[&secure]);
    let authority = dir.path().join("ca.pem");
    let with_authority = ["-v", "--ca-file", authority.to_str().unwrap()];
    let dry = |flags: &[&str]| run(user.build(flags).arg("--dry-run"));
    let unknown = dry(&[]).assert_exit_code(0);
    assert!(unknown.stdout.contains("3 derivations"), "{}", unknown.stdout);
    unknown.assert_stderr_contains(&["--ca-file"]);
    let outcome = run(&mut user.build(&with_authority));
    assert_built(outcome, "tls", &[]);

    // The same by a name that only the proxy knows.
    let (port, heads) = tunnel_to(secure.port(), Some(basic()));
    let proxy = format!("http://me:{PASSWORD}@{address}:{port}");
    let behind = super::user("tunnel", &volume, &cache)
        .with("SDBUILD_SUBSTITUTERS", "https://cache.invalid")
        .with("https_proxy", proxy);
    let outcome = run(&mut behind.build(&with_authority));
    assert_kept_secret(&behind, &assert_built(outcome, "tunnel", &[]));
    let heads = heads.lock().unwrap();
    let mut targets = heads.iter().map(|head| head.split(' ').nth(1).unwrap());
    assert!(targets.all(|target| target == "cache.invalid:443"), "{heads:?}");

    // As curl and Nix are told on the user's machine.
    let variable = ["NIX_SSL_CERT_FILE", "SSL_CERT_FILE"];
    let user =
        variable.iter().fold(user, |user, name| user.with(name, authority.to_str().unwrap()));
    let doctor = run(&mut user.sdbuild(&["doctor"])).stdout;
    assert!(doctor.contains(&format!("answer: {}", secure.url())), "{doctor}");
}

#[test]
fn address_of_this_machine_alone_is_reported() {
    needs!(engine_ready());
    let user = TestUser::new().with("http_proxy", "http://me:pass@127.0.0.1:9");
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    let said = "the proxy http://127.0.0.1:9 is only on this machine";
    run(user.build(&["--dry-run=plan"]).env("no_proxy", "*"))
        .assert_exit_code(0)
        .assert_stderr_contains(&[said]);
    let doctor = run(&mut user.sdbuild(&["doctor"])).stdout;
    let words = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(said) && words.contains("172.17.0.1"), "{doctor}");
    let cache =
        run(&mut user.build(&["--dry-run=plan", "--substituters", "http://localhost:5000"]));
    cache.assert_stderr_contains(&[
        "the binary cache http://localhost:5000 is only on this machine",
    ]);
}
