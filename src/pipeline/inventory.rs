//! What sdbuild has on an engine and in this user's directories. `status`, `clean` and `doctor` ask this file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::artifact::Cache;
use crate::binfmt::Entry;
use crate::common::context::Context;
use crate::common::event::{Event, Phase};
use crate::common::failure::{Failure, OrFail as _};
use crate::common::system::Architecture;
use crate::common::timeout::timeout;
use crate::engine::{
    ContainerGuard, ContainerInfo, ContainerSpec, Engine, ImageInfo, Role, RunId, VolumeInfo,
};
use crate::oci::Definition;
use crate::pipeline::binfmt_table::TableFallback;
use crate::pipeline::run_lock::{KnownRun, RunLocks, RunState};
use crate::pipeline::sweep::{StaleObjects, Sweep};
use crate::pipeline::{binfmt_table, logs};
use crate::settings::Common;

/// A store of some hundred thousand files is counted in half a minute; a size that takes longer stays unknown.
const COUNT_TIMEOUT: Duration = Duration::from_secs(120);

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
    /// Our volumes; empty before [`Inventory::measure`].
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

    /// Adds what takes a container to see: the volumes with their sizes, and the handlers when the table
    /// is not visible from here. Without a registrar's image on the engine no container is started.
    pub(super) async fn measure(
        &mut self,
        fallback: TableFallback,
        context: &Context,
    ) -> Result<(), Failure> {
        if self.registrar_image().is_none() {
            return self.add_measured(fallback, context).await;
        }
        // Held while containers may exist: killed, this counts as a stale run, and the next one removes them.
        let run_lock = self.run_locks.acquire(&self.own)?;
        let measured = self.add_measured(fallback, context).await;
        run_lock.end(&measured);
        measured
    }

    async fn add_measured(
        &mut self,
        fallback: TableFallback,
        context: &Context,
    ) -> Result<(), Failure> {
        if self.objects.entries.is_none() {
            let image = self.registrar_image();
            let entries =
                binfmt_table::entries(&self.engine, &self.own, image, fallback, context).await?;
            let found = entries.as_deref().unwrap_or_default();
            self.objects.stale = context.cancel.race(self.sweep().find(found)).await??;
            self.objects.entries = entries;
        }
        self.objects.volumes = self.volumes(context).await?;
        Ok(())
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

    /// Our volumes. Their sizes are counted by the registrar's busybox: engines report them in ways that
    /// differ by version, or not at all.
    async fn volumes(&self, context: &Context) -> Result<Vec<SizedVolume>, Failure> {
        let mut volumes = Vec::new();
        for volume in context.cancel.race(self.engine.our_volumes()).await?? {
            let name = format!("volume {}", volume.name);
            context.events.emit(Event::Detail(Phase::Measure, name));
            let size = match self.registrar_image() {
                Some(image) => self.volume_size(image, &volume.name, context).await,
                None => Ok(None),
            };
            let name = &volume.name;
            let recreated = self.engine.remove_recreated_volume(name, &self.own).await;
            let size = size?;
            if !recreated? {
                volumes.push(SizedVolume { volume, size });
            }
        }
        Ok(volumes)
    }

    async fn volume_size(
        &self,
        image: &ImageInfo,
        volume: &str,
        context: &Context,
    ) -> Result<Option<u64>, Failure> {
        // It complains about every file that it may not read; the sum is the last line.
        let script = "busybox du -sk /volume 2>/dev/null | busybox tail -n 1";
        let command = ["/bin/busybox", "sh", "-c", script].map(str::to_owned);
        let mut spec = ContainerSpec::new(Role::Probe, &self.own, &image.id, command.into());
        spec.read_only = true;
        spec.volumes = vec![(volume.to_owned(), "/volume".to_owned())];
        let spec = spec.until_client_ends(&["/bin/busybox", "sh"]);
        let mut guard = ContainerGuard::arm(&self.engine, &spec.name).grace(0);
        let count = timeout(COUNT_TIMEOUT, guard.output(&spec, 10));
        let counted = context.cancel.race(count).await;
        let leftover = guard.remove(&context.cancel).await;
        match (counted, leftover) {
            (Err(interrupted), leftover) => {
                Err(interrupted.with_teardown(leftover.into_iter().collect()))
            }
            (Ok(_), Some(leftover)) => {
                let failure = Failure::environment(format!("count the bytes of volume {volume}"));
                Err(failure.with_teardown(vec![leftover]))
            }
            (Ok(counted), None) => {
                let counted = counted.and_then(Result::ok);
                Ok(counted.and_then(|(_, lines)| disk_usage(&lines)))
            }
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
                .or_environment("look into the cache directory"),
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

/// The first tag of an image, or its id.
pub(super) fn image_name(image: &ImageInfo) -> String {
    image.tags.first().unwrap_or(&image.id).clone()
}

/// Bytes, by the output of `du -sk`: a number of KiB, a tab, the directory.
fn disk_usage(lines: &[String]) -> Option<u64> {
    let number = lines.last()?.split_whitespace().next()?;
    number.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_usage_reads_only_the_sum() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(disk_usage(&lines("12\t/volume")), Some(12 * 1024));
        assert_eq!(disk_usage(&lines("du: no such thing")), None);
        assert_eq!(disk_usage(&[]), None);
    }
}
