//! An image is made of second names of the store's files: whoever cleans up after one that was not finished leaves the
//! files as they are.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{built, said_inside, system};
use crate::support::*;

/// Something in the image that takes the maker of file systems a while.
const PAYLOAD: &str = "  sdImage.storePaths = lib.mkAfter [ (pkgs.runCommand \"linked-payload\" { } \"{ yes || true; } | head -c 300000000 >$out\") ];";

/// The builder's processes of that name, by the machine's numbers.
fn in_builders(name: &str) -> Vec<Pid> {
    let role = "label=dev.sdbuild.role=builder";
    let builders = docker_lines(&["ps", "--quiet", "--filter", role]);
    let processes = builders
        .iter()
        .flat_map(|id| docker_lines(&["top", id, "-eo", "pid,comm"]));
    let called = processes.filter_map(|line| {
        let (pid, comm) = line.trim().split_once(' ')?;
        (comm.trim() == name).then(|| Pid::from_raw(pid.parse().unwrap()))
    });
    called.collect()
}

/// How many names the payload has on the machine's disk.
fn names_of_the_payload() -> u64 {
    let format = "{{.Mountpoint}}";
    let volume = docker(&["volume", "inspect", "--format", format, STORE]);
    let store = Path::new(volume.trim()).join("store");
    let payload = names(&store)
        .into_iter()
        .find(|name| name.ends_with("-linked-payload"));
    store.join(payload.unwrap()).metadata().unwrap().nlink()
}

#[test]
fn a_nix_that_is_killed_while_it_makes_the_image_leaves_the_store_as_it_was() {
    if !(engine_is_here() && root_is_here()) {
        return;
    }
    let person = Person::new();
    person.write(
        "sd-card.nix",
        &system(&format!("killed-{}", nonce()), PAYLOAD),
    );
    let running = Running::start(&mut person.build(&["--glue", "native"]));
    let long = Duration::from_secs(120);
    within(long, "the file system is being made", || {
        !in_builders("mkfs.ext4").is_empty()
    });
    assert_eq!(names_of_the_payload(), 2, "it is linked, not copied");
    // Not the build's maker of file systems, after which Nix would clean up, but Nix: so the entry does.
    for pid in in_builders("nix-store") {
        kill(pid, Signal::SIGKILL).unwrap();
    }
    running.finish().exits(3);

    ran(&mut person.build(&["--glue", "native"])).exits(0);
    let built = built(&person);
    assert!(built.iter().all(|drv| drv.contains(".img")), "{built:?}");
    assert_eq!(built.len(), 1, "the image was not finished before");
    // What it is made of: nothing is writable, and no second name is left.
    let unlike = r"find $(nix-store -qR /nix/var/nix/gcroots/sdbuild/*.parts/*-nixos-system-killed-*) -type f \( -perm /222 -o -links +1 \) | head -n 3";
    assert_eq!(said_inside(STORE, unlike, &[]), "");
}
