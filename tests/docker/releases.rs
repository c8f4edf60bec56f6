//! nixpkgs by release and by address, from a local server that stands for the channel.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;

/// Serves `/nixos-26.05/nixexprs.tar.xz` as a redirect to `/releases/7/nixexprs.tar.xz`.
struct Channel {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Channel {
    fn start(tarball: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                answer(stream, &tarball);
            }
        });
        Self { port, requests }
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn answer(mut stream: TcpStream, tarball: &[u8]) {
    let mut request = [0u8; 4096];
    let n = stream.read(&mut request).unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..n]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (head, body): (String, &[u8]) = match path {
        "/nixos-26.05/nixexprs.tar.xz" => {
            ("302 Found\r\nLocation: /releases/7/nixexprs.tar.xz".into(), b"")
        }
        "/releases/7/nixexprs.tar.xz" => ("200 OK".into(), tarball),
        _ => ("404 Not Found".into(), b""),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // The client may close the connection early.
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).unwrap_or(());
}

/// The miniature nixpkgs packed like a release: one top-level directory in a `.tar.xz`.
fn tarball(dir: &Path) -> Vec<u8> {
    let file = dir.join("nixexprs.tar.xz");
    let packed = Command::new("tar")
        .args(["--create", "--xz", "--transform", "s,^\\.,nixos-26.05.7,", "--file"])
        .arg(&file)
        .arg("--directory")
        .arg(mini_nixpkgs())
        .arg(".")
        .status();
    assert!(packed.unwrap().success());
    fs::read(file).unwrap()
}

#[test]
fn release_is_resolved_once_and_locked() {
    needs!(engine_ready());
    let user = TestUser::new();
    let channel = Channel::start(tarball(user.home.path()));
    let user = user.with("SDBUILD_CHANNELS", channel.base());
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    let out = user.out();
    let words = ["build", "--force", "--output", out.to_str().unwrap()];
    run(&mut user.sdbuild(&words))
        .assert_exit_code(0)
        .assert_stderr_contains(&["26.05", "/releases/7/nixexprs.tar.xz"]);
    let lock = user.read("sdbuild.lock");
    assert!(lock.contains(&format!("{}/releases/7/nixexprs.tar.xz", channel.base())), "{lock}");

    let asked = channel.requests.load(Ordering::SeqCst);
    run(&mut user.sdbuild(&words)).assert_exit_code(0);
    assert_eq!(channel.requests.load(Ordering::SeqCst), asked, "a locked release asks nobody");

    // A lock with another hash is an error.
    let digest = lock.split('"').find(|word| word.len() == 64).unwrap();
    let wrong = lock.replace(digest, &"0".repeat(64));
    user.write("sdbuild.lock", &wrong);
    run(&mut user.sdbuild(&words))
        .assert_exit_code(3)
        .assert_stderr_contains(&["releases/7/nixexprs.tar.xz"]);
    assert_eq!(user.read("sdbuild.lock"), wrong);
    let renew = || run(&mut user.sdbuild(&["lock"])).assert_exit_code(0);
    renew().assert_stderr_contains(&["release 26.05 is ", "replaced in"]);
    assert_eq!(user.read("sdbuild.lock"), lock);
    renew().assert_stderr_contains(&["release 26.05 is still "]);
}

#[test]
fn missing_release_is_reported() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let channel = Channel::start(Vec::new());
    let user = user.with("SDBUILD_CHANNELS", channel.base());
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    run(&mut user.sdbuild(&["build", "--nixpkgs", "19.03"]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["19.03", "404"]);
    assert!(!user.home.path().join("sdbuild.lock").exists());
    runs.assert_nothing_left();
}

#[test]
fn nixpkgs_by_address() {
    needs!(engine_ready());
    let user = TestUser::new();
    let channel = Channel::start(tarball(user.home.path()));
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    let address = format!("{}/releases/7/nixexprs.tar.xz", channel.base());
    run(&mut user.sdbuild(&["build", "--nixpkgs", &address])).assert_exit_code(0);
    assert!(user.home.path().join("small.img").exists());
}
