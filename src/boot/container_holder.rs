//! The process that removes a booted container and its image when sdbuild is killed: the hidden command `hold-container`. The
//! container's first process is the system's own init, which nothing of sdbuild's could watch over from inside. Its standard input is
//! a socket to sdbuild, over which the order comes; when it ends without a word, both are removed.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::common::failure::{Failure, OrFail as _};
use crate::common::session::start_own;
use crate::engine::labels::booted_image_name;
use crate::engine::{Endpoint, Engine, EngineError, Role, RunId};

/// The name of the command.
const COMMAND: &str = "hold-container";
/// Bytes of the order.
const MAX_ORDER: u64 = 64 << 10;
/// What sdbuild says when the engine begins to load the image.
const LOAD_BEGUN: u8 = b'+';
/// What it says when the engine has the image, or will not have it.
const LOAD_ENDED: u8 = b'-';
/// What it says when it has removed both itself.
const NOTHING_IS_LEFT: u8 = b'\n';
/// The pause between two attempts.
const REMOVAL_PAUSE: Duration = Duration::from_secs(1);
/// Attempts in all. The engine may be starting again; what is left then is removed by the next run.
const ATTEMPTS: u32 = 60;
/// Attempts that have to find nothing, one after the other: a request of the killed sdbuild may still be carried out. A load that
/// was under way, which takes as long as the image is large, ends with the image or all attempts.
const QUIET_ATTEMPTS: u32 = 5;

/// Request to remove a container and its image from an engine.
#[derive(Debug, Serialize, Deserialize)]
struct RemovalRequest {
    endpoint: Endpoint,
    run: String,
}

/// The connection to the process. When it is dropped, the process removes what is there.
#[derive(Debug)]
pub(super) struct Holder(UnixStream);

impl Holder {
    /// Starts the process for the objects of `run` on the engine at `endpoint`, in a session of its own.
    pub(super) fn start(endpoint: &Endpoint, run: &RunId) -> io::Result<Self> {
        let (mut here, there) = UnixStream::pair()?;
        start_own(COMMAND, &[], there)?;
        let order = RemovalRequest {
            endpoint: endpoint.clone(),
            run: run.to_string(),
        };
        let order = serde_json::to_vec(&order)?;
        here.write_all(&(order.len() as u64).to_le_bytes())?;
        here.write_all(&order)?;
        Ok(Self(here))
    }

    /// To be called before the engine loads the image.
    pub(super) fn load_begun(&mut self) {
        self.say(LOAD_BEGUN);
    }

    /// To be called when the engine has loaded the image, or certainly will not.
    pub(super) fn load_ended(&mut self) {
        self.say(LOAD_ENDED);
    }

    /// Ends the process, which removes nothing.
    pub(super) fn nothing_is_left(mut self) {
        self.say(NOTHING_IS_LEFT);
        self.0.shutdown(Shutdown::Both).ok();
    }

    fn say(&mut self, word: u8) {
        // A process that is gone removes nothing.
        self.0.write_all(&[word]).ok();
    }
}

/// The hidden command `hold-container`: waits for the end of the process that started it, and removes what that has left.
///
/// # Errors
///
/// When no valid request arrives on standard input.
pub async fn hold_container() -> Result<(), Failure> {
    let waited = tokio::task::spawn_blocking(wait);
    let (order, last_word) = waited
        .await
        .or_internal("wait for sdbuild")?
        .or_environment("read the request to remove a container")?;
    if last_word == Some(NOTHING_IS_LEFT) {
        return Ok(());
    }
    let run: RunId = order.run.parse().or_usage("read the run")?;
    let mut may_appear = last_word == Some(LOAD_BEGUN);
    let mut quiet = 0;
    for _ in 0..ATTEMPTS {
        let removed = Box::pin(remove(&order.endpoint, &run)).await;
        may_appear &= !matches!(removed, Ok(true));
        quiet = match removed {
            Ok(false) if !may_appear => quiet + 1,
            Ok(_) | Err(_) => 0,
        };
        if quiet == QUIET_ATTEMPTS {
            break;
        }
        tokio::time::sleep(REMOVAL_PAUSE).await;
    }
    Ok(())
}

/// Reads the order, and waits for the end of the connection; what sdbuild said last.
fn wait() -> io::Result<(RemovalRequest, Option<u8>)> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut length = [0; 8];
    socket.read_exact(&mut length)?;
    let mut order = Vec::new();
    let length = u64::from_le_bytes(length).min(MAX_ORDER);
    (&mut socket).take(length).read_to_end(&mut order)?;
    let order = serde_json::from_slice(&order)?;
    let mut said = Vec::new();
    // A connection that breaks is one that has ended.
    socket.read_to_end(&mut said).ok();
    Ok((order, said.pop()))
}

/// Removes the container and the image of `run`; whether there was one of them.
async fn remove(endpoint: &Endpoint, run: &RunId) -> Result<bool, EngineError> {
    let engine = Engine::connect(endpoint).await?;
    let (container, image) = (Role::Booted.container_name(run), booted_image_name(run));
    let containers = engine.our_containers().await?;
    let was_there = containers.iter().any(|found| found.name == container);
    engine.remove_container(&container).await?;
    let was_there = was_there || engine.image(&image).await?.is_some();
    engine.remove_image(&image).await?;
    Ok(was_there)
}
