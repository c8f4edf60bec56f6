//! What sdbuild has on an engine and in this user's directories. `status`, `clean` and `doctor` ask this file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::pipeline::binfmt_table::TableFallback;
use crate::pipeline::request::Common;
use crate::pipeline::run_lock::{KnownRun, RunLocks, RunState};
use crate::pipeline::sweep::{StaleObjects, Sweep};
use crate::pipeline::{binfmt_table, logs};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::system::Architecture;
use sdbuild_engine::artifact::Cache;
use sdbuild_engine::binfmt::Entry;
use sdbuild_engine::oci::Definition;
use sdbuild_engine::{ContainerInfo, Engine, ImageInfo, RunId, VolumeInfo};

/// The labels by which a container image of ours is recognised.
type ImageLabels = [(&'static str, String); 2];

/// A volume and the bytes in it, where they were counted.
#[derive(Clone, Debug)]
pub(super) struct SizedVolume {
    pub(super) volume: VolumeInfo,
    pub(super) size: Option<u64>,
}

/// Everything on one engine that has our labels, and everything in its kernel's table of handlers.
#[derive(Debug, Default)]
pub(super) struct EngineObjects {
    /// All handlers, also those of others; `None` when the table is not visible.
    pub(super) entries: Option<Vec<Entry>>,
    /// Our containers, running or not.
    pub(super) containers: Vec<ContainerInfo>,
    /// Our container images.
    pub(super) images: Vec<ImageInfo>,
    /// Our volumes; empty before [`Inventory::look`].
    pub(super) volumes: Vec<SizedVolume>,
    /// Which of these belong to stale runs.
    pub(super) stale: StaleObjects,
}

/// Whether the sizes of containers are wanted, which engines take their time to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContainerSizes {
    Counted,
    Skipped,
}

/// An engine and our objects on it.
#[derive(Debug)]
pub(super) struct Inventory {
    /// The engine.
    pub(super) engine: Engine,
    /// The locks of this user's runs on it.
    pub(super) run_locks: RunLocks,
    /// The run that the containers of this inventory belong to.
    pub(super) own: RunId,
    /// The labels of the registrar's image of this version; an older one has other programs.
    registrar_labels: Option<ImageLabels>,
    /// The labels of the builder's image of this version.
    builder_labels: Option<ImageLabels>,
    /// What was found.
    pub(super) objects: EngineObjects,
}

impl Inventory {
    /// Lists what is visible without starting a container.
    pub(super) async fn list(
        engine: Engine,
        settings: &Common,
        sizes: ContainerSizes,
    ) -> Result<Self, Failure> {
        let run_locks = RunLocks::new(&settings.state_dir, engine.endpoint());
        let mut inventory = Self {
            run_locks,
            own: RunId::random()?,
            registrar_labels: image_labels(&engine, settings, Definition::registrar),
            builder_labels: image_labels(&engine, settings, Definition::builder),
            objects: EngineObjects::default(),
            engine,
        };
        // Before live runs are looked at: an image that a new run loads meanwhile is not listed.
        let images = inventory.engine.our_images().await?;
        // In this order, see `Sweep::judge`.
        let stale_runs = inventory.run_locks.runs(RunState::Stale);
        let entries = binfmt_table::visible_entries(&inventory.engine);
        let containers = match sizes {
            ContainerSizes::Counted => inventory.engine.our_containers_with_size().await?,
            ContainerSizes::Skipped => inventory.engine.our_containers().await?,
        };
        // `look` judges again when it sees handlers that are not visible here; `entries` says that they are not.
        let visible = entries.as_deref().unwrap_or_default();
        let stale = inventory
            .sweep()
            .judge(stale_runs, visible, &containers)
            .await?;
        inventory.objects = EngineObjects {
            entries,
            containers,
            images,
            volumes: Vec::new(),
            stale,
        };
        Ok(inventory)
    }

    /// Adds the volumes, without their sizes, and the handlers when the table is not visible from here: a container shows
    /// them, if the engine has a registrar's image.
    pub(super) async fn look(
        &mut self,
        fallback: TableFallback,
        context: &Context,
    ) -> Result<(), Failure> {
        if self.objects.entries.is_none() {
            let image = self.registrar_image();
            let look = binfmt_table::entries(&self.engine, &self.own, image, fallback, context);
            let entries = match image {
                Some(_) => self.locked(look).await?,
                None => look.await?,
            };
            // None is stale as far as that is known: `entries` says that they are not visible.
            let found = entries.as_deref().unwrap_or_default();
            self.objects.stale = context.cancel.race(self.sweep().find(found)).await??;
            self.objects.entries = entries;
        }
        let volumes = context.cancel.race(self.engine.our_volumes()).await??;
        let unknown = |volume| SizedVolume { volume, size: None };
        self.objects.volumes = volumes.into_iter().map(unknown).collect();
        Ok(())
    }

    /// Does `work`, which creates containers of this inventory's run, with the lock of that run: killed, it counts as a stale
    /// run, and the next one removes them.
    pub(super) async fn locked<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let run_lock = self.run_locks.acquire(&self.own)?;
        let done = work.await;
        run_lock.end(&done);
        done
    }

    /// The registrar's image of this version, if the engine holds it.
    pub(super) fn registrar_image(&self) -> Option<&ImageInfo> {
        self.image_with(self.registrar_labels.as_ref())
    }

    /// The builder's image of this version, if the engine holds it.
    pub(super) fn builder_image(&self) -> Option<&ImageInfo> {
        self.image_with(self.builder_labels.as_ref())
    }

    fn image_with(&self, labels: Option<&ImageLabels>) -> Option<&ImageInfo> {
        let wanted = labels?;
        let has = |image: &&ImageInfo| {
            let label = |(key, value): &(&str, String)| image.labels.get(*key) == Some(value);
            wanted.iter().all(label)
        };
        self.objects.images.iter().find(has)
    }

    /// Other runs that began after `known` was listed, and have a lock or a container by now.
    pub(super) async fn begun_since(
        &self,
        known: &BTreeSet<RunId>,
    ) -> Result<BTreeSet<RunId>, Failure> {
        let now = self.sweep().find(&[]).await?.live_runs;
        Ok(now.difference(known).cloned().collect())
    }

    /// The sweep that removes what stale runs left here.
    pub(super) fn sweep(&self) -> Sweep<'_> {
        Sweep {
            engine: &self.engine,
            run_locks: &self.run_locks,
            own: &self.own,
        }
    }
}

/// What sdbuild keeps in this user's directories.
#[derive(Debug)]
pub(super) struct LocalFiles {
    /// The directory of downloads.
    pub(super) cache: PathBuf,
    /// Bytes of downloads.
    pub(super) cache_size: Result<u64, Failure>,
    /// The directory of build logs.
    pub(super) logs: PathBuf,
    /// Bytes of build logs, without those of the runs that were excluded.
    pub(super) logs_size: u64,
    /// All runs with a lock file, on any engine.
    pub(super) runs: Vec<KnownRun>,
}

impl LocalFiles {
    /// Measures them; the build logs of the runs in `excluded` are not counted.
    pub(super) fn measure(settings: &Common, excluded: &BTreeSet<RunId>) -> Self {
        let (logs, logs_size) = logs::usage(&settings.state_dir, excluded);
        Self {
            cache: settings.cache_dir.clone(),
            cache_size: Cache::usage(&settings.cache_dir)
                .or_environment("read the cache directory"),
            logs,
            logs_size,
            runs: RunLocks::all_engines(&settings.state_dir),
        }
    }
}

/// The labels of an image of ours for `engine`; `None` where no image supports its architecture.
fn image_labels(
    engine: &Engine,
    settings: &Common,
    define: fn(Architecture, Option<&Path>) -> Result<Definition, Failure>,
) -> Option<ImageLabels> {
    let architecture = engine.facts().architecture.supported().ok()?;
    let definition = define(architecture, settings.locks.as_deref()).ok()?;
    Some(definition.labels())
}
