//! The binary against a scripted engine and failing mirrors: exit code, message, hint, and nothing left behind. No test
//! here uses the network: every request goes through a proxy of the test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sdbuild_core::hash::Sha256Hash;

use crate::server::{Server, default_reply, ok, refused};
use crate::support::*;

/// The content of the one package that every lock here names.
const PACKAGE: &[u8] = b"a package, as it was pinned";
/// The mirror that the user chose. Its name does not resolve, so that only the proxy can serve it.
const MIRROR: &str = "http://mirror.invalid/debian";

/// Replies to each request for the package at the mirror; other sources reply 404.
type Mirror = fn(&mut TcpStream);

fn send_body(stream: &mut TcpStream, length: usize, body: &[u8]) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // In some tests the client has disconnected already.
    stream.write_all(head.as_bytes()).ok();
    stream.write_all(body).ok();
}

/// Serves every source; returns its address for `http_proxy`.
fn proxy(mirror: Mirror) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let request = lines.next().unwrap().unwrap();
                while !lines.next().unwrap().unwrap().is_empty() {}
                if request.contains(MIRROR) {
                    mirror(&mut stream);
                } else {
                    let gone =
                        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    stream.write_all(gone.as_bytes()).ok();
                }
            });
        }
    });
    address
}

/// An engine without any objects, which creates none.
fn empty_engine() -> Server {
    Server::new(|request| match request {
        "GET /version" | "GET /info" => default_reply(),
        _ => refused(404, "no such thing"),
    })
}

/// A user without a cache, and locks with one small package.
fn user(engine: &Server, mirror: Mirror) -> TestUser {
    let user = TestUser::new();
    let pin = format!(
        r#"{{"name":"a","version":"1","path":"pool/a.deb","size":{},"sha256":"{}"}}"#,
        PACKAGE.len(),
        Sha256Hash::of(PACKAGE)
    );
    for name in ["registrar", "builder"] {
        let lock = format!(
            r#"{{"schema":1,"architecture":"amd64","snapshot":"20260101T000000Z","packages":[{pin}]}}"#
        );
        user.write(&format!("locks/{name}/amd64.lock.json"), &lock);
    }
    user.write("sd-card.nix", "{ networking.hostName = \"x\"; }");
    let at = |name: &str| user.home.path().join(name).to_str().unwrap().to_owned();
    let (locks, cache) = (at("locks"), at("cache"));
    user.with("DOCKER_HOST", engine.endpoint.to_string())
        .with("SDBUILD_LOCKS", locks)
        .with("XDG_CACHE_HOME", cache)
        .with("SDBUILD_DEBIAN_MIRROR", MIRROR)
        .with("http_proxy", proxy(mirror))
}

/// Builds and asserts exit code 3, the message and the hint, and that nothing was left: no image, no object in the cache,
/// no change in the engine.
#[track_caller]
fn assert_build_fails(mirror: Mirror, environment: &[(&str, &str)], message: &str) {
    let engine = empty_engine();
    let user = user(&engine, mirror);
    let outcome = run(user.build(&[]).envs(environment.iter().copied())).assert_exit_code(3);
    outcome.assert_stderr_contains(&[
        "error: could not download a 1: no server delivered it",
        &format!("{MIRROR}: {message}"),
        "hint: check the network, or name another mirror in SDBUILD_DEBIAN_MIRROR",
    ]);
    assert!(user.outputs().is_empty(), "{:?}", user.outputs());
    let objects = file_names(&user.home.path().join("cache/sdbuild/sha256"));
    let is_object = |name: &&String| name.parse::<Sha256Hash>().is_ok();
    let whole: Vec<_> = objects.iter().filter(is_object).collect();
    assert!(whole.is_empty(), "{whole:?}");
    let requests = engine.requests();
    assert!(!requests.is_empty());
    assert!(requests.iter().all(|r| r.starts_with("GET ")), "{requests:?}");
    let runs = user.state.path().join(".local/state/sdbuild/runs");
    assert!(file_names(&runs).is_empty(), "{:?}", file_names(&runs));
}

#[test]
fn a_package_that_is_not_what_was_pinned() {
    let other =
        |stream: &mut TcpStream| send_body(stream, PACKAGE.len(), b"a package, but another one ");
    assert_build_fails(other, &[], "SHA-256 is ");
}

#[test]
fn a_mirror_that_answers_404() {
    let gone = |stream: &mut TcpStream| {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap_or(());
    };
    assert_build_fails(gone, &[], "404 Not Found");
}

#[test]
fn a_mirror_that_cuts_the_body_short() {
    let cut = |stream: &mut TcpStream| send_body(stream, PACKAGE.len(), &PACKAGE[..9]);
    assert_build_fails(cut, &[], "broke off after 9 bytes");
}

#[test]
fn a_mirror_that_hangs_before_it_answers() {
    let hang = |_: &mut TcpStream| std::thread::sleep(Duration::from_mins(2));
    assert_build_fails(hang, &[("SDBUILD_STALL_TIMEOUT", "1")], "no answer in time");
}

#[test]
fn a_mirror_that_hangs_in_mid_body() {
    let hang = |stream: &mut TcpStream| {
        send_body(stream, PACKAGE.len(), &PACKAGE[..9]);
        std::thread::sleep(Duration::from_mins(2));
    };
    let message = "broke off after 9 bytes: no answer in time";
    assert_build_fails(hang, &[("SDBUILD_STALL_TIMEOUT", "1")], message);
}

#[test]
fn an_engine_that_is_too_old() {
    let old = Server::new(|_| ok(r#"{"Version":"19.03","ApiVersion":"1.40"}"#));
    let user = TestUser::new().with("DOCKER_HOST", old.endpoint.to_string());
    user.build_of("{ }", &[]).assert_exit_code(3).assert_stderr_contains(&[
        &format!("the engine at {} has API 1.40, but sdbuild needs 1.41 or later", old.endpoint),
        "hint: update the engine to Docker 20.10",
    ]);
    assert!(user.outputs().is_empty());
    assert!(!Path::new(&user.state.path().join(".local")).exists());
}

#[test]
fn a_stall_timeout_that_is_no_number() {
    let user = TestUser::new().with("SDBUILD_STALL_TIMEOUT", "0");
    run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["SDBUILD_STALL_TIMEOUT: `0`"]);
}

/// How `build --dry-run` ends when it prints to `stdout`.
fn dry_run_to(stdout: Stdio) -> Outcome {
    let engine = empty_engine();
    let user = user(&engine, |_| {});
    Outcome::of(
        &user
            .build(&["--dry-run=plan"])
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap(),
    )
}

#[test]
fn only_a_closed_standard_output_is_no_failure() {
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    dry_run_to(write.into()).assert_exit_code(0);
    // A terminal that hung up.
    let pty = nix::pty::openpty(None, None).unwrap();
    drop(pty.master);
    dry_run_to(pty.slave.into()).assert_exit_code(0);
    let full = std::fs::File::options().write(true).open("/dev/full");
    dry_run_to(full.unwrap().into()).assert_exit_code(3).assert_stderr_contains(&[
        "error: could not write the result to standard output",
        "o space left",
    ]);
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let engine = empty_engine();
    let user = user(&engine, |_| {});
    let before = file_names(user.home.path());
    let lines =
        run(&mut user.build(&["--dry-run=plan", "--cores", "3", "--force"])).assert_exit_code(0);
    for line in [
        "fetch          1 package, 27 B",
        "emulation      register: QEMU runs the image's aarch64-linux programs, with an entry in the kernel's binfmt_misc \
         during the run",
        "cores          3 for each derivation",
        "jobs           1 derivation at a time, one for each core of the engine's machine",
        "memory         no limit\n",
        "builder image  sdbuild's own",
    ] {
        assert!(lines.stdout.contains(line), "{line} is not in\n{}", lines.stdout);
    }
    let place = format!("image into     {}, replacing one of the same name", user.out().display());
    assert!(lines.stdout.contains(&place), "{}", lines.stdout);
    let assembled = lines.stdout.lines().find(|line| line.starts_with("assemble"));
    let assembled = assembled.unwrap();
    assert!(assembled.contains("sdbuild/registrar:") && assembled.contains("sdbuild/builder:"));
    assert!(lines.stdout.ends_with("changed        nothing\n"));
    assert_eq!(file_names(user.home.path()), before);
    assert!(file_names(&user.out()).is_empty() && file_names(user.state.path()).is_empty());
    let requests = engine.requests();
    assert!(requests.iter().all(|r| r.starts_with("GET ")), "{requests:?}");
}

#[test]
fn plans_an_existing_handler_on_an_old_rootless_engine() {
    let engine = Server::new(|request| match request {
        "GET /info" => ok(
            r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"6.1.0","SecurityOptions":["name=rootless"]}"#,
        ),
        "GET /version" => default_reply(),
        _ if request.starts_with("GET /images/") => refused(404, "no such image"),
        _ => ok("[]"),
    });
    let user = user(&engine, |_| {});
    let planned = run(&mut user.build(&["--dry-run=plan"])).assert_exit_code(0).stdout;
    let line = "emulation      host: the existing binfmt_misc entry, if there is one; this engine cannot add entries\n";
    assert!(planned.contains(line), "{planned}");
    for mode in ["register", "private"] {
        let words = ["--dry-run=plan", "--emulation", mode];
        run(&mut user.build(&words))
            .assert_exit_code(3)
            .assert_stderr_contains(&["6.1.0", "DOCKER_HOST"]);
    }
}

#[test]
fn a_dry_run_shows_the_nixpkgs_of_the_lock() {
    let engine = empty_engine();
    let user = user(&engine, |_| {});
    let dry = |nixpkgs: &str| {
        let words = ["build", "--dry-run=plan", "--nixpkgs", nixpkgs];
        run(user.sdbuild(&words).env("SDBUILD_CHANNELS", "http://channels.invalid"))
    };
    let open = dry("26.05").assert_exit_code(0).stdout;
    let looked_up = "nixpkgs        26.05, to be looked up at http://channels.invalid and locked";
    assert!(open.contains(looked_up), "{open}");
    let hash = "0".repeat(64);
    user.write(
        "sdbuild.lock",
        &format!("version = 2\n[[nixpkgs]]\nrelease = \"26.05\"\nurl = \"http://x.invalid/n\"\nsha256 = \"{hash}\"\n"),
    );
    let locked = dry("26.05").assert_exit_code(0).stdout;
    assert!(locked.contains("26.05: http://x.invalid/n (sha256 0000"), "{locked}");
    let other = dry("25.11").assert_exit_code(0).stdout;
    assert!(other.contains("25.11, to be looked up"), "{other}");
    user.write("sdbuild.lock", "version = 9");
    dry("26.05").assert_exit_code(2).assert_stderr_contains(&["sdbuild.lock"]);
}

#[test]
fn every_certain_failure_is_reported_before_the_build() {
    needs!(root_available());
    let engine = Server::new(|request| match request {
        "GET /info" => {
            ok(r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"3.10.0-1160"}"#)
        }
        "GET /version" => default_reply(),
        _ => refused(404, "no such thing"),
    });
    let user = user(&engine, |_| {});
    let cache = user.home.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let build = user.build(&[]);
    // In a mount namespace of its own: the mounts go with the process.
    let mut mounted = std::process::Command::new("unshare");
    mounted.args(["--mount", "--propagation", "private", "sh", "-c"]);
    let script = "mount -t tmpfs -o size=4k none \"$1\" && echo >\"$1/x\" && \
                  mount -t tmpfs -o ro none \"$2\" && mount -t tmpfs -o ro none \"$3\" && \
                  shift 3 && exec \"$@\"";
    mounted.args([script, "sh"]);
    mounted.args([&user.out(), user.state.path(), &cache]);
    mounted.arg(build.get_program()).args(build.get_args());
    mounted.env_clear().envs(&user.environment);
    let outcome = run(mounted.current_dir(user.home.path())).assert_exit_code(3);
    outcome.assert_stderr_contains(&[
        "error: emulation needs Linux 4.8 or later, but the engine's kernel is 3.10.0-1160",
        "error: no space left in ",
        "error: could not write to the state directory",
        "error: could not write to the cache directory",
        "Read-only file system",
        "hint: free some space, or name another directory with --output",
        "hint: set XDG_STATE_HOME",
        "hint: set XDG_CACHE_HOME",
    ]);
    let requests = engine.requests();
    assert!(requests.iter().all(|r| r.starts_with("GET ")), "{requests:?}");
}
