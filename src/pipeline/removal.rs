//! What `clean` removes: everything of ours that no live run uses, item by item, until it is interrupted.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::binfmt::{Registrar, RegistrarImage, RegistrarOptions};
use crate::common::context::Context;
use crate::common::event::Phase;
use crate::common::failure::{Failure, Leftover};
use crate::common::shell_word::quoted;
use crate::common::timeout::timeout;
use crate::engine::{EngineError, ImageInfo, RunId, VolumeInfo};
use crate::oci::Definition;
use crate::pipeline::binfmt_table::TableFallback;
use crate::pipeline::clients;
use crate::pipeline::file_removal::{FileRemoval, Item};
use crate::pipeline::inventory::{
    ContainerSizes, EngineObjects, Inventory, SizedVolume, image_name,
};
use crate::pipeline::steps::container_images::ensure;
use crate::pipeline::sweep::StaleObjects;
use crate::settings::Common;

/// A store of some hundred thousand files on a slow disk takes its time.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(1800);

/// What can be removed. Planning removes nothing.
#[derive(Debug)]
pub struct Removal {
    inventory: Inventory,
    files: FileRemoval,
    /// The store volume of the settings.
    store: String,
}

impl Removal {
    /// Lists the engine's objects, the kernel's handlers and our directories.
    pub async fn plan(settings: &Common, context: &Context) -> Result<Self, Failure> {
        Self::plan_part(settings, Ok, context).await
    }

    /// Lists the store volume `store`, and nothing else. Usage errors: it does not exist, or a run uses it.
    pub async fn plan_store(
        settings: &Common,
        store: &str,
        context: &Context,
    ) -> Result<Self, Failure> {
        let only_store = |objects| store_alone(objects, store);
        let mut plan = Self::plan_part(settings, only_store, context).await?;
        // The volume was measured with one of them.
        plan.inventory.objects.images.clear();
        plan.files = plan.files.without_logs().without_downloads();
        Ok(plan)
    }

    /// Lists the engine's objects of which `part` leaves those that are removed.
    async fn plan_part(
        settings: &Common,
        part: impl FnOnce(EngineObjects) -> Result<EngineObjects, Failure>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let cancel = &context.cancel;
        let engine = clients::connect(settings, cancel).await?;
        let measure = async {
            let list = Inventory::list(engine, settings, ContainerSizes::Skipped);
            let mut inventory = cancel.race(list).await??;
            inventory.look(TableFallback::ThisMachine, context).await?;
            inventory.objects = part(inventory.objects)?;
            if inventory.registrar_image().is_some() {
                let sizes = inventory.volume_sizes(context);
                let volumes = inventory.locked(Box::pin(sizes)).await?;
                inventory.objects.volumes = volumes;
            }
            Ok(inventory)
        };
        let inventory = context.phase(Phase::Measure, Box::pin(measure)).await?;
        let live_on_engine = inventory.objects.stale.live_runs.clone();
        Ok(Self {
            inventory,
            files: FileRemoval::beside(settings, live_on_engine)?,
            store: settings.store.clone(),
        })
    }

    /// Live runs on this engine, and of this user on others: what they use, or may be about to use, is not removed.
    pub fn live(&self) -> &BTreeSet<RunId> {
        self.files.live()
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
            items.push(item("handler", entry.name.clone(), None));
        }
        for SizedVolume { volume, size } in self.free_volumes() {
            items.push(item("volume", described(&volume.name, &self.store), *size));
        }
        for image in self.free_images() {
            items.push(item("image", image_name(image), Some(image.size)));
        }
        items.extend(self.files.items());
        items
    }

    /// Removes every item and returns what could not be removed. An interruption ends it between two
    /// items. As soon as a run has begun since the plan, what it may need is kept: the user may have taken their time to
    /// answer, and volumes take theirs to remove.
    pub async fn carry_out(
        &self,
        settings: &Common,
        context: &Context,
    ) -> Result<Vec<Leftover>, Failure> {
        let Inventory { run_locks, own, .. } = &self.inventory;
        // Held while a registrar may exist.
        let run_lock = run_locks.acquire(own)?;
        let removed = self.remove_all(settings, context).await;
        match &removed {
            // Without a holder, so that the next run looks for what is left.
            Ok(leftovers) if !leftovers.is_empty() => drop(run_lock),
            removed => run_lock.end(removed),
        }
        removed
    }

    async fn remove_all(
        &self,
        settings: &Common,
        context: &Context,
    ) -> Result<Vec<Leftover>, Failure> {
        let mut leftovers = self.sweep(settings, context).await?;
        let shared = self.remove_shared(&mut leftovers, context).await;
        match shared {
            Ok(()) if context.cancel.is_cancelled() => {
                Err(Failure::interrupted().with_teardown(leftovers))
            }
            Ok(()) => Ok(leftovers),
            Err(failure) => Err(failure.with_teardown(leftovers)),
        }
    }

    /// Removes what all runs share, until a run begins.
    async fn remove_shared(
        &self,
        leftovers: &mut Vec<Leftover>,
        context: &Context,
    ) -> Result<(), Failure> {
        let engine = &self.inventory.engine;
        for SizedVolume { volume, .. } in self.free_volumes() {
            if self.a_run_has_begun(context).await? {
                return Ok(());
            }
            let remove = engine.remove_volume(&volume.name);
            leftovers.extend(self.one("volume", &volume.name, remove, context).await?);
        }
        for image in self.free_images() {
            if self.a_run_has_begun(context).await? {
                return Ok(());
            }
            let remove = engine.remove_image(&image.id);
            let name = image_name(image);
            leftovers.extend(self.one("image", &name, remove, context).await?);
        }
        if !context.cancel.is_cancelled() && !self.a_run_has_begun(context).await? {
            leftovers.extend(self.files.carry_out());
        }
        Ok(())
    }

    /// Whether a run has begun since the plan, which it reports.
    async fn a_run_has_begun(&self, context: &Context) -> Result<bool, Failure> {
        let begun = self.inventory.begun_since(self.live_on_engine());
        let begun = context.cancel.race(begun).await??;
        for run in &begun {
            let text = "has begun meanwhile: what it may need is kept";
            context.events.notice(format!("run {run} {text}"));
        }
        Ok(!begun.is_empty())
    }

    /// Volumes that no container uses, other than those that are removed too.
    fn free_volumes(&self) -> impl Iterator<Item = &SizedVolume> {
        let stale = &self.inventory.objects.stale;
        let volumes = self.inventory.objects.volumes.iter();
        volumes.filter(|sized| is_free(&sized.volume, stale))
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

    /// Removes containers and handlers of stale runs; a registrar is started only when there is a handler.
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
        let reference = if let Some(image) = self.inventory.registrar_image() {
            image.id.clone()
        } else {
            let fetcher = clients::fetcher(settings, &context.events)?;
            let architecture = engine.facts().architecture.supported()?;
            let definition = Definition::registrar(architecture, settings.locks.as_deref())?;
            ensure(engine, &fetcher, &settings.mirrors, &[&definition], context).await?;
            definition.reference()
        };
        let image = RegistrarImage { reference };
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

/// Of `objects`, the volume `store` and the containers of stale runs that use it.
fn store_alone(mut objects: EngineObjects, store: &str) -> Result<EngineObjects, Failure> {
    objects.volumes.retain(|sized| sized.volume.name == store);
    let Some(SizedVolume { volume, .. }) = objects.volumes.first() else {
        let text = format!("there is no store volume {store}");
        return Err(Failure::usage(text).hint("`sdbuild status` lists them"));
    };
    if !is_free(volume, &objects.stale) {
        return Err(
            Failure::usage(format!("a run uses the store volume {store}"))
                .hint("`sdbuild status` lists the runs; wait for its end, or end it"),
        );
    }
    let users = &volume.users;
    let containers = &mut objects.stale.containers;
    containers.retain(|container| users.contains(&container.name));
    objects.stale.handlers.clear();
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str, users: &[&str]) -> SizedVolume {
        let volume = VolumeInfo {
            name: name.to_owned(),
            users: users.iter().map(|&user| user.to_owned()).collect(),
            created: None,
        };
        SizedVolume { volume, size: None }
    }

    #[test]
    fn the_current_store_is_told_from_others() {
        let current = "sdbuild-store";
        assert_eq!(
            described(current, current),
            "sdbuild-store, the current store"
        );
        let other = described("sdbuild-store-b", current);
        assert_eq!(other, "sdbuild-store-b, not the current store");
    }

    #[test]
    fn one_store_is_removed_alone_and_only_if_no_run_uses_it() {
        let objects = || EngineObjects {
            volumes: vec![
                volume("sdbuild-store", &[]),
                volume("sdbuild-store-b", &["b"]),
            ],
            ..EngineObjects::default()
        };
        let alone = store_alone(objects(), "sdbuild-store").unwrap();
        assert_eq!(alone.volumes.len(), 1);
        let refused = |store| store_alone(objects(), store).unwrap_err().to_string();
        assert!(refused("sdbuild-store-b").contains("a run uses"));
        assert!(refused("sdbuild-store-c").contains("there is no store"));
    }
}
