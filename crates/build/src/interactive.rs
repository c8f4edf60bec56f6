//! Connects the user's terminal, or their pipes, to the program in the builder until it ends.
//!
//! The container's standard input carries what the user types. The heartbeats go to a second program in the container with
//! an input of its own, which ends with this process; it passes them on to the watchdog, which starts nothing before.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

use super::network_access::NetworkAccess;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::terminal;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::{
    Attached, AttachedInput, Container, Drain, Drained, EngineError, Exit, Heartbeat, OutputChunk,
};
use sdbuild_nix::layout;

/// The exit status that shells report for a program killed by SIGPIPE: 128 and the signal's number.
const SIGPIPE_STATUS: i64 = 141;
/// How often the size of the terminal is compared, in addition to the signal for a change.
const RESIZE_PERIOD: Duration = Duration::from_secs(1);
/// Bytes per read of the user's input.
const BUFFER: usize = 16 * 1024;

/// Starts `container` and runs it to its end, `with_terminal` in raw mode. Dropping the future ends the heartbeats,
/// and with them everything in the container.
pub(super) async fn run_interactive(
    container: &Container,
    heartbeat: Heartbeat,
    access: &NetworkAccess,
    with_terminal: bool,
) -> Result<Exit, Failure> {
    let Attached { input, output } = container.attach().await?;
    let _raw_mode = if with_terminal {
        Some(terminal::SavedSettings::save_and_set_raw()?)
    } else {
        None
    };
    container.start().await?;
    let relay = ["/bin/sh", layout::WATCHDOG, "--relay"];
    let mut relay = container.exec(relay.map(str::to_owned).to_vec()).await?;
    access.send(&mut relay.input).await?;
    let _relay = (heartbeat.keep_alive(relay.input), relay.output);
    let (stdin, stdout, stderr) = (tokio::io::stdin(), tokio::io::stdout(), tokio::io::stderr());
    // Neither the end of the user's input nor a failed resize ends the session.
    let forward_to_container = async {
        drop(tokio::join!(
            forward_input(stdin, input),
            forward_terminal_size(container, with_terminal)
        ));
        std::future::pending().await
    };
    let forward_to_user = pin!(forward_output(container.drain(output), stdout, stderr));
    tokio::select! {
        exit = forward_to_user => Ok(exit?),
        never = forward_to_container => never,
    }
}

/// Copies the user's input to the program, including its end. A failed write means that the program has closed its input
/// or has ended; [`forward_output`] finds out which.
async fn forward_input(
    mut stdin: tokio::io::Stdin,
    mut input: AttachedInput,
) -> Result<(), EngineError> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = stdin.read(&mut buffer).await.unwrap_or(0);
        match buffer.get(..n) {
            None | Some([]) => break input.end().await?,
            Some(bytes) => input.write(bytes).await?,
        }
    }
    // Dropping `input` would close the connection, and the program's output with it.
    std::future::pending().await
}

/// Copies the program's output to the user until the program has ended. A closed output ends the session as
/// SIGPIPE would.
async fn forward_output(
    mut drain: Drain<'_>,
    mut stdout: tokio::io::Stdout,
    mut stderr: tokio::io::Stderr,
) -> Result<Exit, EngineError> {
    loop {
        let written = match drain.next().await? {
            Drained::Chunk(OutputChunk::Stdout(bytes)) => write(&mut stdout, &bytes).await,
            Drained::Chunk(OutputChunk::Stderr(bytes)) => write(&mut stderr, &bytes).await,
            // The exit is known: whether the connection broke before does not matter to the user.
            Drained::End { exit, .. } => return Ok(exit),
        };
        if written.is_err() {
            return Ok(Exit {
                code: SIGPIPE_STATUS,
                oom_killed: false,
            });
        }
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Keeps the size of the container's terminal at that of the user's.
async fn forward_terminal_size(container: &Container, with_terminal: bool) -> Result<(), Failure> {
    if !with_terminal {
        return Ok(());
    }
    let mut changes = signal(SignalKind::window_change()).or_internal("listen for SIGWINCH")?;
    let mut set = None;
    loop {
        let wanted = terminal_size::terminal_size();
        let wanted = wanted.map(|(columns, rows)| (columns.0, rows.0));
        if wanted != set
            && let Some(size) = wanted
        {
            // A program that has just ended has no terminal any more; an engine that was busy is asked again.
            set = container.resize(size).await.is_ok().then_some(size);
        }
        if let Some(None) = timeout(RESIZE_PERIOD, changes.recv()).await {
            return Ok(());
        }
    }
}
