//! Programs that end when sdbuild ends, also by `kill -9`.
//!
//! The kernel offers this to a process that asks for itself (`PR_SET_PDEATHSIG`), and what it asked
//! for lasts through `exec`. So sdbuild starts itself once more, that asks, and becomes the program.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use tokio::process::Command;

use crate::common::failure::{Failure, OrFail as _};

/// A command that becomes `program`, on the leash. The kernel watches the thread that spawns: it has
/// to be the main one, where the runtime's `block_on` is.
pub(super) fn leashed(program: &Path) -> Command {
    // The same program even when its file was replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("exec-with-parent")
        .arg(std::process::id().to_string())
        .arg("--")
        .arg(program)
        .kill_on_drop(true);
    command
}

/// Becomes the program `argv`, which ends when the process `parent` does; returns only on failure.
pub fn become_program(parent: i32, argv: &[OsString]) -> Failure {
    match become_it(parent, argv) {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

fn become_it(parent: i32, argv: &[OsString]) -> Result<std::convert::Infallible, Failure> {
    // TERM, not KILL: QEMU then gives the terminal its settings back, which nobody else can any more.
    prctl::set_pdeathsig(Signal::SIGTERM).or_environment("ask for the parent's end")?;
    // A parent that ended before we asked is not told any more.
    if getppid() != Pid::from_raw(parent) {
        return Err(Failure::environment("sdbuild has ended"));
    }
    let (program, words) = argv
        .split_first()
        .ok_or_else(|| Failure::usage("no program is given"))?;
    let error = std::process::Command::new(program).args(words).exec();
    Err(error).or_environment(format!("start {}", Path::new(program).display()))
}
