//! What dead runs left behind: their containers and their handlers. Found by label and prefix, removed
//! when no live run holds it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::binfmt::{Entry, HandlerName, Owner, Registrar, classify};
use crate::common::failure::{Failure, Leftover};
use crate::engine::{ContainerInfo, Engine, Role, RunId};
use crate::pipeline::run_lock::RunLocks;
use crate::pipeline::{Context, binfmt_table};

/// A run without a run lock here has, for a moment, containers that it has not started yet.
const ABOUT_TO_START: Duration = Duration::from_secs(600);
/// Such a run reads its image out of a builder that has ended, or copies one into an emulator that it has
/// not started: gigabytes, over a network or a slow disk.
const BEING_COPIED: Duration = Duration::from_secs(3600);
/// The registrar of a dead run removes its handler when it is told to end.
const GRACE: u32 = 5;

/// What there is of other runs.
#[derive(Clone, Debug, Default)]
pub(super) struct StaleObjects {
    /// Containers of dead runs.
    pub(super) containers: Vec<ContainerInfo>,
    /// Handlers of dead runs.
    pub(super) handlers: Vec<(RunId, Entry)>,
    /// Runs that live, this one not among them.
    pub(super) live: BTreeSet<RunId>,
    /// Runs of this user on this engine that are known to be dead.
    pub(super) dead: BTreeSet<RunId>,
}

/// How a run is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunState {
    Live,
    Dead,
    /// Somebody else's: its containers must tell.
    Unknown,
}

/// Where to look, and who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep<'a> {
    /// Whose containers.
    pub(super) engine: &'a Engine,
    /// The signs of life of this user's runs.
    pub(super) run_locks: &'a RunLocks,
    /// The run that asks; nothing of its own is found.
    pub(super) own: &'a RunId,
}

impl Sweep<'_> {
    /// Looks for what dead runs left. `entries` are the kernel's, read before this: a run that
    /// registers in between has a running registrar in the list of containers.
    pub(super) async fn find(&self, entries: Vec<Entry>) -> Result<StaleObjects, Failure> {
        let dead = self.run_locks.dead();
        let all = self.engine.our_containers().await?;
        let mut found = StaleObjects {
            live: self.run_locks.live(),
            dead,
            ..StaleObjects::default()
        };
        found.live.remove(self.own);
        for container in &all {
            let Some(run) = run_of(container).filter(|run| run != self.own) else {
                continue;
            };
            if self.is_dead(&run, container, &all).await? {
                found.containers.push(container.clone());
            } else {
                found.live.insert(run);
            }
        }
        for entry in entries {
            match classify(&entry) {
                Owner::Ours(run) if run != *self.own && self.is_abandoned(&run, &entry, &all) => {
                    found.handlers.push((run, entry));
                }
                Owner::Ours(_) | Owner::Foreign => {}
            }
        }
        Ok(found)
    }

    /// Finds and removes what dead runs left, and says so. What cannot be removed is a warning: the run
    /// that asks can go on.
    pub(super) async fn clear(
        &self,
        mut registrar: Option<&mut Registrar>,
        context: &Context,
    ) -> Result<(), Failure> {
        let Context { cancel, events } = context;
        let entries = match &mut registrar {
            Some(registrar) => cancel.race(registrar.entries()).await??,
            None => Vec::new(),
        };
        let found = cancel.race(self.find(entries)).await??;
        let (gone, left) = cancel.race(self.remove(&found, registrar)).await?;
        for what in gone {
            events.notice(format!("swept what a dead run left: {what}"));
        }
        for left in &left {
            let Leftover { what, why, remedy } = left;
            events.warn(format!(
                "a dead run left {what}, which cannot be removed: {why} ({remedy})"
            ));
        }
        Ok(())
    }

    /// Removes what was found, and forgets the dead when nothing of theirs is left; what went, and what
    /// could not be removed. Containers go first: a registrar that still runs would put its handler back.
    pub(super) async fn remove(
        &self,
        found: &StaleObjects,
        registrar: Option<&mut Registrar>,
    ) -> (Vec<String>, Vec<Leftover>) {
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        for container in &found.containers {
            let what = format!("container {}", container.name);
            match self.remove_container(container).await {
                Ok(()) => gone.push(what),
                Err(error) => left.push(Leftover {
                    what,
                    why: error.to_string(),
                    remedy: self.engine.address().removal(&container.name),
                }),
            }
        }
        let Some(registrar) = registrar else {
            if left.is_empty() {
                self.forget_without_handler(&found.dead);
            }
            return (gone, left);
        };
        for (run, entry) in &found.handlers {
            let what = format!("handler {}", entry.name);
            match registrar.remove(entry).await {
                Ok(()) => gone.push(what),
                Err(error) => left.push(Leftover {
                    what,
                    why: error.to_string(),
                    remedy: HandlerName::new(run).remedy(&self.engine.address()),
                }),
            }
        }
        if left.is_empty() {
            self.run_locks.forget(&found.dead);
        }
        (gone, left)
    }

    /// Nobody asked a registrar for handlers: those of `dead` runs are seen only where the engine's kernel is
    /// this machine's, and a run that may still have one is not forgotten.
    fn forget_without_handler(&self, dead: &BTreeSet<RunId>) {
        let Some(entries) = binfmt_table::here(self.engine).filter(|_| binfmt_table::is_mounted())
        else {
            return;
        };
        let mut dead = dead.clone();
        for entry in &entries {
            if let Owner::Ours(run) = classify(entry) {
                dead.remove(&run);
            }
        }
        self.run_locks.forget(&dead);
    }

    async fn remove_container(&self, container: &ContainerInfo) -> Result<(), Failure> {
        if container.running {
            // The removal kills what does not end in time.
            let stopped = self.engine.stop_container(&container.name, GRACE);
            stopped.await.unwrap_or(());
        }
        Ok(self.engine.remove_container(&container.name).await?)
    }

    fn life(&self, run: &RunId) -> RunState {
        if self.run_locks.is_live(run) {
            RunState::Live
        } else if self.run_locks.is_dead(run) {
            RunState::Dead
        } else {
            RunState::Unknown
        }
    }

    /// Whether the handler of `run` has nobody who would remove it. A live run may hold it through
    /// another engine on this kernel, and be somebody else's: then the entry itself tells.
    fn is_abandoned(&self, run: &RunId, entry: &Entry, all: &[ContainerInfo]) -> bool {
        let holds = |c: &ContainerInfo| c.running && is_role(c, Role::Registrar);
        match self.life(run) {
            RunState::Live => false,
            RunState::Dead => true,
            RunState::Unknown => !of(run, all).any(holds) && !entry.is_kept(),
        }
    }

    async fn is_dead(
        &self,
        run: &RunId,
        container: &ContainerInfo,
        all: &[ContainerInfo],
    ) -> Result<bool, Failure> {
        match self.life(run) {
            RunState::Live => return Ok(false),
            RunState::Dead => return Ok(true),
            RunState::Unknown => {}
        }
        if of(run, all).any(|container| container.running) {
            return Ok(false);
        }
        let Some(reserve) = reserve(container) else {
            return Ok(true);
        };
        let idle = self.engine.container_idle(&container.name).await?;
        Ok(idle.is_some_and(|idle| idle > reserve))
    }
}

/// How long `container`, which does not run, may be something that a run we do not know needs.
fn reserve(container: &ContainerInfo) -> Option<Duration> {
    let is = |role| is_role(container, role);
    if is(Role::Builder) && !container.never_started
        || is(Role::Emulator) && container.never_started
    {
        Some(BEING_COPIED)
    } else if container.never_started || is(Role::Probe) {
        // An ended probe may be what a private run is about to take its emulator from.
        Some(ABOUT_TO_START)
    } else {
        // Nobody reads anything out of an ended registrar.
        None
    }
}

fn run_of(container: &ContainerInfo) -> Option<RunId> {
    container.run.as_ref()?.parse().ok()
}

fn of<'a>(run: &RunId, all: &'a [ContainerInfo]) -> impl Iterator<Item = &'a ContainerInfo> {
    let run = run.to_string();
    all.iter().filter(move |c| c.run.as_deref() == Some(&run))
}

fn is_role(container: &ContainerInfo, role: Role) -> bool {
    container.role.as_deref() == Some(role.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_into_or_out_of_has_longer() {
        let of = |role: Role, never_started| {
            reserve(&ContainerInfo {
                role: Some(role.as_str().to_owned()),
                never_started,
                ..ContainerInfo::default()
            })
        };
        assert_eq!(of(Role::Emulator, true), Some(BEING_COPIED));
        assert_eq!(of(Role::Emulator, false), None);
        assert_eq!(of(Role::Builder, false), Some(BEING_COPIED));
        assert_eq!(of(Role::Builder, true), Some(ABOUT_TO_START));
        assert_eq!(of(Role::Probe, false), Some(ABOUT_TO_START));
        assert_eq!(of(Role::Registrar, true), Some(ABOUT_TO_START));
        assert_eq!(of(Role::Registrar, false), None);
    }
}
