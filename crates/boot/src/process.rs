//! QEMU as a process on the host. It ends when sdbuild ends, even by `kill -9`.
//!
//! The kernel sends a signal at the end of the parent to a process that requests it itself (`PR_SET_PDEATHSIG`), and the request
//! survives `exec`. So sdbuild starts itself once more, requests the signal, and becomes the program. Other systems have no such
//! request: there a program ends with the run, unless that is killed.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::qemu;
use crate::qemu::Serial;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::terminal;

/// A running QEMU, and the pipes that it writes to unless a terminal takes their place.
#[derive(Debug)]
pub(super) struct QemuProcess {
    /// The command that starts it again without KVM; `None` for one that does not use KVM.
    without_kvm: Option<Command>,
    /// Whether it has the user's terminal.
    on_terminal: bool,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    status: Option<ExitStatus>,
}

impl QemuProcess {
    /// Starts QEMU; its temporary files go to the directory `scratch`. To be called on the main thread:
    /// see [`command_with_parent`].
    pub(super) fn start(
        machine: &qemu::Machine,
        program: &Path,
        scratch: &Path,
    ) -> Result<Self, Failure> {
        let started = Self::spawn(&mut command(machine, program, scratch));
        let process = started.or_environment(format!("start {}", program.display()))?;
        let without_kvm = machine.without_kvm();
        let without_kvm = without_kvm.map(|machine| command(&machine, program, scratch));
        Ok(Self {
            without_kvm,
            on_terminal: machine.serial == Serial::Terminal,
            ..process
        })
    }

    /// Whether it uses KVM, unless the kernel refused that when it started.
    pub(super) fn uses_kvm(&self) -> bool {
        self.without_kvm.is_some()
    }

    /// Starts it again without KVM, in the place of the one that ended; `false` if it did not use KVM. To be called on the main
    /// thread.
    pub(super) fn restart_without_kvm(&mut self) -> Result<bool, Failure> {
        let Some(mut command) = self.without_kvm.take() else {
            return Ok(false);
        };
        let process = Self::spawn(&mut command).or_environment("start QEMU again without KVM")?;
        *self = Self {
            on_terminal: self.on_terminal,
            ..process
        };
        Ok(true)
    }

    /// Whether it has the user's terminal.
    pub(super) fn is_on_terminal(&self) -> bool {
        self.on_terminal
    }

    /// Shows what it wrote to standard error, if it has the user's terminal.
    pub(super) fn show_stderr(&self, bytes: &[u8]) {
        if self.on_terminal {
            terminal::pass_on(bytes);
        }
    }

    fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        Ok(Self {
            without_kvm: None,
            on_terminal: false,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            status: None,
        })
    }

    /// The next output. Cancel safe.
    pub(super) async fn next_output(&mut self) -> Result<QemuOutput, Failure> {
        let (mut stdout, mut stderr) = ([0; 4096], [0; 1024]);
        loop {
            // The end is reported after all output.
            if let (Some(status), None, None) = (self.status, &self.stdout, &self.stderr) {
                return Ok(QemuOutput::Ended(status));
            }
            tokio::select! {
                biased;
                bytes = read(&mut self.stdout, &mut stdout), if self.stdout.is_some() => {
                    if !bytes.is_empty() {
                        return Ok(QemuOutput::Console(bytes.to_vec()));
                    }
                }
                bytes = read(&mut self.stderr, &mut stderr), if self.stderr.is_some() => {
                    if !bytes.is_empty() {
                        return Ok(QemuOutput::Stderr(bytes.to_vec()));
                    }
                }
                ended = self.child.wait(), if self.status.is_none() => {
                    self.status = Some(ended.or_environment("wait for QEMU")?);
                }
                else => {}
            }
        }
    }

    /// Types `keys` on the console.
    pub(super) async fn type_keys(&mut self, keys: &[u8]) -> io::Result<()> {
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(keys).await,
            None => Ok(()),
        }
    }

    /// Sends SIGTERM.
    pub(super) fn terminate(&self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended just now.
            kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
        }
    }

    /// Sends SIGKILL and waits for the end.
    pub(super) async fn kill(&mut self) {
        // When even that fails there is nothing left to try.
        self.child.kill().await.ok();
    }
}

/// The command that starts QEMU, which ends when sdbuild ends.
fn command(machine: &qemu::Machine, program: &Path, scratch: &Path) -> Command {
    let mut command = command_with_parent(program);
    // The file that takes the machine's writes is deleted once it is open; it may grow as large as the image.
    command.args(qemu::argv(machine)).env("TMPDIR", scratch);
    match machine.serial {
        Serial::Terminal => {}
        // The keyboard of the monitor, by which a network adapter is plugged in.
        Serial::Pipe if machine.start.is_some() => {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        }
        Serial::Pipe => {
            command.stdin(Stdio::null()).stdout(Stdio::piped());
        }
    }
    command.stderr(Stdio::piped());
    command
}

/// The next bytes of `pipe`; none at its end or when it fails, after which it is `None`.
async fn read<'a>(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &'a mut [u8]) -> &'a [u8] {
    let length = match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => 0,
    };
    if length == 0 {
        *pipe = None;
    }
    buffer.split_at(length).0
}

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

/// What QEMU writes to standard error when KVM fails, before it stops a machine without ending: `kvm_cpu_exec` in `accel/kvm/kvm-all.c`, and
/// `kvm_arch_handle_exit` in `target/i386/kvm/kvm.c`.
const KVM_MESSAGES: [&str; 3] = [
    "KVM internal error",
    "KVM: entry failed, hardware error",
    "error: kvm run failed",
];
/// The warning when a machine whose KVM fails starts again.
pub(super) const KVM_WARNING: &str = "KVM fails on this machine, so the image starts again without it, which is slow. \
                                  `sdbuild boot --no-kvm` does not try KVM";

/// Whether `stderr`, QEMU's standard error so far, has such a message.
pub(super) fn reports_kvm_failure(stderr: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stderr);
    KVM_MESSAGES.iter().any(|message| text.contains(message))
}

/// The failure of a machine that was in use when KVM failed.
pub(super) fn kvm_failure() -> Failure {
    Failure::environment("KVM fails on this machine, and QEMU stopped the booted machine")
        .hint("`sdbuild boot --no-kvm` boots without KVM, which is slow")
}

/// The next output of QEMU.
#[derive(Debug)]
pub(super) enum QemuOutput {
    /// Bytes from the machine's serial console.
    Console(Vec<u8>),
    /// Bytes from QEMU's own standard error.
    Stderr(Vec<u8>),
    /// QEMU ended, after all of its output.
    Ended(ExitStatus),
}

#[cfg(test)]
mod tests;
