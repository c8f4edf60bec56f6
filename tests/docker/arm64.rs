//! The container images for 64-bit ARM hosts, run under our own emulation.

use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_engine::RunId;
use sdbuild_engine::binfmt::{HandlerName, Registrar, RegistrarOptions};

use crate::registrar::{arm64_images, engine, registrar_image};
use crate::support::*;

/// The output of a program in `image`, run as the builder's user without capabilities and network.
fn says(image: &str, command: &[&str]) -> String {
    let least = ["run", "--rm", "--user", "1000:1000", "--cap-drop", "ALL", "--network", "none"];
    docker(&[&least[..], &["--read-only", image], command].concat())
}

#[tokio::test]
async fn arm_host_images_run_under_emulation() {
    needs!(engine_ready());
    let engine = engine().await;
    let (registrar, builder) = arm64_images(&engine).await;
    let (image, run) = (registrar_image(&engine).await, RunId::random().unwrap());
    let (cancel, events) = (Cancel::new(), Events::none());
    let options = RegistrarOptions::new(&engine, &image, &run);
    let started = Registrar::start(options, &cancel, &events).await.unwrap();
    let lease = started.hold(&cancel).await.unwrap();

    assert_eq!(says(&registrar, &["/bin/busybox", "uname", "-m"]), "aarch64\n");
    // Emulation of the host's own programs by an emulator that is emulated itself: what a handler on such a host runs.
    let (qemu, busybox) = ("/sdbuild/qemu-x86_64", "/sdbuild/busybox-x86_64");
    assert_eq!(says(&registrar, &[qemu, busybox, "uname", "-m"]), "x86_64\n");
    let files = says(&registrar, &["/bin/busybox", "ls", "/sdbuild"]);
    let files: Vec<_> = files.lines().collect();
    assert_eq!(files, ["binfmt-agent", "busybox", "busybox-x86_64", "enter", "qemu-x86_64"]);
    assert_eq!(says(&builder, &["uname", "-m"]), "aarch64\n");
    let nix = says(&builder, &["nix", "--version"]);
    assert!(nix.starts_with("nix (Nix) 2."), "{nix}");
    assert!(says(&builder, &["git", "--version"]).starts_with("git version"));

    assert_eq!(lease.release(&cancel).await, []);
    let of_run = format!("label=dev.sdbuild.run={run}");
    let left = docker(&["ps", "--all", "--quiet", "--filter", &of_run]);
    assert_eq!(left, "", "no container is left");
    let handler = HandlerName::new(image.emulates, &run).to_string();
    assert!(!handlers().contains_key(&handler));
}
