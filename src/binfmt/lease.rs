//! The lease: our handler is registered for as long as this value lives, and not longer.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::binfmt::registrar::{Refusal, Registrar, RegistrarOptions, connect};
use crate::binfmt::registration::HandlerName;
use crate::binfmt::wire::{Said, Wire};
use crate::cancel::Cancel;
use crate::engine::{ContainerGuard, Role};
use crate::event::Events;
use crate::failure::{Failure, Leftover};
use crate::waiting::at_most;

/// The keeper goes after a few of these in silence.
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
    words: mpsc::Sender<Word>,
    ended: watch::Receiver<Option<Ended>>,
    // Owns the wire; dropping the set aborts the task, and with it both halves of the leash.
    task: JoinSet<()>,
}

#[derive(Debug)]
enum Word {
    /// Answered when the registrar has been told.
    Patient(oneshot::Sender<()>),
    Release,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    /// The registrar confirmed that the entry is gone.
    Released,
    /// It could not remove it.
    Failed(String),
    /// The registrar or the connection is gone.
    Lost(String),
}

/// Asks the registrar of a lease for patience.
#[derive(Clone, Debug)]
pub struct Patience(mpsc::Sender<Word>);

impl Patience {
    /// Keeps the handler while this process is about to be stopped (Ctrl-Z): until the next heartbeat
    /// silence is no reason to remove it.
    pub async fn ask(&self) {
        let (told, heard) = oneshot::channel();
        // A registrar that is gone needs no patience.
        if self.0.send(Word::Patient(told)).await.is_ok() {
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
                Some(Ended::Lost(why) | Ended::Failed(why)) => why,
                Some(Ended::Released) | None => "the registrar ended".to_owned(),
            };
            Failure::environment(format!("hold handler {name}: {why}"))
                .hint("something stopped the registrar's container; run the build again")
        }
    }

    /// Why something emulated failed: what went wrong first is that the registrar was lost, if it was.
    pub async fn blame(&self, failure: Failure) -> Failure {
        /// The handler goes a moment before the registrar's end is heard.
        const MOMENT: Duration = Duration::from_secs(1);
        match at_most(MOMENT, self.lost()).await {
            Some(lost) => lost.with_teardown(failure.teardown),
            None => failure,
        }
    }

    /// The means to ask the registrar for patience while the lease is elsewhere.
    pub fn patience(&self) -> Patience {
        Patience(self.words.clone())
    }

    /// Gives the handler back: a polite word and its confirmation; when the registrar is gone, a fresh
    /// one removes the entry. Works after cancellation; every step is bounded in time.
    pub async fn release(mut self, cancel: &Cancel) -> Vec<Leftover> {
        let words = self.words.clone();
        let mut ended = self.ended.clone();
        let polite = cancel.bounded(POLITE, async move {
            words.send(Word::Release).await.ok();
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
        if end == Some(Ended::Released) {
            leftovers.extend(self.guard.remove(cancel).await);
        } else {
            leftovers.extend(self.guard.release(cancel).await);
            leftovers.extend(Box::pin(clean_up(self.options, &self.name, cancel)).await);
        }
        leftovers
    }
}

/// The task: a heartbeat once a second, words when asked, an ear for what the keeper says.
async fn hold(
    mut wire: Wire,
    mut words: mpsc::Receiver<Word>,
    events: &Events,
    name: &str,
) -> Ended {
    let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let said = tokio::select! {
            said = wire.hear() => match said {
                None => return Ended::Lost("the registrar is gone".to_owned()),
                Some(said) => {
                    if let Some(end) = understand(said, events, name) {
                        return end;
                    }
                    continue;
                }
            },
            word = words.recv() => match word {
                Some(Word::Release) => return goodbye(wire, name).await,
                // The next heartbeat would end the patience at once if it came before we are stopped.
                Some(Word::Patient(told)) => {
                    beat.reset_after(HEARTBEAT * 3);
                    let said = wire.say("patient").await;
                    // Whoever asked and does not wait any more is not stopped either.
                    told.send(()).ok();
                    said
                }
                None => return Ended::Lost("the lease was dropped".to_owned()),
            },
            _ = beat.tick() => wire.say("").await,
        };
        if let Err(error) = said {
            return Ended::Lost(error.to_string());
        }
    }
}

/// What the keeper says unasked.
fn understand(said: Said, events: &Events, name: &str) -> Option<Ended> {
    match said {
        Said::Restored(_) => {
            events.warn(format!(
                "something removed or disabled handler {name}; it is back"
            ));
        }
        Said::Missing(_, why) => {
            events.warn(format!(
                "handler {name} was removed and cannot be put back: {why}"
            ));
        }
        Said::Released(_) => return Some(Ended::Lost("the registrar was stopped".to_owned())),
        Said::Failed(which, why) if which == name => return Some(Ended::Failed(why)),
        Said::Failed(..)
        | Said::Ready
        | Said::Unmounted(_)
        | Said::Held(_)
        | Said::Removed(_)
        | Said::Other(_) => {}
    }
    None
}

async fn goodbye(mut wire: Wire, name: &str) -> Ended {
    let answer = wire.ask("release", |said| {
        if let Said::Released(_) = said {
            return Some(Ended::Released);
        }
        if let Said::Failed(which, why) = said
            && which == name
        {
            return Some(Ended::Failed(why));
        }
        None
    });
    answer
        .await
        .unwrap_or_else(|failure| Ended::Lost(failure.to_string()))
}

/// Removes our entry by a registrar of its own, for the first one is gone or could not.
async fn clean_up(options: RegistrarOptions, name: &HandlerName, cancel: &Cancel) -> Vec<Leftover> {
    // A privileged registrar's own mount went with it, and the entries went with the mount.
    let container = format!("{}-2", Role::Registrar.container_name(&options.run));
    let place = options.engine.place();
    let mut guard = ContainerGuard::arm(&options.engine, container);
    let removed = cancel.bounded(CLEAN_UP, async {
        let mut wire = connect(&mut guard, &options)
            .await
            .map_err(Refusal::into_failure)?;
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
