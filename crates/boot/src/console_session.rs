//! A boot with the machine's console on the user's terminal.

use std::fs::File;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::container::{Keyboard, forward_keys};
use crate::machine::{MachineOutput, RunningMachine};
use crate::outcome::{qemu_outcome, with_leftovers};
use crate::qemu::{PLUG_NETWORK, Serial};
use crate::run::BootSession;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::terminal;
use sdbuild_core::terminal::SavedSettings;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::HostPort;

/// The operation in errors of the terminal.
const SHOW_CONSOLE: &str = "show the machine's console";
/// How long to wait, when the keyboard cannot be connected, for QEMU to report why it ended; and for a
/// terminal that does not accept output.
const CONSOLE_GRACE: Duration = Duration::from_secs(2);

/// Connects the terminal to the console until the machine ends or the user ends it.
pub(super) async fn run(session: BootSession<'_>) -> Result<(), Failure> {
    let cancel = &session.context.cancel;
    let settings = SavedSettings::save();
    let port = session.port()?;
    explain_network(&session);
    // QEMU on the host takes the terminal as soon as it runs; a container does not.
    if session.container.is_none() {
        give_terminal(&session.context.events, port.and_then(HostPort::fixed));
    }
    let mut machine = session.start(port, Serial::Terminal).await?;
    let outcome = match session.container {
        None => cancel.race(machine.until_end()).await,
        Some(options) => {
            give_terminal(&session.context.events, machine.ssh_port);
            settings.set_raw_input();
            let relay = relay(&mut machine, &options.screen, &session.context.events);
            cancel.race(Box::pin(relay)).await
        }
    };
    let stderr = machine.unseen_stderr();
    let leftovers = machine.stop(cancel).await;
    drop(settings);
    let outcome = outcome.and_then(|status| qemu_outcome(status?, &stderr));
    with_leftovers(outcome, leftovers)
}

/// Says what the terminal shows, and how the user ends it.
fn give_terminal(events: &Events, port: Option<u16>) {
    let login = port.map_or_else(String::new, |port| {
        format!(". Log in with: ssh -p {port} root@127.0.0.1")
    });
    events.notice(format!("the machine's console; Ctrl-A X ends it{login}"));
    events.emit(Event::TerminalGiven);
}

/// Says how the network of a board is connected, which sdbuild cannot do while the user has the console.
fn explain_network(session: &BootSession<'_>) {
    if session.needs_adapter() {
        session.context.events.notice(format!(
            "its network is not connected. To connect it when the kernel has started, type Ctrl-A C, then {PLUG_NETWORK}, \
             then Ctrl-A C"
        ));
    }
}

/// Connects the terminal to a machine in a container.
async fn relay(
    machine: &mut RunningMachine,
    screen: &File,
    events: &Events,
) -> Result<ExitStatus, Failure> {
    let screen = screen.try_clone().or_environment(SHOW_CONSOLE)?;
    let mut screen = tokio::fs::File::from_std(screen);
    let keyboard = machine.keyboard();
    let typing = type_on(keyboard, terminal::keys(), events);
    if let Some(ended) = both_ways(show(machine, &mut screen), typing).await {
        return ended;
    }
    // Whatever is printed next begins on a new line; a terminal that accepts no output needs none.
    let newline = async { screen.write_all(b"\n").await.and(screen.flush().await) };
    drop(timeout(CONSOLE_GRACE, newline).await);
    Ok(ExitStatus::default())
}

/// Runs both directions until `show` ends, whose result is returned, or `typing`, which returns `None`.
/// Neither waits for the other: keys reach a machine that writes without end, and the output of a machine
/// that reads no keys is shown.
async fn both_ways<T>(
    show: impl Future<Output = T>,
    typing: impl Future<Output = ()>,
) -> Option<T> {
    tokio::select! {
        ended = show => Some(ended),
        () = typing => None,
    }
}

/// Writes the machine's console to `screen` until QEMU ends.
async fn show(
    machine: &mut RunningMachine,
    screen: &mut (impl AsyncWrite + Unpin),
) -> Result<ExitStatus, Failure> {
    loop {
        match machine.next_output().await? {
            MachineOutput::Console(bytes) => {
                screen
                    .write_all(&bytes)
                    .await
                    .or_environment(SHOW_CONSOLE)?;
                screen.flush().await.or_environment(SHOW_CONSOLE)?;
            }
            MachineOutput::Restarted => {}
            MachineOutput::Ended(status) => return Ok(status),
        }
    }
}

/// Forwards `keys` to the machine until Ctrl-A X.
async fn type_on(keyboard: Option<Keyboard>, keys: mpsc::Receiver<Vec<u8>>, events: &Events) {
    let connected = match &keyboard {
        Some(keyboard) => keyboard.connect().await.map(Some),
        None => Ok(None),
    };
    let mut connected = match connected {
        Ok(connected) => connected,
        Err(error) => {
            tokio::time::sleep(CONSOLE_GRACE).await;
            events.warn(format!("the keyboard is not connected: {error}"));
            None
        }
    };
    let press = async |typed: &[u8]| match &mut connected {
        Some(connected) => connected.input.write(typed).await,
        None => Ok(()),
    };
    forward_keys(keys, press).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Backend;
    use crate::process::QemuProcess;
    use sdbuild_engine::EngineError;

    /// A machine whose console is the output of a shell script.
    fn machine(script: &str) -> RunningMachine {
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", script]);
        let process = QemuProcess::piped(&mut shell, std::process::Stdio::null()).unwrap();
        RunningMachine::new(Backend::Process(process), None, &Events::none())
    }

    /// The console was read first, whenever it had something to read.
    #[tokio::test]
    async fn endless_console_is_ended_by_a_key() {
        let (send, keys) = mpsc::channel(1);
        send.send(b"\x01x".to_vec()).await.unwrap();
        let press = async |_: &[u8]| Ok::<_, EngineError>(());
        let always_ready = async {
            loop {
                tokio::task::consume_budget().await;
            }
        };
        let ended: Option<()> = both_ways(always_ready, forward_keys(keys, press)).await;
        assert!(ended.is_none());
    }

    /// A key that QEMU did not take kept its console from being read, and so QEMU from taking the key.
    #[tokio::test]
    async fn machine_that_reads_no_keys_is_shown_to_its_end() {
        let mut machine = machine("head -c 1000000 /dev/zero; exit 7");
        let (send, keys) = mpsc::channel(1);
        send.send(b"a".to_vec()).await.unwrap();
        let press = async |_: &[u8]| std::future::pending::<Result<(), EngineError>>().await;
        let mut screen = Vec::new();
        let ended = both_ways(show(&mut machine, &mut screen), forward_keys(keys, press)).await;
        assert_eq!(ended.unwrap().unwrap().code(), Some(7));
        assert_eq!(screen.len(), 1_000_000);
    }
}
