//! A running QEMU: its console is read all the time, and it never outlives this value.

use std::process::ExitStatus;
use std::time::Duration;

use crate::boot::console::Console;
use crate::boot::container::ContainerQemu;
use crate::boot::keyboard::Keyboard;
use crate::boot::process::Process;
use crate::common::cancel::Cancel;
use crate::common::event::{Event, Events};
use crate::common::failure::{Failure, Leftover};

/// How long QEMU has to end when it is asked to; it then is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is kept of what QEMU itself has to say.
const COMPLAINTS: usize = 16 * 1024;

/// Where QEMU runs.
#[derive(Debug)]
pub(super) enum QemuBackend {
    /// A process of this host.
    Process(Process),
    /// A container.
    Container(ContainerQemu),
}

/// Something that came out of it.
#[derive(Debug)]
pub(super) enum QemuOutput {
    /// From the machine.
    Console(Vec<u8>),
    /// From QEMU itself.
    Stderr(Vec<u8>),
    /// QEMU ended.
    Ended(ExitStatus),
}

/// A machine that runs.
#[derive(Debug)]
pub(super) struct Running {
    body: QemuBackend,
    complaints: Vec<u8>,
    /// What it wrote so far; nothing when a user's terminal has it.
    pub(super) console: Console,
    events: Events,
}

/// What happened next.
#[derive(Debug)]
pub(super) enum BootEvent {
    /// These lines appeared on the console.
    Lines(Vec<String>),
    /// QEMU ended.
    Ended(ExitStatus),
}

impl Running {
    pub(super) fn new(body: QemuBackend, events: &Events) -> Self {
        Self {
            body,
            complaints: Vec::new(),
            console: Console::default(),
            events: events.clone(),
        }
    }

    /// Waits for the next piece. May be dropped at any time.
    pub(super) async fn piece(&mut self) -> Result<QemuOutput, Failure> {
        match &mut self.body {
            QemuBackend::Process(process) => process.piece().await,
            QemuBackend::Container(contained) => contained.piece().await,
        }
    }

    /// What leads to the console, where no terminal of a user has it.
    pub(super) fn keyboard(&self) -> Option<Keyboard> {
        match &self.body {
            QemuBackend::Process(_) => None,
            QemuBackend::Container(contained) => Some(contained.keyboard()),
        }
    }

    /// Waits for the next thing to happen. May be dropped at any time.
    pub(super) async fn step(&mut self) -> Result<BootEvent, Failure> {
        loop {
            match self.piece().await? {
                QemuOutput::Console(bytes) => return Ok(BootEvent::Lines(self.wrote(&bytes))),
                QemuOutput::Stderr(bytes) => self.complained(&bytes),
                QemuOutput::Ended(status) => return Ok(BootEvent::Ended(status)),
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

    /// Takes in what QEMU itself said.
    pub(super) fn complained(&mut self, bytes: &[u8]) {
        self.complaints.extend(bytes);
        self.complaints.truncate(COMPLAINTS);
    }

    /// Reads on until QEMU ends.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus, Failure> {
        loop {
            if let BootEvent::Ended(status) = self.step().await? {
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

    /// Ends QEMU, and waits until it has; what could not be removed.
    pub(super) async fn stop(mut self, cancel: &Cancel) -> Option<Leftover> {
        match self.body {
            QemuBackend::Container(contained) => return contained.remove(cancel).await,
            QemuBackend::Process(ref process) => process.terminate(),
        }
        if cancel.bounded(PATIENCE, self.ended()).await.is_none()
            && let QemuBackend::Process(process) = &mut self.body
        {
            process.kill().await;
        }
        None
    }
}
