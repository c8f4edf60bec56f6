//! What sdbuild has on an engine, and how much room that takes. `status`, `clean` and `doctor` ask this file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use std::{fmt, fs, io};

use crate::request::Common;
use crate::run_lock::{RunLocks, RunState};
use crate::sweep::{StaleObjects, Sweep};
use sdbuild_core::context::Context;
use sdbuild_core::counted::counted;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::plain_file;
use sdbuild_core::plain_file::is_gone;
use sdbuild_core::system::Architecture;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::binfmt::{
    Entry, Registrar, RegistrarImage, RegistrarOptions, TABLE_DIR, parse,
};
use sdbuild_engine::oci::Definition;
use sdbuild_engine::{
    ContainerGuard, ContainerInfo, ContainerSpec, Engine, ImageInfo, Role, RunId, VolumeInfo,
};

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
        let entries = visible_entries(&inventory.engine);
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
    pub(super) async fn look(&mut self, context: &Context) -> Result<(), Failure> {
        if self.objects.entries.is_none() {
            let image = self.registrar_image();
            let look = entries(&self.engine, &self.own, image, context);
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

/// Counts every volume at the same time, one process each. A store of some hundred thousand files is counted in half a
/// minute; a size that takes longer than two stays unknown. `du` complains about every file that it may not read.
const SCRIPT: &str = r#"for dir in /volumes/*; do
  busybox timeout 120 busybox du -sk "$dir" 2>/dev/null &
done
wait"#;
/// The script's own limit, and the time that the engine may need to start the container.
const MEASURE_TIMEOUT: Duration = Duration::from_mins(3);
/// Where the volumes are mounted, each under its number.
const DIR: &str = "/volumes";

/// Bytes by the number of the volume.
type Sizes = BTreeMap<usize, u64>;

impl Inventory {
    /// The volumes that [`Inventory::look`] found, with their sizes, which a container counts; they are unknown without a
    /// registrar's image. Those that were removed meanwhile are left out. To be called with the run's lock.
    pub(super) async fn volume_sizes(
        &self,
        context: &Context,
    ) -> Result<Vec<SizedVolume>, Failure> {
        let listed = &self.objects.volumes;
        let counted = match self.registrar_image() {
            Some(image) if !listed.is_empty() => self.count(image, context).await,
            _ => return Ok(listed.clone()),
        };
        let mut volumes = Vec::new();
        let mut recreated = Vec::new();
        for SizedVolume { volume, .. } in listed {
            let removal = self.engine.remove_recreated_volume(&volume.name, &self.own);
            recreated.push(removal.await);
        }
        let sizes = counted?;
        for (number, (found, recreated)) in listed.iter().zip(recreated).enumerate() {
            if !recreated? {
                let volume = found.volume.clone();
                let size = sizes.get(&number).copied();
                volumes.push(SizedVolume { volume, size });
            }
        }
        Ok(volumes)
    }

    /// Counts all volumes in one container, because starting one takes longer than counting; no size is known if the engine could
    /// not run it.
    async fn count(&self, image: &ImageInfo, context: &Context) -> Result<Sizes, Failure> {
        let listed = &self.objects.volumes;
        let command = ["/bin/busybox", "sh", "-c", SCRIPT].map(str::to_owned);
        let mut spec = ContainerSpec::new(Role::Probe, &self.own, &image.id, command.into());
        spec.read_only = true;
        let mounts = listed.iter().enumerate();
        spec.volumes = mounts
            .map(|(number, one)| (one.volume.name.clone(), format!("{DIR}/{number}")))
            .collect();
        let spec = spec.until_client_ends(&["/bin/busybox", "sh"]);
        let guard = ContainerGuard::arm(&self.engine, &spec.name).grace(0);
        let volumes = counted(listed.len(), "volume", "volumes");
        let tell = |done| {
            let text = format!("{done} of {volumes}");
            context.events.detail(Phase::Measure, text);
        };
        let count = async |guard: &mut ContainerGuard| {
            tell(0);
            let mut done = 0;
            let seen = |line: &str| {
                done += usize::from(size(line).is_some());
                tell(done);
            };
            let output = async {
                let container = guard.create(&spec).await?;
                container.watched_output(listed.len(), seen).await
            };
            let output = timeout(MEASURE_TIMEOUT, output).await;
            Ok(output.and_then(Result::ok))
        };
        let operation = "count the bytes of the volumes";
        let counted = guard.run(operation, &context.cancel, count).await?;
        Ok(counted.map(|(_, lines)| sizes(&lines)).unwrap_or_default())
    }
}

/// Bytes by the number of the volume, from the output of `du`.
fn sizes(lines: &[String]) -> Sizes {
    lines.iter().filter_map(|line| size(line)).collect()
}

/// The number of a volume and its bytes, from a line of `du -sk`: a number of KiB, a tab, the directory.
fn size(line: &str) -> Option<(usize, u64)> {
    let (kib, dir) = line.split_once('\t')?;
    let number = dir.strip_prefix(DIR)?.strip_prefix('/')?.parse().ok()?;
    Some((number, kib.parse::<u64>().ok()?.checked_mul(1024)?))
}

/// An entry is a few lines.
const MAX_ENTRY_BYTES: u64 = 64 << 10;

/// The entries of the engine's kernel, if that is certainly this machine's kernel; empty if the table is not
/// mounted. `None` for another kernel, and for a table that cannot be read here: it takes a container to see them then.
pub(super) fn visible_entries(engine: &Engine) -> Option<Vec<Entry>> {
    let is_visible = engine.is_on_this_kernel();
    is_visible.then(|| local_entries().ok()).flatten()
}

/// The entries of the engine's kernel: through a registrar of `image`, or without one, of a local engine, in this machine's own
/// files, although the engine may run in a virtual machine. `None` when they are not visible.
pub(super) async fn entries(
    engine: &Engine,
    run: &RunId,
    image: Option<&ImageInfo>,
    context: &Context,
) -> Result<Option<Vec<Entry>>, Failure> {
    // A rootless engine never had a handler of ours, and could not remove those of another engine.
    if engine.facts().rootless {
        return Ok(None);
    }
    let Some(image) = image else {
        let is_visible = engine.endpoint().is_local();
        return Ok(is_visible.then(|| local_entries_or_warn(context)).flatten());
    };
    match entries_in_container(engine, run, image, context).await {
        Err(failure) if failure.class != Class::Interrupted && failure.teardown.is_empty() => {
            warn_of_unreadable(failure, context);
            Ok(None)
        }
        entries => entries.map(Some),
    }
}

async fn entries_in_container(
    engine: &Engine,
    run: &RunId,
    image: &ImageInfo,
    context: &Context,
) -> Result<Vec<Entry>, Failure> {
    let architecture = engine.facts().architecture.supported()?;
    let image = RegistrarImage::new(image.id.clone(), architecture);
    let options = RegistrarOptions::new(engine, &image, run);
    let look = Registrar::look(options, &context.cancel, &context.events);
    let Some(mut registrar) = look.await? else {
        return Ok(Vec::new());
    };
    let entries = context.cancel.race(registrar.entries()).await;
    // Released at once: `clean` may wait for its user before it needs another one.
    let leftovers = registrar.release(&context.cancel).await;
    match entries.flatten() {
        Ok(entries) if leftovers.is_empty() => Ok(entries),
        Ok(_) => Err(Failure::environment(
            "the container that read the kernel's binfmt_misc could not be removed",
        )
        .with_teardown(leftovers)),
        Err(failure) => Err(failure.with_teardown(leftovers)),
    }
}

/// Whether this machine's table is mounted.
pub(super) fn is_mounted() -> bool {
    Path::new(TABLE_DIR).join("status").exists()
}

/// The entries of this machine's own table; none when it is not mounted. An error when the table cannot be read, which says
/// nothing of what is in it.
pub(super) fn local_entries() -> io::Result<Vec<Entry>> {
    entries_below(Path::new(TABLE_DIR))
}

/// The entries of this machine's own table; `None`, after a warning, when it cannot be read.
pub(super) fn local_entries_or_warn(context: &Context) -> Option<Vec<Entry>> {
    let entries = local_entries();
    let warn = |error: &io::Error| warn_of_unreadable(error, context);
    entries.inspect_err(warn).ok()
}

fn warn_of_unreadable(reason: impl fmt::Display, context: &Context) {
    let text = format!("cannot read the kernel's binfmt_misc: {reason}");
    context.events.warn(text);
}

/// The entries of the table that is mounted at `dir`.
fn entries_below(dir: &Path) -> io::Result<Vec<Entry>> {
    let files = fs::read_dir(dir);
    if is_gone(&files) {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for file in files? {
        let file = file?;
        let name = file.file_name();
        if name == "status" || name == "register" {
            continue;
        }
        let entry = entry(&name.to_string_lossy(), &file.path());
        // Handlers come and go.
        if !is_gone(&entry) {
            entries.push(entry?);
        }
    }
    Ok(entries)
}

/// The entry `name`, which is the file `path`.
fn entry(name: &str, path: &Path) -> io::Result<Entry> {
    // A foreign handler may name a program that is not UTF-8.
    let text = plain_file::read(path, MAX_ENTRY_BYTES)?;
    let touched = fs::metadata(path)?.modified()?;
    // A clock that was set back makes the entry as young as possible.
    let age = touched.elapsed().map_or(0, |age| age.as_secs());
    Ok(Entry {
        age: Some(age),
        ..parse(name, &String::from_utf8_lossy(&text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_distinguished_by_the_number_of_the_volume() {
        let lines = ["12\t/volumes/1", "du: no such thing", "7\t/volumes/0"].map(str::to_owned);
        assert_eq!(sizes(&lines), Sizes::from([(0, 7 * 1024), (1, 12 * 1024)]));
    }

    #[test]
    fn only_a_missing_table_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("table");
        assert_eq!(entries_below(&table).unwrap(), []);
        fs::create_dir(&table).unwrap();
        fs::write(table.join("status"), "enabled\n").unwrap();
        assert_eq!(entries_below(&table).unwrap(), []);
        fs::write(table.join("other"), b"enabled\ninterpreter /\xff\n").unwrap();
        let entries = entries_below(&table).unwrap();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["other"]);
        fs::create_dir(table.join("unreadable")).unwrap();
        entries_below(&table).unwrap_err();
        fs::write(dir.path().join("file"), "").unwrap();
        entries_below(&dir.path().join("file")).unwrap_err();
    }
}
