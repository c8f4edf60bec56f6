//! A running QEMU: its console is read all the time, and it never outlives this value.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStderr, ChildStdout};

use crate::boot::Request;
use crate::boot::console::Console;
use crate::boot::leash::leashed;
use crate::boot::qemu::{self, Serial};
use crate::boot::tools::Tools;
use crate::cancel::Cancel;
use crate::event::{Event, Events};
use crate::failure::{Failure, OrFail as _};

/// How long QEMU has to end when it is asked to; it then is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is kept of what QEMU itself has to say.
const COMPLAINTS: usize = 16 * 1024;

/// A machine that runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    complaints: Vec<u8>,
    /// What it wrote so far; nothing when a person's terminal has it.
    pub(super) console: Console,
    events: Events,
}

/// What happened next.
#[derive(Debug)]
pub(super) enum Step {
    /// These lines appeared on the console.
    Lines(Vec<String>),
    /// QEMU ended.
    Ended(ExitStatus),
}

impl Running {
    /// Starts QEMU. To be called on the main thread: see [`leashed`].
    pub(super) fn start(
        machine: &qemu::Machine,
        (request, tools, events): (&Request, &Tools, &Events),
    ) -> Result<Self, Failure> {
        let mut command = leashed(&tools.qemu);
        // QEMU's own temporary file, nameless as soon as it is made, may grow as large as the image.
        command
            .args(qemu::argv(machine))
            .env("TMPDIR", &request.scratch);
        if machine.serial == Serial::Pipe {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        }
        let operation = format!("start {}", tools.qemu.display());
        let mut child = command.spawn().or_environment(operation)?;
        Ok(Self {
            out: child.stdout.take(),
            err: child.stderr.take(),
            child,
            complaints: Vec::new(),
            console: Console::default(),
            events: events.clone(),
        })
    }

    /// Waits for the next thing to happen. May be dropped at any time.
    pub(super) async fn step(&mut self) -> Result<Step, Failure> {
        let (mut out, mut err) = ([0; 4096], [0; 1024]);
        let mut status = None;
        loop {
            tokio::select! {
                biased;
                n = read(&mut self.out, &mut out), if self.out.is_some() => {
                    let lines = self.wrote(out.get(..n).unwrap_or_default());
                    if n > 0 && status.is_none() {
                        return Ok(Step::Lines(lines));
                    }
                }
                n = read(&mut self.err, &mut err), if self.err.is_some() => {
                    self.complaints.extend(err.get(..n).unwrap_or_default());
                    self.complaints.truncate(COMPLAINTS);
                }
                ended = self.child.wait(), if status.is_none() => {
                    status = Some(ended.or_environment("wait for QEMU")?);
                }
                else => {}
            }
            // Its last words are read before its end is told.
            if let (Some(status), None, None) = (status, &self.out, &self.err) {
                return Ok(Step::Ended(status));
            }
        }
    }

    fn wrote(&mut self, bytes: &[u8]) -> Vec<String> {
        let lines = self.console.feed(bytes);
        for line in &lines {
            self.events.emit(Event::Console(line.clone()));
        }
        lines
    }

    /// Reads on until QEMU ends.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus, Failure> {
        loop {
            if let Step::Ended(status) = self.step().await? {
                return Ok(status);
            }
        }
    }

    /// What QEMU itself said, without its name before each line.
    pub(super) fn complaints(&self) -> String {
        let text = String::from_utf8_lossy(&self.complaints).into_owned();
        let lines = text.lines().map(|line| {
            let own = line
                .split_once(": ")
                .filter(|(who, _)| who.contains("qemu"));
            own.map_or(line, |(_, rest)| rest).trim()
        });
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        lines.join("; ")
    }

    /// Ends QEMU, and waits until it has.
    pub(super) async fn stop(mut self, cancel: &Cancel) {
        let Some(pid) = self.child.id() else { return };
        if let Ok(pid) = i32::try_from(pid) {
            // It may have ended just now.
            kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap_or(());
        }
        if cancel.bounded(PATIENCE, self.ended()).await.is_none() {
            // Nothing is left to be done when even that fails.
            self.child.kill().await.unwrap_or(());
        }
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
