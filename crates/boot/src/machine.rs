//! A running machine: its console is read all the time, as lines without control sequences and within bounds, and QEMU never
//! outlives this value.

use std::collections::VecDeque;
use std::process::ExitStatus;
use std::time::Duration;

use futures_util::StreamExt as _;

use crate::container::{ContainerQemu, Keyboard};
use crate::diagnosis::is_halted;
use crate::process::{KVM_WARNING, QemuOutput, QemuProcess, kvm_failure, reports_kvm_failure};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::{Failure, Leftover, OrFail as _};
use sdbuild_core::text::strip_control;

/// How long QEMU may take to end after SIGTERM, before SIGKILL.
const TERMINATE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of QEMU's standard error that are kept.
const MAX_STDERR_BYTES: usize = 16 * 1024;

/// The process that runs the machine.
#[derive(Debug)]
pub(super) enum Backend {
    /// QEMU as a process on the host.
    Process(QemuProcess),
    /// QEMU in a container.
    Container(ContainerQemu),
}

/// A running machine.
#[derive(Debug)]
pub(super) struct RunningMachine {
    backend: Backend,
    /// The port on 127.0.0.1 that leads to its SSH.
    pub(super) ssh_port: Option<u16>,
    stderr: Vec<u8>,
    /// Whether KVM failed, and QEMU was ended because of that.
    kvm_failed: bool,
    /// Whether a machine whose KVM fails starts again.
    restarts: bool,
    /// What the machine wrote so far; empty when the console is on a terminal.
    pub(super) console: Console,
    events: Events,
}

/// Output of a running machine.
#[derive(Debug)]
pub(super) enum MachineOutput {
    /// Bytes of the console.
    Console(Vec<u8>),
    /// It starts once more, without KVM. The console is empty again.
    Restarted,
    /// QEMU ended.
    Ended(ExitStatus),
}

/// An event of a booting machine.
#[derive(Debug)]
pub(super) enum BootEvent {
    /// These lines appeared on the console.
    Lines(Vec<String>),
    /// It starts once more, and slower. The console is empty again.
    Restarted,
    /// QEMU ended.
    Ended(ExitStatus),
}

impl RunningMachine {
    pub(super) fn new(backend: Backend, ssh_port: Option<u16>, events: &Events) -> Self {
        Self {
            backend,
            ssh_port,
            stderr: Vec::new(),
            kvm_failed: false,
            restarts: true,
            console: Console::default(),
            events: events.clone(),
        }
    }

    /// Waits for the next output; a machine whose KVM fails starts again without it until [`Self::is_in_use`]. Cancel safe. To be
    /// awaited on the main thread.
    pub(super) async fn next_output(&mut self) -> Result<MachineOutput, Failure> {
        loop {
            // Timers advance only between turns of the task: output without end would make each of them late.
            tokio::task::yield_now().await;
            let output = match &mut self.backend {
                Backend::Process(process) => process.next_output().await,
                Backend::Container(container) => container.next_output().await,
            };
            match output? {
                QemuOutput::Console(bytes) => return Ok(MachineOutput::Console(bytes)),
                QemuOutput::Stderr(bytes) => self.take_stderr(&bytes)?,
                QemuOutput::Ended(_) if self.restart_without_kvm()? => {
                    return Ok(MachineOutput::Restarted);
                }
                QemuOutput::Ended(status) => return Ok(MachineOutput::Ended(status)),
            }
        }
    }

    /// Someone uses the booted machine: when its KVM fails from now on, that is a failure.
    pub(super) fn is_in_use(&mut self) {
        self.restarts = false;
    }

    /// Keeps what QEMU wrote to standard error, and ends a QEMU whose KVM failed.
    fn take_stderr(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stderr.extend(bytes);
        self.stderr.truncate(MAX_STDERR_BYTES);
        let Backend::Process(process) = &self.backend else {
            return Ok(());
        };
        process.show_stderr(bytes);
        if self.kvm_failed || !process.uses_kvm() || !reports_kvm_failure(&self.stderr) {
            return Ok(());
        }
        if !self.restarts {
            return Err(kvm_failure());
        }
        self.kvm_failed = true;
        process.terminate();
        Ok(())
    }

    /// Starts QEMU, which ended, again without KVM, if that is why it ended.
    fn restart_without_kvm(&mut self) -> Result<bool, Failure> {
        let Backend::Process(process) = &mut self.backend else {
            return Ok(false);
        };
        if !self.kvm_failed || !self.restarts || !process.restart_without_kvm()? {
            return Ok(false);
        }
        self.events.warn(KVM_WARNING);
        self.stderr.clear();
        self.console = Console::default();
        Ok(true)
    }

    /// The keyboard of the console, where QEMU does not have the user's terminal itself.
    pub(super) fn keyboard(&self) -> Option<Keyboard> {
        match &self.backend {
            Backend::Process(_) => None,
            Backend::Container(container) => Some(container.keyboard()),
        }
    }

    /// Types `commands` in QEMU's monitor.
    pub(super) async fn type_in_monitor(&mut self, commands: &[&str]) -> Result<(), Failure> {
        const OPERATION: &str = "plug in the machine's network adapter";
        let lines = commands.join("\n");
        // Ctrl-A C leads from the last serial port to the monitor, which is the first on the console.
        let keys = format!("\x01c{lines}\n\x01c");
        match &mut self.backend {
            Backend::Process(process) => process
                .type_keys(keys.as_bytes())
                .await
                .or_environment(OPERATION),
            Backend::Container(container) => {
                let mut connected = container.keyboard().connect().await?;
                connected.input.write(keys.as_bytes()).await?;
                // The program that types ends with its input.
                connected.input.end().await?;
                while connected.output.next().await.transpose()?.is_some() {}
                Ok(())
            }
        }
    }

    /// Waits for the next event. Cancel safe.
    pub(super) async fn next_event(&mut self) -> Result<BootEvent, Failure> {
        Ok(match self.next_output().await? {
            MachineOutput::Console(bytes) => BootEvent::Lines(self.feed(&bytes)),
            MachineOutput::Restarted => BootEvent::Restarted,
            MachineOutput::Ended(status) => BootEvent::Ended(status),
        })
    }

    fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let lines = self.console.feed(bytes);
        for line in &lines {
            self.events.emit(Event::Console(line.clone()));
        }
        lines
    }

    /// Reads the console until QEMU ends.
    pub(super) async fn until_end(&mut self) -> Result<ExitStatus, Failure> {
        loop {
            if let BootEvent::Ended(status) = self.next_event().await? {
                return Ok(status);
            }
        }
    }

    /// Reads the console until QEMU ends, or Linux has halted a machine that cannot switch itself off.
    pub(super) async fn until_off(&mut self) -> Result<(), Failure> {
        loop {
            match self.next_event().await? {
                BootEvent::Ended(_) => return Ok(()),
                BootEvent::Lines(lines) if lines.iter().any(|line| is_halted(line)) => {
                    return Ok(());
                }
                BootEvent::Lines(_) | BootEvent::Restarted => {}
            }
        }
    }

    /// The lines that QEMU wrote to standard error as one, without its name before each.
    pub(super) fn stderr_text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr).into_owned();
        let lines = text.lines().map(|line| match line.split_once(": ") {
            Some((program, message)) if program.contains("qemu") => message.trim(),
            _ => line.trim(),
        });
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        lines.join("; ")
    }

    /// The same, unless it was shown already.
    pub(super) fn unseen_stderr(&self) -> String {
        match &self.backend {
            Backend::Process(process) if process.is_on_terminal() => String::new(),
            Backend::Process(_) | Backend::Container(_) => self.stderr_text(),
        }
    }

    /// Ends QEMU and waits for its end; returns what could not be removed.
    pub(super) async fn stop(mut self, cancel: &Cancel) -> Vec<Leftover> {
        self.restarts = false;
        match self.backend {
            Backend::Container(container) => {
                return container.remove(cancel).await.into_iter().collect();
            }
            Backend::Process(ref process) => process.terminate(),
        }
        let ended = cancel.bounded(TERMINATE_TIMEOUT, self.until_end()).await;
        if !matches!(ended, Some(Ok(_)))
            && let Backend::Process(process) = &mut self.backend
        {
            process.kill().await;
        }
        Vec::new()
    }
}

/// Lines that are kept: the boot of a kernel, and what a stuck machine repeats after it.
const MAX_LINES: usize = 4000;
/// Bytes of a line; a longer one is split.
const MAX_LINE_BYTES: usize = 2000;

/// The console so far.
#[derive(Debug, Default)]
pub(super) struct Console {
    lines: VecDeque<String>,
    /// The line that has no end yet.
    partial: Vec<u8>,
}

impl Console {
    /// Appends `bytes`; returns the lines that they finished.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut finished = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
            if *byte == b'\n' || self.partial.len() >= MAX_LINE_BYTES {
                finished.push(clean(&std::mem::take(&mut self.partial)));
            }
        }
        self.lines.extend(finished.iter().cloned());
        let surplus = self.lines.len().saturating_sub(MAX_LINES);
        self.lines.drain(..surplus);
        finished
    }

    /// All lines, the unfinished one included.
    pub(super) fn lines(&self) -> Vec<String> {
        let last = Some(self.unfinished()).filter(|last| !last.trim().is_empty());
        self.lines.iter().cloned().chain(last).collect()
    }

    /// The line that has no end yet, as a prompt has none while it waits for input.
    pub(super) fn unfinished(&self) -> String {
        clean(&self.partial)
    }

    /// The last `count` lines that are not empty.
    pub(super) fn tail(&self, count: usize) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| !line.trim().is_empty());
        lines.split_off(lines.len().saturating_sub(count))
    }
}

fn clean(line: &[u8]) -> String {
    strip_control(&String::from_utf8_lossy(line)).replace('\t', " ")
}

#[cfg(test)]
mod tests;
