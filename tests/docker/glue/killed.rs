//! An image is made from hard links to the store's files: cleaning up after an interrupted one must leave the files
//! unchanged.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{built, ready, said_inside, system};
use crate::support::*;

/// A large file, so that making the file system takes a while.
const PAYLOAD: &str = "  sdImage.storePaths = lib.mkAfter [ (pkgs.runCommand \"linked-payload\" { } \"dd if=/dev/urandom of=$out bs=1M count=300\") ];";

/// The processes called `name` in the builder of `runs`, by their ids on this machine.
fn in_builder_of(runs: &RunTracker, name: &str) -> Vec<Pid> {
    let builders = runs.containers_of("builder");
    // The builder may end in between.
    let top = |id: &String| run(Command::new("docker").args(["top", id, "-eo", "pid,comm"])).stdout;
    let processes: String = builders.iter().map(top).collect();
    let called = processes.lines().filter_map(|line| {
        let (pid, comm) = line.trim().split_once(' ')?;
        (comm.trim() == name).then(|| Pid::from_raw(pid.parse().unwrap()))
    });
    called.collect()
}

/// The number of hard links of the payload on this machine's disk. Payloads of earlier commits may exist, with one
/// link.
fn names_of_the_payload() -> u64 {
    let format = "{{.Mountpoint}}";
    let volume = docker(&["volume", "inspect", "--format", format, STORE]);
    let store = Path::new(volume.trim()).join("store");
    let payloads = file_names(&store).into_iter().filter(|name| name.ends_with("-linked-payload"));
    let links = payloads.map(|name| store.join(name).metadata().unwrap().nlink());
    links.max().unwrap()
}

#[test]
fn nix_killed_while_making_the_image_keeps_the_store_intact() {
    needs!(engine_ready(), root_available());
    // Without this the time limit below would include building all packages.
    ready();
    let user = TestUser::new();
    user.write("sd-card.nix", &system(&format!("killed-{}", nonce()), PAYLOAD));
    let runs = user.track_runs();
    let running = Running::start(&mut user.build(&["--glue", "native"]));
    wait_until(Duration::from_mins(2), "the file system is being made", || {
        // It stays stopped until it is killed.
        let makers = in_builder_of(&runs, "mkfs.ext4");
        makers.iter().any(|pid| kill(*pid, Signal::SIGSTOP).is_ok())
    });
    assert_eq!(names_of_the_payload(), 2, "it is linked, not copied");
    // Nix would clean up after mkfs ended, so Nix is killed; then the entry cleans up.
    let nix = in_builder_of(&runs, "nix-store");
    assert_eq!(nix.len(), 1, "{nix:?}");
    kill(nix[0], Signal::SIGKILL).unwrap();
    running.finish().assert_exit_code(3);

    run(&mut user.build(&["--glue", "native"])).assert_exit_code(0);
    let built = built(&user);
    assert!(built.iter().all(|drv| drv.contains(".img")), "{built:?}");
    assert_eq!(built.len(), 1, "the image was not finished before");
    // The files that it is made from are not writable and have no second link.
    let unlike = r"parts=/nix/var/nix/gcroots/sdbuild/*/*
        find $(nix-store -qR $parts/*-nixos-system-killed-* $parts/*-linked-payload) -type f \( -perm /222 -o -links +1 \)";
    assert_eq!(said_inside(STORE, unlike, &[]), "");
}
