//! Checks whether a test can run on this machine. When it cannot, it is skipped with a message; with `CI` set it
//! fails.

use std::path::Path;
use std::process::Command;

use super::{BINFMT, DebianRelease};

/// Whether an engine answers and the kernel's table is mounted. If so, the shared store has the packages when this returns.
pub fn engine_ready() -> bool {
    let engine = Command::new("docker").args(["version"]).output();
    if !engine.is_ok_and(|output| output.status.success()) {
        return skipped("no engine answers; run scripts/setup");
    }
    if !Path::new(BINFMT).join("register").exists() {
        return skipped("binfmt_misc is not mounted; run scripts/setup");
    }
    super::shared_store::fill_shared_store();
    true
}

/// Whether this process is root, which mounts and other users need.
pub fn root_available() -> bool {
    nix::unistd::geteuid().is_root() || skipped("only root can do this")
}

/// Whether all of `tools` (names or paths) are installed.
pub fn tools_available(tools: &[&str]) -> bool {
    super::tools::have(tools)
}

/// Whether `scripts/setup --test` has unpacked `tool`.
pub fn tool_unpacked(tool: &str) -> bool {
    let is_here = super::root().join(super::TOOLS).join(tool).exists();
    is_here || skipped(&format!("no {tool}; run scripts/setup --test"))
}

/// Whether the Docker of `release` is this machine's, or `scripts/other-engines` has unpacked it.
pub fn debian_release_available(suite: DebianRelease) -> bool {
    match suite.tree() {
        Some(tree) if !tree.exists() => {
            skipped(&format!("no {}; run scripts/other-engines", tree.display()))
        }
        _ => true,
    }
}

/// Whether the tools are installed that boot an image, log in to it and damage it.
pub fn boot_available() -> bool {
    let firmware = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";
    tools_available(&["qemu-system-aarch64", firmware, "debugfs", "ssh", "ssh-keygen"])
}

/// Runs `test` unless this tier cannot run here.
pub fn with_engine(test: impl Future<Output = ()>) {
    if engine_ready() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(test);
    }
}

fn skipped(why: &str) -> bool {
    assert!(std::env::var_os("CI").is_none(), "in CI every test must run: {why}");
    super::tools::report_skip(why);
    false
}
