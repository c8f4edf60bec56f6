//! Podman, by its Docker-compatible service: build and clean, with a handler that the builder alone has.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::*;

/// A service of the tests' own, with its own images, containers and volumes; it ends with the value.
struct Podman {
    folder: tempfile::TempDir,
    child: Child,
}

impl Podman {
    fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("sdbuild-podman")
            .tempdir()
            .unwrap();
        let at = |name: &str| folder.path().join(name);
        let child = Command::new("podman")
            .args(["--cgroup-manager", "cgroupfs", "--root"])
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"))
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", at("podman.sock").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        let podman = Self { folder, child };
        within(Duration::from_secs(30), "Podman's service listens", || {
            std::os::unix::net::UnixStream::connect(podman.socket()).is_ok()
        });
        podman
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("podman.sock")
    }

    /// What its own client says of what it holds.
    fn lists(&self, words: &[&str]) -> Vec<String> {
        let at = |name: &str| self.folder.path().join(name);
        let mut client = Command::new("podman");
        client.arg("--root").arg(at("root"));
        client.arg("--runroot").arg(at("run")).args(words);
        let ran = ran(&mut client).exits(0);
        ran.stdout.lines().map(str::to_owned).collect()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap_or(());
        self.child.wait().unwrap();
        // What it has mounted there would be left in the way of the folder's removal.
        let root = self.folder.path().join("root/overlay");
        Command::new("umount").arg(root).output().unwrap();
    }
}

#[test]
fn podman_builds_and_is_left_clean() {
    if !tools_are_here(&["podman"]) || !root_is_here() || !engine_is_here() {
        return;
    }
    let before = Machine::now();
    let podman = Podman::start();
    let host = format!("unix://{}", podman.socket().display());
    let person = Person::new().with_own_cache().with("DOCKER_HOST", host);
    person.write("sd-card.nix", &product(SMALL_IMAGE));
    let image = ran(&mut person.build(&["--emulation", "private", "--compress", "none"]))
        .exits(0)
        .image();
    assert_eq!(std::fs::read_to_string(image).unwrap(), "small\n");
    assert_eq!(podman.lists(&["ps", "--all", "--quiet"]), [""; 0]);
    assert_eq!(
        podman.lists(&["volume", "ls", "--quiet"]),
        ["sdbuild-store"]
    );
    ran(&mut person.sdbuild(&["clean", "--yes"])).exits(0);
    for words in [&["volume", "ls", "--quiet"][..], &["images", "--quiet"]] {
        assert_eq!(podman.lists(words), [""; 0], "{words:?}");
    }
    before.is_unchanged();
}
