//! A running machine: its console is read all the time, and QEMU never outlives this value.

use std::process::ExitStatus;
use std::time::Duration;

use futures_util::StreamExt as _;

use crate::boot::console::Console;
use crate::boot::container::ContainerQemu;
use crate::boot::diagnosis::is_halted;
use crate::boot::keyboard::Keyboard;
use crate::boot::kvm_failure::{self, KvmWatch};
use crate::boot::process::QemuProcess;
use crate::boot::qemu::{PLUG_NETWORK, UNPLUG_NETWORK};
use crate::boot::qemu_output::QemuOutput;
use crate::common::cancel::Cancel;
use crate::common::event::{Event, Events};
use crate::common::failure::{Failure, Leftover, OrFail as _};

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
    kvm: KvmWatch,
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
            kvm: KvmWatch::default(),
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
        if !process.uses_kvm() || !self.kvm.sees_failure(bytes) || self.kvm_failed {
            return Ok(());
        }
        if !self.restarts {
            return Err(kvm_failure::failure());
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
        self.events.warn(kvm_failure::WARNING);
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

    /// Plugs a network adapter into a board's USB port, by QEMU's monitor.
    pub(super) async fn plug_network(&mut self) -> Result<(), Failure> {
        self.type_in_monitor(&[PLUG_NETWORK]).await
    }

    /// Takes the network adapter out and plugs it in again: Linux looks at it anew.
    pub(super) async fn replug_network(&mut self) -> Result<(), Failure> {
        self.type_in_monitor(&[UNPLUG_NETWORK, PLUG_NETWORK]).await
    }

    async fn type_in_monitor(&mut self, commands: &[&str]) -> Result<(), Failure> {
        const PLUG_OPERATION: &str = "plug in the machine's network adapter";
        let lines = commands.join("\n");
        // Ctrl-A C leads from the last serial port to the monitor, which is the first on the console.
        let keys = format!("\x01c{lines}\n\x01c");
        match &mut self.backend {
            Backend::Process(process) => process
                .type_keys(keys.as_bytes())
                .await
                .or_environment(PLUG_OPERATION),
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

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::process::Command;

    use super::*;

    /// A machine with KVM whose QEMU is this shell script, and which does without KVM what the second does.
    fn machine(with_kvm: &str, without_kvm: &str) -> RunningMachine {
        let shell = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).stdin(Stdio::null());
            shell.stdout(Stdio::piped()).stderr(Stdio::piped());
            shell
        };
        let process = QemuProcess::piped(&mut shell(with_kvm), Stdio::null()).unwrap();
        let process = process.with_fallback(shell(without_kvm));
        RunningMachine::new(Backend::Process(process), None, &Events::none())
    }

    /// QEMU stops the machine then, and does not end.
    #[tokio::test]
    async fn machine_whose_kvm_fails_starts_again_without_it() {
        let failing = "echo started; echo 'KVM internal error. Suberror: 1' >&2; exec sleep 600";
        let mut machine = machine(failing, "echo started again");
        let status = machine.until_end().await.unwrap();
        assert!(status.success(), "{status}");
        assert_eq!(machine.console.lines(), ["started again"]);
        assert_eq!(machine.stderr_text(), "");
    }

    /// Nobody would end the machine that starts again.
    #[tokio::test]
    async fn machine_that_is_stopped_does_not_start_again() {
        let dir = tempfile::tempdir().unwrap();
        let begun = dir.path().join("begun");
        // It ends some time after the signal.
        let failing = "trap 'sleep 0.5; exit' TERM; echo 'KVM internal error' >&2; while :; do sleep 0.05; done";
        let mut machine = machine(failing, &format!("touch {}", begun.display()));
        // The message is read, and the end is not.
        while !machine.kvm_failed {
            tokio::select! {
                _ = machine.next_output() => {}
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
        assert!(machine.stop(&Cancel::new()).await.is_empty());
        assert!(!begun.exists());
    }

    #[tokio::test]
    async fn kvm_that_fails_later_is_a_failure() {
        let failing = "echo 'KVM: entry failed, hardware error 0x80000021' >&2; exec sleep 600";
        let mut machine = machine(failing, "echo again");
        machine.is_in_use();
        let failure = machine.until_end().await.unwrap_err();
        assert!(failure.to_string().contains("KVM fails"), "{failure}");
        assert!(machine.stop(&Cancel::new()).await.is_empty());
    }

    #[tokio::test]
    async fn other_end_of_a_machine_with_kvm_is_its_end() {
        let mut machine = machine("echo started; echo no disk >&2; exit 1", "echo again");
        assert_eq!(machine.until_end().await.unwrap().code(), Some(1));
        assert_eq!(machine.console.lines(), ["started"]);
        assert_eq!(machine.stderr_text(), "no disk");
    }
}
