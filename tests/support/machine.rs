//! The state of the machine: the kernel's handlers, and the engine's containers and volumes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::shared_store::FILLED;
use super::{STORE, file_names, nonce, run, wait_until};

/// The directory of the kernel's table of handlers.
pub const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// What must be the same before and after a test: the handlers with their contents, the containers, and the volumes
/// except the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub handlers: BTreeMap<String, String>,
    pub containers: Vec<String>,
    pub volumes: Vec<String>,
}

impl Machine {
    pub fn snapshot() -> Self {
        Self {
            handlers: handlers(),
            containers: docker_lines(&["ps", "--all", "--format", "{{.Names}}"]),
            volumes: docker_lines(&["volume", "ls", "--quiet"])
                .into_iter()
                .filter(|name| name != STORE && !name.starts_with(FILLED))
                .collect(),
        }
    }

    /// Asserts that the machine is in this state.
    #[track_caller]
    pub fn assert_unchanged(&self) {
        assert_eq!(*self, Self::snapshot(), "the machine is not as it was");
    }

    /// Asserts that the handlers are in this state within three seconds; returns how long it took.
    #[track_caller]
    pub fn wait_for_handlers(&self) -> Duration {
        wait_until(Duration::from_secs(3), "the handlers are as they were", || {
            handlers() == self.handlers
        })
    }
}

/// Every handler in the kernel's table, with its contents.
pub fn handlers() -> BTreeMap<String, String> {
    file_names(Path::new(BINFMT))
        .into_iter()
        .filter(|name| name != "register" && name != "status")
        // An entry may be removed between listing and reading.
        .filter_map(|name| {
            fs::read_to_string(Path::new(BINFMT).join(&name)).ok().map(|text| (name, text))
        })
        .collect()
}

/// The names of our handlers.
pub fn our_handlers() -> Vec<String> {
    handlers().into_keys().filter(|name| name.starts_with("sdbuild-")).collect()
}

/// The output of the engine's own client, sorted by line.
#[track_caller]
pub fn docker_lines(words: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = docker(words).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The output of the engine's own client.
#[track_caller]
pub fn docker(words: &[&str]) -> String {
    let outcome = run(Command::new("docker").args(words));
    assert_eq!(outcome.code, Some(0), "docker {words:?}: {}", outcome.stderr);
    outcome.stdout
}

/// Pauses a container. runc cannot freeze one whose processes start others faster than it stops them, and gives up; the next attempt
/// works.
pub fn pause(container: &str) {
    for _ in 0..10 {
        let outcome = run(Command::new("docker").args(["pause", container]));
        if outcome.code == Some(0) {
            return;
        }
        let stderr = &outcome.stderr;
        assert!(stderr.contains("unable to freeze"), "{container}: {stderr}");
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{container} cannot be paused");
}

/// Our containers of one role.
pub fn containers(role: &str) -> Vec<String> {
    let filter = format!("label=dev.sdbuild.role={role}");
    let run = "label=dev.sdbuild.run";
    docker_lines(&["ps", "--all", "--format", "{{.Names}}", "--filter", &filter, "--filter", run])
}

/// A store volume of a test's own, which is removed with the value.
pub struct StoreVolume(pub String);

impl StoreVolume {
    pub fn new() -> Self {
        Self(format!("{STORE}-{}", nonce()))
    }
}

impl Drop for StoreVolume {
    fn drop(&mut self) {
        remove_volume(&self.0);
    }
}

/// Removes a volume, if there is one of that name. The `status` of another test, which counts the bytes of all volumes, may be
/// using it for a while.
pub fn remove_volume(name: &str) {
    for _ in 0..120 {
        let removed = run(Command::new("docker").args(["volume", "rm", "--force", name]));
        if removed.code == Some(0) {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(std::thread::panicking(), "the volume {name} is in use for a minute");
}
