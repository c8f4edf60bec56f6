//! The host's own QEMU, as a process on the leash.

use std::io;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::boot::BootRequest;
use crate::boot::machine::QemuOutput;
use crate::boot::pdeathsig::leashed;
use crate::boot::qemu::{self, Serial};
use crate::boot::tools::Qemu;
use crate::common::failure::{Failure, OrFail as _};

/// QEMU, and the pipes that it writes to unless a terminal has them.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts QEMU. To be called on the main thread: see [`leashed`].
    pub(super) fn start(
        machine: &qemu::Machine,
        (request, qemu): (&BootRequest, &Qemu),
    ) -> Result<Self, Failure> {
        let mut command = leashed(&qemu.program);
        // QEMU's own temporary file, nameless as soon as it is made, may grow as large as the image.
        command
            .args(qemu::argv(machine))
            .env("TMPDIR", &request.scratch);
        let started = match machine.serial {
            Serial::Terminal => Self::spawn(&mut command),
            Serial::Pipe => Self::piped(&mut command),
        };
        started.or_environment(format!("start {}", qemu.program.display()))
    }

    /// Starts `command` with nothing to read, and reads what it says.
    pub(super) fn piped(command: &mut Command) -> io::Result<Self> {
        let command = command.stdin(Stdio::null());
        Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        Ok(Self {
            out: child.stdout.take(),
            err: child.stderr.take(),
            child,
            status: None,
        })
    }

    /// What comes next. May be dropped at any time.
    pub(super) async fn piece(&mut self) -> Result<QemuOutput, Failure> {
        let (mut out, mut err) = ([0; 4096], [0; 1024]);
        loop {
            // Its last words are read before its end is told.
            if let (Some(status), None, None) = (self.status, &self.out, &self.err) {
                return Ok(QemuOutput::Ended(status));
            }
            tokio::select! {
                biased;
                n = read(&mut self.out, &mut out), if self.out.is_some() => {
                    if n > 0 {
                        return Ok(QemuOutput::Console(out.get(..n).unwrap_or_default().to_vec()));
                    }
                }
                n = read(&mut self.err, &mut err), if self.err.is_some() => {
                    if n > 0 {
                        return Ok(QemuOutput::Stderr(err.get(..n).unwrap_or_default().to_vec()));
                    }
                }
                ended = self.child.wait(), if self.status.is_none() => {
                    self.status = Some(ended.or_environment("wait for QEMU")?);
                }
                else => {}
            }
        }
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended just now.
            kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap_or(());
        }
    }

    /// Makes it end.
    pub(super) async fn kill(&mut self) {
        // Nothing is left to be done when even that fails.
        self.child.kill().await.unwrap_or(());
    }
}

/// Reads a piece; at the end of the pipe, or when it breaks, there is nothing more to be read.
async fn read(from: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    let n = match from {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => 0,
    };
    if n == 0 {
        *from = None;
    }
    n
}
