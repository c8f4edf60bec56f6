//! Programs that end when sdbuild ends, even by `kill -9`.
//!
//! The kernel sends a signal at the end of the parent to a process that requests it itself
//! (`PR_SET_PDEATHSIG`), and the request survives `exec`. So sdbuild starts itself once more, requests the
//! signal, and becomes the program. Other systems have no such request: there a program ends with the run, unless that is killed.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use nix::unistd::{Pid, getppid};
use tokio::process::Command;

use crate::common::failure::{Failure, OrFail as _};

/// A command that becomes `program` and ends with the thread that spawns it. That must be the main thread,
/// on which the runtime's `block_on` runs.
pub(super) fn command_with_parent(program: &Path) -> Command {
    if !cfg!(target_os = "linux") {
        let mut command = Command::new(program);
        command.kill_on_drop(true);
        return command;
    }
    // The running executable, even when its file was replaced meanwhile.
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
    match exec_with_parent(parent, argv) {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

fn exec_with_parent(parent: i32, argv: &[OsString]) -> Result<std::convert::Infallible, Failure> {
    request_signal()?;
    // No signal comes for a parent that ended before the request.
    if getppid() != Pid::from_raw(parent) {
        return Err(Failure::environment("sdbuild has ended"));
    }
    let (program, rest) = argv
        .split_first()
        .ok_or_else(|| Failure::usage("no program is given"))?;
    let error = std::process::Command::new(program).args(rest).exec();
    Err(error).or_environment(format!("start {}", Path::new(program).display()))
}

#[cfg(target_os = "linux")]
fn request_signal() -> Result<(), Failure> {
    // SIGTERM, not SIGKILL: QEMU then restores the terminal's settings, which no other process can.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)
        .or_environment("request a signal when the parent ends")
}

#[cfg(not(target_os = "linux"))]
fn request_signal() -> Result<(), Failure> {
    let text = "only Linux can end a program with its parent";
    Err(Failure::environment(text))
}
