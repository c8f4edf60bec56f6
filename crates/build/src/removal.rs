//! What `clean` removes: everything of ours that no live run uses, or parts of it, item by item, until it is interrupted.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::builder::{BuilderImage, Collected, Collector, CollectorTask, Containers, has_builder};
use crate::clients;
use crate::container_images::provide_ours;
use crate::inventory::{ContainerSizes, EngineObjects, Inventory, SizedVolume};
use crate::ledger::FileRemoval;
use crate::request::Common;
use crate::sweep::{StaleObjects, image_name};
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_core::shell_word::quoted;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::binfmt::{Registrar, RegistrarImage, RegistrarOptions};
use sdbuild_engine::oci::Definition;
use sdbuild_engine::{EngineError, ImageInfo, RunId, VolumeInfo};

/// A store of some hundred thousand files on a slow disk takes its time.
const REMOVE_TIMEOUT: Duration = Duration::from_mins(30);

/// Which of our objects a plan is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalScope {
    /// All of them.
    All,
    /// All but the store volumes that the settings do not name.
    WithoutOtherStores,
    /// The store volume of the settings, and nothing else.
    StoreAlone,
}

/// What can be removed. Planning removes nothing.
#[derive(Debug)]
pub struct Removal {
    inventory: Inventory,
    /// `None` when files are not part of it.
    files: Option<FileRemoval>,
    /// Live runs on this engine, and of this user on others.
    live: BTreeSet<RunId>,
    /// The store volume of the settings.
    store: String,
    other_stores: Vec<String>,
}

/// What a removal has done.
#[derive(Debug)]
pub struct Removed {
    /// What could not be removed.
    pub leftovers: Vec<Leftover>,
    /// Whether a run began meanwhile, so that what all runs share was kept.
    pub run_has_begun: bool,
}

impl Removal {
    /// Lists the engine's objects, the kernel's handlers and our directories, as far as `scope` goes. Usage errors when it is
    /// a store alone: there is no such volume, or a container uses it. Unfinished files are looked for in `outputs`.
    pub async fn plan(
        settings: &Common,
        scope: RemovalScope,
        outputs: &[PathBuf],
        context: &Context,
    ) -> Result<Self, Failure> {
        let cancel = &context.cancel;
        let engine = clients::connect(settings, cancel).await?;
        let list = async {
            let list = Inventory::list(engine, settings, ContainerSizes::Skipped);
            let mut inventory = cancel.race(list).await??;
            inventory.look(context).await?;
            let other_stores = restrict(&mut inventory.objects, scope, &settings.store)?;
            if inventory.registrar_image().is_some() {
                let sizes = inventory.volume_sizes(context);
                let volumes = inventory.locked(Box::pin(sizes)).await?;
                inventory.objects.volumes = volumes;
            }
            Ok((inventory, other_stores))
        };
        let (mut inventory, other_stores) = context.phase(Phase::Measure, Box::pin(list)).await?;
        let live_on_engine = inventory.objects.stale.live_runs.clone();
        let (files, live) = if scope == RemovalScope::StoreAlone {
            // One of them was needed to measure the volume.
            inventory.objects.images.clear();
            (None, live_on_engine)
        } else {
            let files = FileRemoval::beside(settings, outputs, live_on_engine)?;
            let live = files.live().clone();
            (Some(files), live)
        };
        Ok(Self {
            inventory,
            files,
            live,
            store: settings.store.clone(),
            other_stores,
        })
    }

    /// The store volumes that are kept because the settings do not name them.
    pub fn other_stores(&self) -> &[String] {
        &self.other_stores
    }

    /// Live runs on this engine, and of this user on others: what they use, or may be about to use, is not removed.
    pub fn live(&self) -> &BTreeSet<RunId> {
        &self.live
    }

    fn live_on_engine(&self) -> &BTreeSet<RunId> {
        &self.inventory.objects.stale.live_runs
    }

    /// Everything that [`Removal::carry_out`] removes, in its order.
    pub fn items(&self) -> Vec<Item> {
        let item = |kind, name: String, size| Item { kind, name, size };
        let stale = &self.inventory.objects.stale;
        let containers = stale.containers.iter();
        let mut items: Vec<Item> = containers
            .map(|container| item("container", container.name.clone(), None))
            .collect();
        for (_, entry) in &stale.handlers {
            items.push(item("binfmt_misc entry", entry.name.clone(), None));
        }
        for SizedVolume { volume, size } in self.free_volumes() {
            let name = match self.files {
                Some(_) => described(&volume.name, &self.store),
                // It is the only one, which the user has named.
                None => volume.name.clone(),
            };
            items.push(item("volume", name, *size));
        }
        for image in self.free_images() {
            items.push(item("image", image_name(image), Some(image.size)));
        }
        items.extend(self.files.iter().flat_map(FileRemoval::items));
        items
    }

    /// Removes every item. An interruption ends it between two items. As soon as a run has begun since the plan, what it may need is kept: the user may have taken their time to
    /// answer, and volumes take theirs to remove.
    pub async fn carry_out(
        &self,
        settings: &Common,
        context: &Context,
    ) -> Result<Removed, Failure> {
        let Inventory { run_locks, own, .. } = &self.inventory;
        // Held while a registrar may exist.
        let run_lock = run_locks.acquire(own)?;
        let removed = self.remove_all(settings, context).await;
        match &removed {
            // Without a holder, so that the next run looks for what is left.
            Ok(removed) if !removed.leftovers.is_empty() => drop(run_lock),
            removed => run_lock.end(removed),
        }
        removed
    }

    async fn remove_all(&self, settings: &Common, context: &Context) -> Result<Removed, Failure> {
        let mut leftovers = self.sweep(settings, context).await?;
        let shared = self.remove_shared(&mut leftovers, context).await;
        match shared {
            Ok(_) if context.cancel.is_cancelled() => {
                Err(Failure::interrupted().with_teardown(leftovers))
            }
            Ok(run_has_begun) => Ok(Removed {
                leftovers,
                run_has_begun,
            }),
            Err(failure) => Err(failure.with_teardown(leftovers)),
        }
    }

    /// Removes what all runs share, until a run begins; whether one has.
    async fn remove_shared(
        &self,
        leftovers: &mut Vec<Leftover>,
        context: &Context,
    ) -> Result<bool, Failure> {
        let engine = &self.inventory.engine;
        for SizedVolume { volume, .. } in self.free_volumes() {
            if self.a_run_has_begun(context).await? {
                return Ok(true);
            }
            let text = format!(
                "removing the volume {}, which may take minutes",
                volume.name
            );
            context.events.notice(text);
            let remove = engine.remove_volume(&volume.name);
            leftovers.extend(self.one("volume", &volume.name, remove, context).await?);
        }
        for image in self.free_images() {
            if self.a_run_has_begun(context).await? {
                return Ok(true);
            }
            let remove = engine.remove_image(&image.id);
            let name = image_name(image);
            leftovers.extend(self.one("image", &name, remove, context).await?);
        }
        let Some(files) = &self.files else {
            return Ok(false);
        };
        let run_has_begun = self.a_run_has_begun(context).await?;
        if !run_has_begun {
            leftovers.extend(files.carry_out());
        }
        Ok(run_has_begun)
    }

    /// Whether runs have begun since the plan, which it reports.
    async fn a_run_has_begun(&self, context: &Context) -> Result<bool, Failure> {
        let begun = self.inventory.begun_since(self.live_on_engine());
        let begun = context.cancel.race(begun).await??;
        if begun.is_empty() {
            return Ok(false);
        }
        let names: Vec<String> = begun.iter().map(RunId::to_string).collect();
        let names = names.join(", ");
        context.events.notice(match begun.len() {
            1 => format!("run {names} has started meanwhile, so what it may need is kept"),
            _ => format!("runs {names} have started meanwhile, so what they may need is kept"),
        });
        Ok(true)
    }

    /// Volumes that no container uses, other than those that are removed too.
    fn free_volumes(&self) -> impl Iterator<Item = &SizedVolume> {
        let stale = &self.inventory.objects.stale;
        let volumes = self.inventory.objects.volumes.iter();
        volumes.filter(|sized| is_free(&sized.volume, stale))
    }

    /// Names of the volumes that are kept because a run uses them.
    pub fn used_volumes(&self) -> impl Iterator<Item = &str> {
        let stale = &self.inventory.objects.stale;
        let volumes = self.inventory.objects.volumes.iter();
        let used = volumes.filter(|sized| !is_free(&sized.volume, stale));
        used.map(|sized| sized.volume.name.as_str())
    }

    /// A live run may be about to use any image.
    fn free_images(&self) -> impl Iterator<Item = &ImageInfo> {
        let images = self.inventory.objects.images.iter();
        images.filter(|_| self.live_on_engine().is_empty())
    }

    async fn one(
        &self,
        kind: &str,
        name: &str,
        remove: impl Future<Output = Result<(), EngineError>>,
        context: &Context,
    ) -> Result<Option<Leftover>, Failure> {
        let removed = context.cancel.race(timeout(REMOVE_TIMEOUT, remove)).await?;
        let why = match removed {
            Some(Ok(())) => return Ok(None),
            Some(Err(error)) => error.to_string(),
            None => format!(
                "the engine did not finish within {} min",
                REMOVE_TIMEOUT.as_secs() / 60
            ),
        };
        let client = self.inventory.engine.address().client();
        Ok(Some(Leftover {
            what: format!("{kind} {name}"),
            why,
            remedy: format!("{client} {kind} rm {}", quoted(name)),
        }))
    }

    /// Removes containers, images and handlers of stale runs; a registrar is started only when there is a handler.
    async fn sweep(&self, settings: &Common, context: &Context) -> Result<Vec<Leftover>, Failure> {
        let stale = &self.inventory.objects.stale;
        let mut registrar = if stale.handlers.is_empty() {
            None
        } else {
            self.registrar(settings, context).await?
        };
        let sweep = self.inventory.sweep();
        let swept = context.cancel.race(sweep.remove(stale, registrar.as_mut()));
        let swept = swept.await;
        let mut leftovers = match registrar {
            Some(registrar) => registrar.release(&context.cancel).await,
            None => Vec::new(),
        };
        match swept {
            Ok(swept) => leftovers.extend(swept.leftovers),
            Err(interrupted) => return Err(interrupted.with_teardown(leftovers)),
        }
        Ok(leftovers)
    }

    /// `None` when the table is not mounted any more: its entries are gone as well.
    async fn registrar(
        &self,
        settings: &Common,
        context: &Context,
    ) -> Result<Option<Registrar>, Failure> {
        let Inventory { engine, own, .. } = &self.inventory;
        let architecture = engine.facts().architecture.supported()?;
        let reference = if let Some(image) = self.inventory.registrar_image() {
            image.id.clone()
        } else {
            provide_ours(engine, settings, Definition::registrar, context).await?
        };
        let image = RegistrarImage::new(reference, architecture);
        let options = RegistrarOptions::new(engine, &image, own);
        Registrar::look(options, &context.cancel, &context.events).await
    }
}

/// Whether only containers of stale runs use the volume.
fn is_free(volume: &VolumeInfo, stale: &StaleObjects) -> bool {
    let is_stale = |user: &String| stale.containers.iter().any(|stale| stale.name == *user);
    volume.users.iter().all(is_stale)
}

/// The volume `name`, and whether it is the `current` one, which builds take.
fn described(name: &str, current: &str) -> String {
    if name == current {
        format!("{name}, the current store")
    } else {
        format!("{name}, not the current store")
    }
}

/// Leaves in `objects` what belongs to `scope`, where `store` is the volume of the settings. Returns the store volumes that are
/// left out.
fn restrict(
    objects: &mut EngineObjects,
    scope: RemovalScope,
    store: &str,
) -> Result<Vec<String>, Failure> {
    match scope {
        RemovalScope::All => Ok(Vec::new()),
        RemovalScope::WithoutOtherStores => {
            let others = objects
                .volumes
                .extract_if(.., |sized| sized.volume.name != store);
            Ok(others.map(|sized| sized.volume.name).collect())
        }
        RemovalScope::StoreAlone => restrict_to(objects, store).map(|()| Vec::new()),
    }
}

/// Leaves the volume `store` in `objects`, and the containers of stale runs that use it.
fn restrict_to(objects: &mut EngineObjects, store: &str) -> Result<(), Failure> {
    objects.volumes.retain(|sized| sized.volume.name == store);
    let Some(SizedVolume { volume, .. }) = objects.volumes.first() else {
        let text = format!("there is no store volume {store}");
        return Err(Failure::usage(text).hint("`sdbuild status` lists them"));
    };
    if !is_free(volume, &objects.stale) {
        let users = volume.users.join(", ");
        let text = format!("the store volume {store} is used by the container {users}");
        return Err(Failure::usage(text).hint(
            "wait for the build or stop it; `sdbuild status` lists the runs. Remove another user's container with `docker \
             rm`",
        ));
    }
    let users = &volume.users;
    let stale = &mut objects.stale;
    stale.narrow(|container| users.contains(&container.name));
    Ok(())
}

/// Something that can be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `machine`, `upload`, `handler`, `container`, `volume`, `image`, `results`, `downloads`, `logs` or `leftover`.
    pub kind: &'static str,
    /// Its name or directory.
    pub name: String,
    /// Bytes, where they are known.
    pub size: Option<u64>,
}

/// The old results on one store volume. Planning removes nothing.
#[derive(Debug)]
pub struct OldResults {
    inventory: Inventory,
    image: BuilderImage,
    store: String,
    keep: u32,
    found: Collected,
}

/// What there is to remove from a store volume.
#[derive(Debug)]
pub enum FoundOldResults {
    /// These, of which there may be none.
    Found(Box<OldResults>),
    /// A builder uses the volume, as a notice says.
    InUse,
    /// There is no such volume.
    NoVolume,
}

impl OldResults {
    /// How many results of each configuration are kept unless the user says so: what is before it was replaced by the user.
    pub const KEEP: u32 = 1;

    /// Finds what can be removed from the store volume of the settings when the newest `keep` results of each
    /// configuration are kept. Provides the builder's image if the engine lacks it.
    pub async fn plan(
        settings: &Common,
        keep: u32,
        context: &Context,
    ) -> Result<FoundOldResults, Failure> {
        let cancel = &context.cancel;
        let engine = clients::connect(settings, cancel).await?;
        let list = Inventory::list(engine, settings, ContainerSizes::Skipped);
        let inventory = cancel.race(list).await??;
        // At once, not after all that follows; the collector looks again.
        let stale = stale_runs(&inventory);
        let is_in_use = has_builder(&inventory.engine, &settings.store, &stale);
        if cancel.race(is_in_use).await?? {
            context.events.notice(in_use(&settings.store));
            return Ok(FoundOldResults::InUse);
        }
        let volumes = cancel.race(inventory.engine.our_volumes()).await??;
        if !volumes.iter().any(|volume| volume.name == settings.store) {
            return Ok(FoundOldResults::NoVolume);
        }
        let image = provide_ours(&inventory.engine, settings, Definition::builder, context).await?;
        let image = BuilderImage::ours(image);
        let store = &settings.store;
        let text = format!("looking for old results in the volume {store}, which may take minutes");
        context.events.notice(text);
        let find = forecast(&inventory, &image, store, keep, context);
        let find = inventory.locked(Box::pin(find));
        let found = context.phase(Phase::Measure, Box::pin(find)).await?;
        let Some(found) = found else {
            context.events.notice(in_use(&settings.store));
            return Ok(FoundOldResults::InUse);
        };
        Ok(FoundOldResults::Found(Box::new(Self {
            inventory,
            image,
            store: settings.store.clone(),
            keep,
            found,
        })))
    }

    /// Name of the volume.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// What was found.
    pub fn found(&self) -> Collected {
        self.found
    }

    /// Removes it; returns how many bytes are left on the volume, or `None`, with a notice, if a builder uses it by now.
    pub async fn carry_out(&self, context: &Context) -> Result<Option<u64>, Failure> {
        let text = format!(
            "removing old results from the volume {}, which may take minutes",
            self.store
        );
        context.events.notice(text);
        let stale = &self.inventory.objects.stale;
        let sweep = self.inventory.sweep();
        let collected = async {
            // A builder of a run that is gone would count as one that uses the volume.
            let swept = context.cancel.race(sweep.remove(stale, None)).await?;
            let collector = collector(&self.inventory, &self.image, &self.store);
            let task = CollectorTask::Remove;
            let none = BTreeSet::new();
            let collect = collector.run(task, self.keep, &none, &context.cancel);
            match Box::pin(collect).await {
                Ok(collected) if swept.leftovers.is_empty() => Ok(collected),
                Ok(_) => Err(Failure::environment(
                    "sdbuild could not remove everything that killed runs left",
                )
                .with_teardown(swept.leftovers)),
                Err(failure) => Err(failure.with_teardown(swept.leftovers)),
            }
        };
        let collected = self.inventory.locked(collected).await?;
        if collected.is_none() {
            context.events.notice(in_use(&self.store));
        }
        Ok(collected.map(|collected| collected.total))
    }
}

/// What could be removed from `store`, which exists, without the newest `keep` results of each configuration. `None` while
/// a live builder uses the volume. To be called with the run's lock.
pub(super) async fn forecast(
    inventory: &Inventory,
    image: &BuilderImage,
    store: &str,
    keep: u32,
    context: &Context,
) -> Result<Option<Collected>, Failure> {
    let stale = stale_runs(inventory);
    let collector = collector(inventory, image, store);
    collector
        .run(CollectorTask::Forecast, keep, &stale, &context.cancel)
        .await
}

/// Runs whose containers are left.
fn stale_runs(inventory: &Inventory) -> BTreeSet<RunId> {
    let containers = inventory.objects.stale.containers.iter();
    containers.map(|container| container.run.clone()).collect()
}

fn collector<'a>(
    inventory: &'a Inventory,
    image: &'a BuilderImage,
    store: &'a str,
) -> Collector<'a> {
    Collector {
        containers: Containers {
            engine: &inventory.engine,
            run: &inventory.own,
            image,
        },
        store,
    }
}

fn in_use(store: &str) -> String {
    format!(
        "a run uses the store volume {store}, so nothing is removed from it. Run the command again when that run has ended"
    )
}

#[cfg(test)]
mod tests;
