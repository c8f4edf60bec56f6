//! Helpers of the test tiers: users, engines, configurations, processes, terminals, and the state of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod account;
mod binary_cache;
pub mod board;
mod builder;
mod ci;
mod configuration;
mod context;
mod debian;
mod desktop;
mod engine;
mod flake;
mod git_backend;
mod handler;
mod http;
mod machine;
mod machine_provider;
mod nix_machine;
mod process;
mod requirements;
mod run_tracker;
mod screen;
mod service;
mod shared_store;
mod small_disk;
mod sshd;
mod tls_server;
mod tools;
mod uplink;
mod user;
pub use account::Account;
pub use binary_cache::{BinaryCache, CacheServer, Reply, host_for_containers};
pub use builder::{STORE, builder_image, in_builder, own_image};
pub use ci::Ci;
pub use configuration::{
    SMALL_IMAGE, configuration, example, fresh, key, key_in, nonce, product,
    product_of_the_builder_alone,
};
pub use debian::DebianRelease;
pub use desktop::{DockerDesktop, Refuses};
pub use engine::OwnEngine;
pub use flake::{FlakeRepository, flake_configuration, flake_module, flake_text};
pub use handler::{Handler, machine_emulates};
pub use http::Request;
pub use machine::{
    BINFMT, Machine, StoreVolume, containers, docker, docker_lines, handlers, our_handlers, pause,
    remove_volume,
};
pub use machine_provider::MachineProvider;
pub use nix_machine::NixMachine;
pub use process::{Outcome, Running, kill_processes_of, manifest, run, run_with_input};
pub use requirements::{
    boot_available, debian_release_available, engine_ready, root_available, tool_unpacked,
    tools_available, with_engine,
};
pub use run_tracker::RunTracker;
pub use screen::Screen;
pub use service::{EngineKind, EngineService};
pub use small_disk::SmallDisk;
pub use sshd::{Sshd, TOOLS};
pub use tls_server::{certificates, tunnel_to};
pub(crate) use tools::needs;
pub use uplink::NetworkUplink;
pub use user::TestUser;

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The miniature nixpkgs, or the copy with renewed locks that `scripts/test` sets.
pub fn mini_nixpkgs() -> PathBuf {
    std::env::var_os("SDBUILD_MINI_NIXPKGS")
        .map_or_else(|| root().join("tests/mini-nixpkgs"), PathBuf::from)
}

/// The miniature nixpkgs with the interface of an older `release`: see `tests/nixpkgs-releases/README.md`.
pub fn mini_nixpkgs_of(release: &str) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let copy = |from: &Path| {
        let mut copy = std::process::Command::new("cp");
        run(copy.arg("-RT").arg(from).arg(tree.path())).assert_exit_code(0);
    };
    copy(&mini_nixpkgs());
    for older in ["25.05", "24.11"] {
        copy(&root().join("tests/nixpkgs-releases").join(older));
        if older == release {
            return tree;
        }
    }
    panic!("nothing is known of {release}")
}

/// A directory below `target` that outlives a test.
fn shared(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Locks out the processes of other tests, also those of other checkouts, while the value lives.
pub fn lock(name: &str) -> fs::File {
    let dir = PathBuf::from(format!("/tmp/sdbuild-tests-{}", nix::unistd::geteuid()));
    fs::create_dir_all(&dir).unwrap();
    let file = fs::File::create(dir.join(name)).unwrap();
    file.lock().unwrap();
    file
}

/// Sorted names in `dir`, hidden ones too.
pub fn file_names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Writes a program that everybody may run.
pub fn write_program(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A TCP port of this machine on which nothing listens. Another program may take it before the caller does.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until `condition` holds, and fails after `limit`; returns how long it took.
#[track_caller]
pub fn wait_until(limit: Duration, what: &str, condition: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}
