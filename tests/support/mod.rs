//! Shared by the test tiers: a user with a home of their own, the machine's state, configurations.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod account;
mod builder;
mod ci;
mod configuration;
mod context;
mod debian;
mod desktop;
mod engine;
mod gate;
mod handler;
mod machine;
mod process;
mod screen;
mod service;
mod small;
mod sshd;
mod tools;
mod user;
mod way_out;
pub use account::Account;
pub use builder::{STORE, builder_image, in_builder};
pub use ci::Ci;
pub use configuration::{SMALL_IMAGE, configuration, example, fresh, key, nonce, product};
pub use debian::Suite;
pub use desktop::{Desktop, Refuses};
pub use engine::OwnEngine;
pub use gate::{
    boot_is_here, engine_is_here, root_is_here, suite_is_here, tools_are_here, unpacked,
    with_engine,
};
pub use handler::{Handler, machine_emulates};
pub use machine::{
    BINFMT, Kept, Machine, containers, docker, docker_lines, handlers, our_handlers,
};
pub use process::{Ran, Running, outcome, ran};
pub use screen::{Screen, parser};
pub use service::{Make, Service};
pub use small::Small;
pub use sshd::{Sshd, TOOLS};
pub use user::User;
pub use way_out::WayOut;

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The miniature nixpkgs; `scripts/test` names one with renewed locks when it has to.
pub fn mini_nixpkgs() -> PathBuf {
    std::env::var_os("SDBUILD_MINI_NIXPKGS")
        .map_or_else(|| root().join("tests/mini-nixpkgs"), PathBuf::from)
}

/// A directory below `target` that outlives a test.
fn shared(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Sorted names in `dir`, hidden ones too.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Waits until `condition` holds; the time that it took.
#[track_caller]
pub fn within(limit: Duration, what: &str, condition: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}
