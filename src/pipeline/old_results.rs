//! What `clean --old` removes of a store volume: results that newer ones of the same configuration replaced, and
//! what only they need.

use std::collections::BTreeSet;

use crate::nixos::builder::{BuilderImage, Collected, Collector, CollectorTask, has_builder};
use crate::pipeline::clients;
use crate::pipeline::inventory::{ContainerSizes, Inventory};
use crate::pipeline::request::Common;
use crate::pipeline::steps::container_images::ensure;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::Failure;
use sdbuild_engine::RunId;
use sdbuild_engine::oci::Definition;

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
        let image = builder_image(&inventory, settings, context).await?;
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
        engine: &inventory.engine,
        run: &inventory.own,
        image,
        store,
    }
}

async fn builder_image(
    inventory: &Inventory,
    settings: &Common,
    context: &Context,
) -> Result<BuilderImage, Failure> {
    let engine = &inventory.engine;
    let architecture = engine.facts().architecture.supported()?;
    let definition = Definition::builder(architecture, settings.locks.as_deref())?;
    let fetcher = clients::fetcher(settings, &context.events)?;
    ensure(engine, &fetcher, &settings.mirrors, &[&definition], context).await?;
    Ok(BuilderImage::ours(definition.reference()))
}

fn in_use(store: &str) -> String {
    format!(
        "a run uses the store volume {store}, so nothing is removed from it. Run the command again when that run has ended"
    )
}
