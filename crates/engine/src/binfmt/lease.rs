//! The lease: the handler is registered for as long as this value exists.

use std::future::Future;
use std::time::Duration;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_core::timeout::timeout;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::binfmt::agent::{AgentConnection, Reply};
use crate::binfmt::refused::Refused;
use crate::binfmt::registrar::{Registrar, RegistrarOptions, StartError, connect};
use crate::binfmt::registration::{HandlerName, TABLE_DIR};
use crate::labels::second_registrar_name;
use crate::{ContainerGuard, EngineAddress, Heartbeat, PauseHandle};

/// How long the registrar may take to confirm a release.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a fresh registrar may take to clean up after one that is gone: a minute to start on a busy engine, and as much
/// to answer.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_mins(2);
/// The handler is removed a moment before the registrar's end is noticed.
const LOSS_TIMEOUT: Duration = Duration::from_secs(1);

/// The run's handler, registered and held.
///
/// Release it. Should it be dropped, the registrar's standard input ends, on which the registrar removes the handler.
#[derive(Debug)]
#[must_use = "the handler is removed when this is dropped; release it to be sure that it is gone"]
pub struct Lease {
    options: RegistrarOptions,
    name: HandlerName,
    guard: ContainerGuard,
    release: oneshot::Sender<()>,
    pause_handle: PauseHandle,
    end: watch::Receiver<Option<LeaseEnd>>,
    // Owns the connection; dropping the set aborts the task, which ends the registrar's input.
    task: JoinSet<()>,
}

/// The reason why a lease ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LeaseEnd {
    /// The registrar confirmed that the entry is removed.
    Released,
    /// The registrar could not remove the entry, for this reason.
    Failed(String),
    /// The registrar or the connection to it is gone.
    Lost(String),
}

impl Registrar {
    /// Registers the run's handler and holds it until the lease is released.
    pub async fn hold(mut self, cancel: &Cancel) -> Result<Lease, Refused> {
        let name = HandlerName::new(self.options.image.emulates, &self.options.run);
        let address = self.options.engine.address();
        let registered = cancel.race(register(&mut self.agent, &name, &address));
        match registered.await.map_err(Refused::from).flatten() {
            Ok(()) => Ok(Lease::new(self, name)),
            // The handler may be registered nevertheless; releasing the lease removes it in any case.
            Err(refused) => {
                let leftovers = Box::pin(Lease::new(self, name).release(cancel)).await;
                Err(refused.with_teardown(leftovers))
            }
        }
    }
}

impl Lease {
    fn new(registrar: Registrar, name: HandlerName) -> Self {
        let Registrar {
            options,
            guard,
            agent,
            events,
        } = registrar;
        let heartbeat = Heartbeat::default();
        let pause_handle = heartbeat.pause_handle();
        let (release, release_requested) = oneshot::channel();
        let (sender, end) = watch::channel(None);
        let mut task = JoinSet::new();
        let handler = name.to_string();
        task.spawn(async move {
            let end = hold(agent, heartbeat, release_requested, &events, &handler).await;
            sender.send_replace(Some(end));
        });
        Self {
            options,
            name,
            guard,
            release,
            pause_handle,
            end,
            task,
        }
    }

    pub fn name(&self) -> &HandlerName {
        &self.name
    }

    /// Resolves when the registrar has ended without a release: programs that need the handler fail from then on.
    pub fn lost(&self) -> impl Future<Output = Failure> + Send + 'static {
        let mut end = self.end.clone();
        let name = self.name.to_string();
        async move {
            let end = end.wait_for(Option::is_some).await;
            let reason = match end.ok().and_then(|end| end.clone()) {
                Some(LeaseEnd::Lost(reason) | LeaseEnd::Failed(reason)) => reason,
                Some(LeaseEnd::Released) | None => {
                    "the container that registers QEMU ended".to_owned()
                }
            };
            Failure::environment(format!("keep the binfmt_misc entry {name}: {reason}"))
                .hint("something stopped the container that registers QEMU; run the build again")
        }
    }

    /// Whether the registrar has ended without a release.
    pub fn is_lost(&self) -> bool {
        let end = self.end.borrow();
        end.as_ref().is_some_and(|end| *end != LeaseEnd::Released)
    }

    /// Why something emulated failed: the loss of the registrar if it was lost, else `refused` itself.
    pub async fn blame(&self, refused: Refused) -> Refused {
        match timeout(LOSS_TIMEOUT, self.lost()).await {
            Some(lost) => lost.with_teardown(refused.failure.teardown).into(),
            None => refused,
        }
    }

    /// Pauses the registrar's watch for silence before this process is stopped.
    pub fn pause_handle(&self) -> PauseHandle {
        self.pause_handle.clone()
    }

    /// Has the registrar remove the handler and confirm it; when the registrar is gone or fails, a fresh one removes the
    /// handler. Works after cancellation; every step is bounded in time. Returns what could not be removed.
    pub async fn release(mut self, cancel: &Cancel) -> Vec<Leftover> {
        let mut end = self.end.clone();
        let released = cancel.bounded(RELEASE_TIMEOUT, async move {
            // Without a receiver the lease has ended already.
            self.release.send(()).ok();
            let end = end.wait_for(Option::is_some).await.ok()?;
            end.clone()
        });
        let end = released.await.flatten();
        // Ends the registrar's input: one that is still there removes the handler now.
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

async fn register(
    agent: &mut AgentConnection,
    name: &HandlerName,
    address: &EngineAddress,
) -> Result<(), Refused> {
    let entry = name.to_string();
    let held = Reply::Held(entry.clone());
    let command = format!("hold {entry}");
    let registered = agent.command(&command, &entry, &held).await?;
    registered.map_err(|reason| not_registered(name, &reason, address))
}

/// The failure for a registration that the kernel refused, for a reason in the words of the agent's shell.
fn not_registered(name: &HandlerName, reason: &str, address: &EngineAddress) -> Refused {
    let failure = Failure::environment(format!("add the binfmt_misc entry {name}: {reason}"));
    if reason.contains("Permission denied") || reason.contains("not permitted") {
        Refused::next_mode(failure)
            .hint("the engine runs without root, or maps users, and cannot add entries to binfmt_misc")
            .hint("point DOCKER_HOST at a rootful engine")
    } else if reason.contains("switched off") {
        let switch_on = address.as_root(&format!("sh -c 'echo 1 > {TABLE_DIR}/status'"));
        Refused::next_mode(failure).hint(format!("enable it with: {switch_on}"))
    } else if reason.contains("Read-only file system") {
        Refused::next_mode(failure)
    } else if reason.contains("itself is emulated") {
        Refused::from(failure).hint("point DOCKER_HOST at an engine that is built for its machine")
    } else {
        Refused::from(failure)
    }
}

/// The lease's task: sends the heartbeat, forwards the request to release, and handles what the agent reports.
async fn hold(
    mut agent: AgentConnection,
    mut heartbeat: Heartbeat,
    mut release_requested: oneshot::Receiver<()>,
    events: &Events,
    name: &str,
) -> LeaseEnd {
    loop {
        let sent = tokio::select! {
            reply = agent.recv() => match reply {
                None => return LeaseEnd::Lost("the container that registers QEMU is gone".to_owned()),
                Some(reply) => {
                    if let Some(end) = handle_unsolicited(reply, events, name) {
                        return end;
                    }
                    continue;
                }
            },
            request = &mut release_requested => match request {
                Ok(()) => return request_release(agent, name).await,
                Err(_) => return LeaseEnd::Lost("the lease was dropped".to_owned()),
            },
            beat = heartbeat.next() => {
                let sent = agent.send(beat.line()).await;
                beat.acknowledge();
                sent
            }
        };
        if let Err(error) = sent {
            return LeaseEnd::Lost(error.to_string());
        }
    }
}

/// Handles a reply that answers no command. Returns the end of the lease if it is one.
fn handle_unsolicited(reply: Reply, events: &Events, name: &str) -> Option<LeaseEnd> {
    match reply {
        Reply::Restored(_) => {
            events.warn(format!(
                "something removed or disabled the binfmt_misc entry {name}; sdbuild has restored it"
            ));
        }
        Reply::Missing(_, reason) => {
            events.warn(format!(
                "the binfmt_misc entry {name} was removed and cannot be put back: {reason}"
            ));
        }
        Reply::Released(_) => {
            return Some(LeaseEnd::Lost(
                "the container that registers QEMU was stopped".to_owned(),
            ));
        }
        Reply::Failed(entry, reason) if entry == name => return Some(LeaseEnd::Failed(reason)),
        Reply::Failed(..)
        | Reply::Ready
        | Reply::Unmounted(_)
        | Reply::Held(_)
        | Reply::Removed(_)
        | Reply::Other(_) => {}
    }
    None
}

async fn request_release(mut agent: AgentConnection, name: &str) -> LeaseEnd {
    let answer = agent.ask("release", |reply| {
        if let Reply::Released(_) = reply {
            return Some(LeaseEnd::Released);
        }
        if let Reply::Failed(entry, reason) = reply
            && entry == name
        {
            return Some(LeaseEnd::Failed(reason));
        }
        None
    });
    answer
        .await
        .unwrap_or_else(|failure| LeaseEnd::Lost(failure.to_string()))
}

/// Removes the entry by a fresh registrar, because the first one is gone or failed.
async fn clean_up(options: RegistrarOptions, name: &HandlerName, cancel: &Cancel) -> Vec<Leftover> {
    // The mount of a privileged registrar is gone with it, and its entries with the mount.
    let container = second_registrar_name(&options.run);
    let address = options.engine.address();
    let mut guard = ContainerGuard::arm(&options.engine, container);
    let removed = cancel.bounded(CLEAN_UP_TIMEOUT, async {
        let mut agent = connect(&mut guard, &options)
            .await
            .map_err(StartError::into_failure)?;
        agent.remove(&name.to_string()).await
    });
    let why = match removed.await {
        Some(Ok(())) => None,
        Some(Err(failure)) => Some(failure.to_string()),
        None => Some("the engine did not answer in time".to_owned()),
    };
    let handler = why.map(|why| Leftover {
        what: format!("binfmt_misc entry {name} (it may be gone already)"),
        why,
        remedy: name.remedy(&address),
    });
    handler
        .into_iter()
        .chain(guard.release(cancel).await)
        .collect()
}

#[cfg(test)]
mod tests;
