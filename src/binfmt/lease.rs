//! The lease: our handler is registered for as long as this value lives, and not longer.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::binfmt::agent::{AgentConnection, Reply};
use crate::binfmt::registrar::{Registrar, RegistrarOptions, StartError, connect};
use crate::binfmt::registration::HandlerName;
use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::{Failure, Leftover};
use crate::common::timeout::timeout;
use crate::engine::ContainerGuard;
use crate::engine::labels::second_registrar_name;

/// The agent goes after a few of these in silence.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long the polite way may take.
const POLITE: Duration = Duration::from_secs(5);
/// How long a fresh registrar may take to clean up after a dead one.
const CLEAN_UP: Duration = Duration::from_secs(30);

/// The run's handler, registered and watched.
///
/// Release it. `Drop` is the net: it ends the task that owns both halves of the leash, and the
/// registrar sees the end of its input.
#[derive(Debug)]
#[must_use = "the handler goes when this is dropped; release it to know that it is gone"]
pub struct Lease {
    options: RegistrarOptions,
    name: HandlerName,
    guard: ContainerGuard,
    words: mpsc::Sender<LeaseCommand>,
    ended: watch::Receiver<Option<LeaseEnd>>,
    // Owns the wire; dropping the set aborts the task, and with it both halves of the leash.
    task: JoinSet<()>,
}

#[derive(Debug)]
enum LeaseCommand {
    /// Answered when the registrar has been told.
    Pause(oneshot::Sender<()>),
    Release,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LeaseEnd {
    /// The registrar confirmed that the entry is gone.
    Released,
    /// It could not remove it.
    Failed(String),
    /// The registrar or the connection is gone.
    Lost(String),
}

/// Asks the registrar of a lease for patience.
#[derive(Clone, Debug)]
pub struct PauseHandle(mpsc::Sender<LeaseCommand>);

impl PauseHandle {
    /// Keeps the handler while this process is about to be stopped (Ctrl-Z): until the next heartbeat
    /// silence is no reason to remove it.
    pub async fn pause(&self) {
        let (told, heard) = oneshot::channel();
        // A registrar that is gone needs no patience.
        if self.0.send(LeaseCommand::Pause(told)).await.is_ok() {
            heard.await.ok();
        }
    }
}

impl Lease {
    pub(super) fn new(registrar: Registrar, name: HandlerName) -> Self {
        let Registrar {
            options,
            guard,
            wire,
            events,
        } = registrar;
        let (words, listen) = mpsc::channel(4);
        let (tell, ended) = watch::channel(None);
        let mut task = JoinSet::new();
        let handler = name.to_string();
        task.spawn(async move {
            let end = hold(wire, listen, &events, &handler).await;
            tell.send_replace(Some(end));
        });
        Self {
            options,
            name,
            guard,
            words,
            ended,
            task,
        }
    }

    /// The name of the entry.
    pub fn name(&self) -> &HandlerName {
        &self.name
    }

    /// Resolves when the registrar died although nobody released it: what runs emulated programs will
    /// fail from then on.
    pub fn lost(&self) -> impl Future<Output = Failure> + Send + 'static {
        let mut ended = self.ended.clone();
        let name = self.name.to_string();
        async move {
            let end = ended
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|end| end.clone());
            let why = match end {
                Some(LeaseEnd::Lost(why) | LeaseEnd::Failed(why)) => why,
                Some(LeaseEnd::Released) | None => "the registrar ended".to_owned(),
            };
            Failure::environment(format!("hold handler {name}: {why}"))
                .hint("something stopped the registrar's container; run the build again")
        }
    }

    /// Why something emulated failed: what went wrong first is that the registrar was lost, if it was.
    pub async fn blame(&self, failure: Failure) -> Failure {
        /// The handler goes a moment before the registrar's end is heard.
        const MOMENT: Duration = Duration::from_secs(1);
        match timeout(MOMENT, self.lost()).await {
            Some(lost) => lost.with_teardown(failure.teardown),
            None => failure,
        }
    }

    /// The means to ask the registrar for patience while the lease is elsewhere.
    pub fn pause_handle(&self) -> PauseHandle {
        PauseHandle(self.words.clone())
    }

    /// Gives the handler back: a polite word and its confirmation; when the registrar is gone, a fresh
    /// one removes the entry. Works after cancellation; every step is bounded in time.
    pub async fn release(mut self, cancel: &Cancel) -> Vec<Leftover> {
        let words = self.words.clone();
        let mut ended = self.ended.clone();
        let polite = cancel.bounded(POLITE, async move {
            words.send(LeaseCommand::Release).await.ok();
            ended
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|end| end.clone())
        });
        let end = polite.await.flatten();
        // From here on the bare end of input speaks for us, should the registrar still be there.
        self.task.shutdown().await;
        let mut leftovers = Vec::new();
        if end == Some(LeaseEnd::Released) {
            leftovers.extend(self.guard.remove(cancel).await);
        } else {
            leftovers.extend(self.guard.release(cancel).await);
            leftovers.extend(Box::pin(clean_up(self.options, &self.name, cancel)).await);
        }
        leftovers
    }
}

/// The task: a heartbeat once a second, words when asked, an ear for what the agent says.
async fn hold(
    mut wire: AgentConnection,
    mut words: mpsc::Receiver<LeaseCommand>,
    events: &Events,
    name: &str,
) -> LeaseEnd {
    let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let said = tokio::select! {
            said = wire.recv() => match said {
                None => return LeaseEnd::Lost("the registrar is gone".to_owned()),
                Some(said) => {
                    if let Some(end) = handle_unsolicited(said, events, name) {
                        return end;
                    }
                    continue;
                }
            },
            word = words.recv() => match word {
                Some(LeaseCommand::Release) => return request_release(wire, name).await,
                // The next heartbeat would end the patience at once if it came before we are stopped.
                Some(LeaseCommand::Pause(told)) => {
                    beat.reset_after(HEARTBEAT * 3);
                    let said = wire.send("patient").await;
                    // Whoever asked and does not wait any more is not stopped either.
                    told.send(()).ok();
                    said
                }
                None => return LeaseEnd::Lost("the lease was dropped".to_owned()),
            },
            _ = beat.tick() => wire.send("").await,
        };
        if let Err(error) = said {
            return LeaseEnd::Lost(error.to_string());
        }
    }
}

/// What the agent says unasked.
fn handle_unsolicited(said: Reply, events: &Events, name: &str) -> Option<LeaseEnd> {
    match said {
        Reply::Restored(_) => {
            events.warn(format!(
                "something removed or disabled handler {name}; it is back"
            ));
        }
        Reply::Missing(_, why) => {
            events.warn(format!(
                "handler {name} was removed and cannot be put back: {why}"
            ));
        }
        Reply::Released(_) => return Some(LeaseEnd::Lost("the registrar was stopped".to_owned())),
        Reply::Failed(which, why) if which == name => return Some(LeaseEnd::Failed(why)),
        Reply::Failed(..)
        | Reply::Ready
        | Reply::Unmounted(_)
        | Reply::Held(_)
        | Reply::Removed(_)
        | Reply::Other(_) => {}
    }
    None
}

async fn request_release(mut wire: AgentConnection, name: &str) -> LeaseEnd {
    let answer = wire.ask("release", |said| {
        if let Reply::Released(_) = said {
            return Some(LeaseEnd::Released);
        }
        if let Reply::Failed(which, why) = said
            && which == name
        {
            return Some(LeaseEnd::Failed(why));
        }
        None
    });
    answer
        .await
        .unwrap_or_else(|failure| LeaseEnd::Lost(failure.to_string()))
}

/// Removes our entry by a registrar of its own, for the first one is gone or could not.
async fn clean_up(options: RegistrarOptions, name: &HandlerName, cancel: &Cancel) -> Vec<Leftover> {
    // A privileged registrar's own mount went with it, and the entries went with the mount.
    let container = second_registrar_name(&options.run);
    let place = options.engine.address();
    let mut guard = ContainerGuard::arm(&options.engine, container);
    let removed = cancel.bounded(CLEAN_UP, async {
        let mut wire = connect(&mut guard, &options)
            .await
            .map_err(StartError::into_failure)?;
        wire.remove(&name.to_string()).await
    });
    let why = match removed.await {
        Some(Ok(())) => None,
        Some(Err(failure)) => Some(failure.to_string()),
        None => Some("the engine did not answer in time".to_owned()),
    };
    let handler = why.map(|why| Leftover {
        what: format!("handler {name} (it may be gone already)"),
        why,
        remedy: name.remedy(&place),
    });
    handler
        .into_iter()
        .chain(guard.release(cancel).await)
        .collect()
}
