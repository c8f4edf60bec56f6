//! What stale runs left on an engine: their containers and their handlers. Found by label and prefix, removed
//! when no live run needs it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::inventory;
use crate::run_lock::{RunLocks, RunState};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_engine::binfmt::{Entry, HandlerName, Owner, Registrar, classify};
use sdbuild_engine::{ContainerInfo, Engine, ImageInfo, Role, RunId};

/// How long a run of another user or machine may need a container that does not run: it uploads to one that it has not
/// started, or reads its image out of a builder that ended. Gigabytes over a slow network take hours.
const SWEEP_GRACE: Duration = Duration::from_hours(24);
/// How long a run of another user or machine may take to read how its container ended.
const ENDED_GRACE: Duration = Duration::from_mins(1);
/// Seconds that the registrar of a stale run has to remove its handler when it is stopped.
const STOP_SECONDS: u32 = 5;

/// What other runs have on an engine.
#[derive(Clone, Debug, Default)]
pub(super) struct StaleObjects {
    /// Containers of stale runs.
    pub(super) containers: Vec<ContainerInfo>,
    /// Handlers of stale runs that an engine like this one can remove.
    pub(super) handlers: Vec<(HandlerName, Entry)>,
    /// Live runs, without the own one.
    pub(super) live_runs: BTreeSet<RunId>,
    /// Runs of this user on this engine whose processes are gone.
    pub(super) stale_runs: BTreeSet<RunId>,
}

impl StaleObjects {
    /// Leaves only the containers that `keeps` wants, and no handlers. The runs are then not forgotten: something of
    /// theirs may be left.
    pub(super) fn narrow(&mut self, keeps: impl FnMut(&ContainerInfo) -> bool) {
        let mut containers = std::mem::take(&mut self.containers);
        containers.retain(keeps);
        *self = Self {
            containers,
            live_runs: std::mem::take(&mut self.live_runs),
            ..Self::default()
        };
    }
}

/// What a sweep did.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// What was removed, for instance `container sdbuild-builder-0123456789ab`.
    pub(super) removed: Vec<String>,
    /// What could not be removed.
    pub(super) leftovers: Vec<Leftover>,
}

/// Finds and removes what stale runs left on an engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep<'a> {
    /// The engine whose containers are listed.
    pub(super) engine: &'a Engine,
    /// The locks of this user's runs on that engine.
    pub(super) run_locks: &'a RunLocks,
    /// The own run, whose objects are never stale.
    pub(super) own: &'a RunId,
}

impl Sweep<'_> {
    /// Lists the engine's containers and finds what stale runs left.
    pub(super) async fn find(&self, entries: &[Entry]) -> Result<StaleObjects, Failure> {
        let stale_runs = self.run_locks.runs(RunState::Stale);
        let containers = self.engine.our_containers().await?;
        self.judge(stale_runs, entries, &containers).await
    }

    /// Finds what stale runs left among `containers` and `entries`, the kernel's handlers. `stale_runs` and
    /// `entries` were read before `containers`: a run that began in between has a running container in
    /// that list.
    pub(super) async fn judge(
        &self,
        stale_runs: BTreeSet<RunId>,
        entries: &[Entry],
        containers: &[ContainerInfo],
    ) -> Result<StaleObjects, Failure> {
        let mut found = StaleObjects {
            live_runs: self.run_locks.runs(RunState::Live),
            stale_runs,
            ..StaleObjects::default()
        };
        found.live_runs.remove(self.own);
        for container in containers {
            if container.run == *self.own {
                continue;
            }
            if self.is_stale(container, containers).await? {
                found.containers.push(container.clone());
            } else {
                found.live_runs.insert(container.run.clone());
            }
        }
        // A rootless engine never registered a handler, and cannot remove those of another engine.
        if !self.engine.facts().rootless {
            found.handlers = self.abandoned(entries, containers);
        }
        Ok(found)
    }

    fn abandoned(
        &self,
        entries: &[Entry],
        containers: &[ContainerInfo],
    ) -> Vec<(HandlerName, Entry)> {
        let abandoned = |entry: &Entry| {
            let Owner::Ours(name) = classify(entry) else {
                return None;
            };
            let run = name.run();
            let is_abandoned = run != self.own && self.is_abandoned(run, entry, containers);
            is_abandoned.then(|| (name, entry.clone()))
        };
        entries.iter().filter_map(abandoned).collect()
    }

    /// Finds and removes what stale runs left, and reports it. What cannot be removed is a warning: the
    /// own run can go on. Handlers are looked at only with a `registrar`.
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
        let found = cancel.race(self.find(&entries)).await??;
        let swept = cancel.race(self.remove(&found, registrar)).await?;
        for object in swept.removed {
            events.notice(format!("removed {object}, which a stale run left"));
        }
        for Leftover { what, why, remedy } in &swept.leftovers {
            events.warn(format!(
                "a stale run left {what}, which cannot be removed: {why} ({remedy})"
            ));
        }
        Ok(())
    }

    /// Removes what was found, and forgets the stale runs when nothing of theirs is left. Containers go
    /// first: a running registrar would register its handler again.
    pub(super) async fn remove(
        &self,
        found: &StaleObjects,
        registrar: Option<&mut Registrar>,
    ) -> Swept {
        let mut swept = Swept::default();
        for container in &found.containers {
            let object = format!("container {}", container.name);
            match self.remove_container(container).await {
                Ok(()) => swept.removed.push(object),
                Err(error) => swept.leftovers.push(Leftover {
                    what: object,
                    why: error.to_string(),
                    // Its run may have another one of that name by now.
                    remedy: self.engine.address().removal(&container.id),
                }),
            }
        }
        let Some(registrar) = registrar else {
            if swept.leftovers.is_empty() {
                self.forget_without_handler(&found.stale_runs);
            }
            return swept;
        };
        for (name, entry) in &found.handlers {
            let object = format!("binfmt_misc entry {}", entry.name);
            match registrar.remove(entry).await {
                Ok(()) => swept.removed.push(object),
                Err(error) => swept.leftovers.push(Leftover {
                    what: object,
                    why: error.to_string(),
                    remedy: name.remedy(&self.engine.address()),
                }),
            }
        }
        if swept.leftovers.is_empty() {
            self.run_locks.forget(&found.stale_runs);
        }
        swept
    }

    /// Without a registrar, handlers of `stale` runs are visible only where the engine's kernel is this
    /// machine's; a run that may still have one is not forgotten.
    fn forget_without_handler(&self, stale: &BTreeSet<RunId>) {
        // An unmounted table may still be mounted for a registrar.
        let entries = inventory::visible_entries(self.engine);
        let Some(entries) = entries.filter(|_| inventory::is_mounted()) else {
            return;
        };
        let mut stale = stale.clone();
        for entry in &entries {
            if let Owner::Ours(name) = classify(entry) {
                stale.remove(name.run());
            }
        }
        self.run_locks.forget(&stale);
    }

    async fn remove_container(&self, container: &ContainerInfo) -> Result<(), Failure> {
        if container.running {
            // The removal kills a container that does not stop in time.
            let stopped = self.engine.stop_listed(container, STOP_SECONDS);
            stopped.await.ok();
        }
        Ok(self.engine.remove_listed(container).await?)
    }

    /// Whether no live run will remove the handler of `run`. A live run of another user may hold it through
    /// another engine on this kernel: the entry itself shows that.
    fn is_abandoned(&self, run: &RunId, entry: &Entry, containers: &[ContainerInfo]) -> bool {
        let holds = |c: &ContainerInfo| c.running && c.role == Role::Registrar;
        match self.run_locks.state(run) {
            RunState::Live => false,
            RunState::Stale => true,
            RunState::Unknown => !of(run, containers).any(holds) && !entry.is_kept(),
        }
    }

    /// Whether no live run needs `container`. Runs with a lock file here are known. Of any other run a running container is
    /// taken for a sign of life: ours outlive their client by minutes at most. One that does
    /// not run is judged by its age: it is stale only when the engine's clock and the clients' clocks both say that a day has passed (see [`ContainerInfo::age`]),
    /// or a minute if all that is left to read of it is how it ended, so that a single clock that is wrong or was set decides nothing.
    async fn is_stale(
        &self,
        container: &ContainerInfo,
        containers: &[ContainerInfo],
    ) -> Result<bool, Failure> {
        match self.run_locks.state(&container.run) {
            RunState::Live => return Ok(false),
            RunState::Stale => return Ok(true),
            RunState::Unknown => {}
        }
        if of(&container.run, containers).any(|container| container.running) {
            return Ok(false);
        }
        let grace = if may_be_needed(container) {
            SWEEP_GRACE
        } else {
            ENDED_GRACE
        };
        // Where its creator's clock is unknown, the engine's decides alone.
        if container.age.is_some_and(|age| age <= grace) {
            return Ok(false);
        }
        let idle = self.engine.container_idle(container).await?;
        Ok(idle.is_some_and(|idle| idle > grace))
    }
}

/// Whether a live run of another user may need `container`, which does not run, for long: to start it, to read the image of a
/// build, or to copy its emulator out of a probe.
fn may_be_needed(container: &ContainerInfo) -> bool {
    container.never_started || matches!(container.role, Role::Builder | Role::Probe)
}

/// The first tag of an image, or its id.
pub(super) fn image_name(image: &ImageInfo) -> String {
    image.tags.first().unwrap_or(&image.id).clone()
}

fn of<'a>(run: &RunId, all: &'a [ContainerInfo]) -> impl Iterator<Item = &'a ContainerInfo> {
    all.iter().filter(move |c| c.run == *run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_that_a_run_may_still_use_are_kept() {
        let needed = |role: Role, never_started| {
            let run = "0123456789ab".parse().unwrap();
            may_be_needed(&ContainerInfo {
                never_started,
                ..ContainerInfo::of(role, &run)
            })
        };
        assert!(needed(Role::Emulator, true) && needed(Role::Registrar, true));
        assert!(needed(Role::Builder, true) && needed(Role::Builder, false));
        assert!(needed(Role::Probe, false));
        assert!(!needed(Role::Emulator, false) && !needed(Role::Registrar, false));
    }
}
