//! Hands the user's terminal, or their pipes, to what runs in the builder, until that ends.
//!
//! Its input is the user's, so it cannot be the leash: that is a second program in the container, whose
//! input ends with this process. The entry starts nothing before that one is there.

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

use super::heartbeat::Heartbeat;
use super::layout;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::terminal::{self, StdStreams};
use crate::engine::{
    Attached, AttachedInput, AttachedOutput, Container, EngineError, Exit, OutputChunk,
};

/// How long the output may be silent after the end before it counts as ended.
const SILENCE: Duration = Duration::from_secs(2);
/// What a shell says of a program whose reader went away: 128 and the number of SIGPIPE.
const UNREAD: i64 = 141;
/// What is read at once.
const PIECE: usize = 16 * 1024;

/// Starts `container` and stays with it to its end. Dropping the future lets go of the leash, and
/// everything in the container ends.
pub(super) async fn run_interactive(
    container: &Container,
    pulse: &mut Heartbeat,
    attended: bool,
) -> Result<Exit, Failure> {
    let Attached { input, output } = container.attach().await?;
    let _settings = if attended {
        Some(terminal::Settings::raw()?)
    } else {
        None
    };
    container.start().await?;
    let leash = ["/bin/sh", layout::WATCHDOG].map(str::to_owned).to_vec();
    let leash = container.exec(leash).await?;
    let _leash = (pulse.hold(leash.input), leash.output);
    let StdStreams {
        input: typed,
        output: said,
        error: complained,
    } = StdStreams::of_the_process();
    // What is typed and the window's size never end the session.
    let aside = async {
        drop(tokio::join!(
            forward_input(typed, input),
            forward_terminal_size(container, attended)
        ));
        std::future::pending().await
    };
    let show = pin!(forward_output(container, output, (said, complained)));
    tokio::select! {
        exit = show => Ok(exit?),
        never = aside => never,
    }
}

/// Hands on what is typed; at its end the program sees the end of its input. An error is that of a
/// program that does not read any more, or has ended: `show` tells which.
async fn forward_input(
    mut typed: tokio::io::Stdin,
    mut input: AttachedInput,
) -> Result<(), EngineError> {
    let mut piece = vec![0; PIECE];
    loop {
        let n = typed.read(&mut piece).await.unwrap_or(0);
        match piece.get(..n) {
            None | Some([]) => break input.end().await?,
            Some(bytes) => input.write(bytes).await?,
        }
    }
    // Not let go of: that would be the end of what the program says, too.
    std::future::pending().await
}

/// Shows what the program says until it has ended and all of it was read.
async fn forward_output(
    container: &Container,
    mut output: AttachedOutput,
    (mut said, mut complained): (tokio::io::Stdout, tokio::io::Stderr),
) -> Result<Exit, EngineError> {
    let mut wait = pin!(container.wait());
    let mut ended: Option<Exit> = None;
    loop {
        let chunk = tokio::select! {
            exit = &mut wait, if ended.is_none() => {
                ended = Some(exit?);
                continue;
            }
            chunk = output.next() => chunk,
            () = tokio::time::sleep(SILENCE), if ended.is_some() => None,
        };
        let shown = match chunk {
            Some(Ok(OutputChunk::Stdout(bytes))) => write(&mut said, &bytes).await,
            Some(Ok(OutputChunk::Stderr(bytes))) => write(&mut complained, &bytes).await,
            // The end, or a broken connection: `wait` tells which.
            Some(Err(_)) | None => break,
        };
        if shown.is_err() {
            let (code, oom_killed) = (UNREAD, false);
            return Ok(Exit { code, oom_killed });
        }
    }
    match ended {
        Some(exit) => Ok(exit),
        None => wait.await,
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Keeps the container's terminal as large as the user's.
async fn forward_terminal_size(container: &Container, attended: bool) -> Result<(), Failure> {
    if !attended {
        return Ok(());
    }
    let mut changes = signal(SignalKind::window_change()).or_internal("listen for SIGWINCH")?;
    loop {
        if let Some(size) = terminal::size() {
            // A program that has just ended has no terminal any more.
            drop(container.resize(size).await);
        }
        if changes.recv().await.is_none() {
            return Ok(());
        }
    }
}
