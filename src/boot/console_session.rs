//! A boot with a user at the console.

use std::fs::File;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::boot::disk::Disk;
use crate::boot::keyboard::{Keyboard, hand_on};
use crate::boot::machine::{QemuOutput, Running};
use crate::boot::outcome::given_back;
use crate::boot::qemu::Serial;
use crate::boot::run::Boot;
use crate::common::event::{Event, Events};
use crate::common::failure::{Failure, OrFail as _};
use crate::common::terminal::{self, Settings};
use crate::common::timeout::timeout;

/// A step of ours that shows something.
const SHOW: &str = "show the machine's console";
/// How long a QEMU that cannot be typed to has to tell of its own end, which is why.
const ENDS: Duration = Duration::from_secs(2);

impl Boot<'_> {
    /// The console on the terminal, until the machine ends.
    pub(super) async fn run_console(&self, disk: &Disk) -> Result<(), Failure> {
        let settings = Settings::keep();
        let port = self.port()?;
        // QEMU of the host has the terminal to itself as soon as it runs; a container has not.
        if self.emulator.is_none() {
            self.give_terminal(port);
        }
        let mut machine = Box::pin(self.start(disk, (port, Serial::Terminal))).await?;
        let outcome = match self.emulator {
            None => self.cancel.race(machine.ended()).await,
            Some(emulator) => {
                self.give_terminal(port);
                settings.hand_on_keys();
                let relayed = self.relay(&mut machine, &emulator.screen);
                self.cancel.race(Box::pin(relayed)).await
            }
        };
        let complaints = machine.complaints();
        let left = machine.stop(self.cancel).await;
        drop(settings);
        let ended = outcome.and_then(|status| status);
        given_back(ended.and_then(|status| well(status, &complaints)), left)
    }

    fn give_terminal(&self, port: Option<u16>) {
        let way_in = port.map_or_else(String::new, |port| {
            format!(". Log in with: ssh -p {port} root@127.0.0.1")
        });
        self.events
            .notice(format!("the machine's console; Ctrl-A X ends it{way_in}"));
        self.events.emit(Event::TerminalGiven);
    }

    async fn relay(&self, machine: &mut Running, screen: &File) -> Result<ExitStatus, Failure> {
        let mut screen = tokio::fs::File::from_std(screen.try_clone().or_environment(SHOW)?);
        let keyboard = machine.keyboard();
        let type_on = type_on(keyboard, (terminal::keys(), self.events));
        let ended = both_ways(show(machine, &mut screen), type_on).await;
        if ended.is_none() {
            // What comes next on the terminal gets a line of its own; one that takes nothing needs none.
            let line = async { screen.write_all(b"\n").await.and(screen.flush().await) };
            timeout(ENDS, line).await.map(Result::ok);
        }
        ended.unwrap_or_else(|| Ok(ExitStatus::default()))
    }
}

/// What the machine's end was; `None` when the user ended it. Neither direction waits for the other:
/// a machine that always speaks hears what is typed, and one that does not read is heard.
async fn both_ways<T>(
    show: impl Future<Output = T>,
    type_on: impl Future<Output = ()>,
) -> Option<T> {
    tokio::select! {
        ended = show => Some(ended),
        () = type_on => None,
    }
}

/// Shows the machine's console until QEMU ends.
async fn show(
    machine: &mut Running,
    screen: &mut (impl AsyncWrite + Unpin),
) -> Result<ExitStatus, Failure> {
    loop {
        match machine.piece().await? {
            QemuOutput::Console(bytes) => {
                screen.write_all(&bytes).await.or_environment(SHOW)?;
                screen.flush().await.or_environment(SHOW)?;
            }
            QemuOutput::Stderr(bytes) => machine.complained(&bytes),
            QemuOutput::Ended(status) => return Ok(status),
        }
        // Others have their turn, whoever is always ready.
        tokio::task::yield_now().await;
    }
}

/// Hands on what is typed until that is Ctrl-A X.
async fn type_on(keyboard: Option<Keyboard>, (keys, events): (mpsc::Receiver<Vec<u8>>, &Events)) {
    let opened = match &keyboard {
        Some(keyboard) => keyboard.open().await.map(Some),
        None => Ok(None),
    };
    let mut opened = match opened {
        Ok(opened) => opened,
        Err(error) => {
            tokio::time::sleep(ENDS).await;
            events.warn(format!("nothing can be typed: {error}"));
            None
        }
    };
    let press = async |typed: &[u8]| match &mut opened {
        Some(opened) => opened.input.write(typed).await,
        None => Ok(()),
    };
    hand_on(keys, press).await;
}

/// Whether QEMU ended as it should; its complaints, unless a user saw them already.
fn well(status: ExitStatus, complaints: &str) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    let why = match complaints {
        "" => String::new(),
        said => format!(": {said}"),
    };
    Err(Failure::environment(format!(
        "QEMU ended with {status}{why}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::machine::QemuBackend;
    use crate::boot::process::Process;
    use crate::engine::EngineError;

    /// In the place of QEMU.
    fn machine(script: &str) -> Running {
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", script]);
        let process = Process::piped(&mut shell).unwrap();
        Running::new(QemuBackend::Process(process), &Events::none())
    }

    /// The console was read first, whenever there was something to be read.
    #[tokio::test]
    async fn a_machine_that_never_stops_speaking_is_ended_by_a_key() {
        let (send, keys) = mpsc::channel(1);
        send.send(b"\x01x".to_vec()).await.unwrap();
        let press = async |_: &[u8]| Ok::<_, EngineError>(());
        let always_ready = async {
            loop {
                tokio::task::consume_budget().await;
            }
        };
        let ended: Option<()> = both_ways(always_ready, hand_on(keys, press)).await;
        assert!(ended.is_none());
    }

    /// A key that QEMU did not take kept its console from being read, and so QEMU from taking it.
    #[tokio::test]
    async fn a_machine_that_does_not_read_is_heard_to_its_end() {
        let mut machine = machine("head -c 1000000 /dev/zero; exit 7");
        let (send, keys) = mpsc::channel(1);
        send.send(b"a".to_vec()).await.unwrap();
        let press = async |_: &[u8]| std::future::pending::<Result<(), EngineError>>().await;
        let mut screen = Vec::new();
        let ended = both_ways(show(&mut machine, &mut screen), hand_on(keys, press)).await;
        assert_eq!(ended.unwrap().unwrap().code(), Some(7));
        assert_eq!(screen.len(), 1_000_000);
    }
}
