//! A boot with a person at the console.

use std::fs::File;
use std::process::ExitStatus;

use tokio::io::AsyncWriteExt as _;

use crate::boot::disk::Disk;
use crate::boot::ending::given_back;
use crate::boot::machine::{Piece, Running};
use crate::boot::qemu::Serial;
use crate::boot::run::Boot;
use crate::event::Event;
use crate::failure::{Failure, OrFail as _};
use crate::terminal::{self, Settings};

impl Boot<'_> {
    /// The console on the terminal, until the machine ends.
    pub(super) async fn attended(&self, disk: &Disk) -> Result<(), Failure> {
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
                let relayed = relay(&mut machine, &emulator.screen);
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
}

/// Between the machine's console and a person, until QEMU ends.
async fn relay(machine: &mut Running, screen: &File) -> Result<ExitStatus, Failure> {
    let show = "show the machine's console";
    let mut screen = tokio::fs::File::from_std(screen.try_clone().or_environment(show)?);
    let mut keys = terminal::keys();
    loop {
        tokio::select! {
            biased;
            piece = machine.piece() => match piece? {
                Piece::Console(bytes) => {
                    screen.write_all(&bytes).await.or_environment(show)?;
                    screen.flush().await.or_environment(show)?;
                }
                Piece::Complaint(bytes) => machine.complained(&bytes),
                Piece::Ended(status) => return Ok(status),
            },
            Some(typed) = keys.recv() => machine.press(&typed).await?,
        }
    }
}

/// Whether QEMU ended as it should; its complaints, unless a person saw them already.
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
