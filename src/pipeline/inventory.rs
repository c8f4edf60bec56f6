//! What sdbuild left on this machine, for `clean`: all that carries our labels or our prefix, and all
//! that we keep in directories.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::artifact::Cache;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::timeout::timeout;
use crate::engine::labels::ROLE;
use crate::engine::{ContainerGuard, ContainerSpec, Engine, ImageInfo, Role, RunId, VolumeInfo};
use crate::pipeline::run_lock::RunLocks;
use crate::pipeline::sweep::{StaleObjects, Sweep};
use crate::pipeline::{Context, binfmt_table, connection, logs};
use crate::settings::Common;

/// A store of some hundred thousand files is counted in half a minute; what takes longer stays uncounted.
const COUNTING: Duration = Duration::from_secs(120);

/// One thing that can be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `handler`, `container`, `volume`, `image`, `downloads` or `logs`.
    pub kind: &'static str,
    /// Its name or directory.
    pub name: String,
    /// Bytes, where they are known.
    pub size: Option<u64>,
}

/// What there is. Looking changes nothing, but for containers that read and are gone again.
#[derive(Debug)]
pub struct Inventory {
    pub(super) engine: Engine,
    pub(super) run: RunId,
    pub(super) run_locks: RunLocks,
    pub(super) found: StaleObjects,
    pub(super) volumes: Vec<(VolumeInfo, Option<u64>)>,
    pub(super) images: Vec<ImageInfo>,
    pub(super) cache: PathBuf,
    pub(super) cache_size: u64,
    pub(super) logs: PathBuf,
    pub(super) logs_size: u64,
}

impl Inventory {
    /// Looks at the engine, the kernel's table and our directories.
    pub async fn take(settings: &Common, context: &Context) -> Result<Self, Failure> {
        let cancel = &context.cancel;
        let engine = connection::connect(settings, cancel).await?;
        let run = RunId::random()?;
        let run_locks = RunLocks::new(&settings.state_dir, engine.endpoint());
        let images = cancel.race(engine.our_images()).await??;
        let entries =
            binfmt_table::entries(&engine, (&run, registrar_image(&images)), context).await?;
        let sweep = Sweep {
            engine: &engine,
            run_locks: &run_locks,
            own: &run,
        };
        let found = sweep.find(entries.unwrap_or_default());
        let found = cancel.race(found).await??;
        let volumes = sizes(&engine, (&run, registrar_image(&images)), context).await?;
        let cache_size =
            Cache::usage(&settings.cache_dir).or_environment("look into the cache directory")?;
        let (logs, logs_size) = logs::usage(&settings.state_dir, &found.live);
        Ok(Self {
            cache: settings.cache_dir.clone(),
            cache_size,
            logs,
            logs_size,
            engine,
            run,
            run_locks,
            found,
            volumes,
            images,
        })
    }

    /// Runs that live: what they use, or may be about to use, is left alone.
    pub fn live(&self) -> &BTreeSet<RunId> {
        &self.found.live
    }

    /// All that [`Inventory::remove`] would remove, in its order.
    pub fn items(&self) -> Vec<Item> {
        let named = |kind, name: &str| Item {
            kind,
            name: name.to_owned(),
            size: None,
        };
        let sized = |kind, name: String, size| Item { kind, name, size };
        let mut items = Vec::new();
        items.extend(
            self.found
                .containers
                .iter()
                .map(|c| named("container", &c.name)),
        );
        items.extend(
            self.found
                .handlers
                .iter()
                .map(|(_, e)| named("handler", &e.name)),
        );
        items.extend(
            self.free_volumes()
                .map(|(v, size)| sized("volume", v.name.clone(), *size)),
        );
        items.extend(
            self.free_images()
                .map(|i| sized("image", title(i), Some(i.size))),
        );
        if self.cache_is_free() {
            let dir = self.cache.display().to_string();
            items.push(sized("downloads", dir, Some(self.cache_size)));
        }
        if self.logs_size > 0 {
            let dir = self.logs.display().to_string();
            items.push(sized("logs", dir, Some(self.logs_size)));
        }
        items
    }

    /// Volumes that no container uses but those that go as well.
    pub(super) fn free_volumes(&self) -> impl Iterator<Item = &(VolumeInfo, Option<u64>)> {
        let going = &self.found.containers;
        let goes = move |user: &String| going.iter().any(|container| container.name == *user);
        let free = move |(volume, _): &&(VolumeInfo, _)| volume.users.iter().all(goes);
        self.volumes.iter().filter(free)
    }

    /// A live run may be about to use any image.
    pub(super) fn free_images(&self) -> impl Iterator<Item = &ImageInfo> {
        self.images.iter().filter(|_| self.live().is_empty())
    }

    /// A live run may be about to use any download.
    pub(super) fn cache_is_free(&self) -> bool {
        self.cache_size > 0 && self.live().is_empty()
    }
}

/// A registrar's image among those that the engine holds.
pub(super) fn registrar_image(loaded: &[ImageInfo]) -> Option<&ImageInfo> {
    let role = Role::Registrar.as_str();
    loaded
        .iter()
        .find(|image| image.labels.get(ROLE).map(String::as_str) == Some(role))
}

/// Our volumes with their sizes, which the registrar's busybox counts: engines tell them in ways that
/// differ by version, or not at all.
pub(super) async fn sizes(
    engine: &Engine,
    (run, image): (&RunId, Option<&ImageInfo>),
    context: &Context,
) -> Result<Vec<(VolumeInfo, Option<u64>)>, Failure> {
    let mut volumes = Vec::new();
    for volume in context.cancel.race(engine.our_volumes()).await?? {
        let size = match image {
            Some(image) => size(engine, (run, image, &volume.name), context).await?,
            None => None,
        };
        volumes.push((volume, size));
    }
    Ok(volumes)
}

async fn size(
    engine: &Engine,
    (run, image, volume): (&RunId, &ImageInfo, &str),
    context: &Context,
) -> Result<Option<u64>, Failure> {
    // What it may not read it complains of, at length; the sum is the last line.
    let script = "busybox du -sk /volume 2>/dev/null | busybox tail -n 1";
    let command = ["/bin/busybox", "sh", "-c", script].map(str::to_owned);
    let mut spec = ContainerSpec::new(Role::Probe, run, &image.id, command.into());
    spec.read_only = true;
    spec.volumes = vec![(volume.to_owned(), "/volume".to_owned())];
    let mut guard = ContainerGuard::arm(engine, &spec.name).grace(0);
    let count = timeout(COUNTING, guard.output(&spec, 10));
    let counted = context.cancel.race(count).await;
    let left = guard.remove(&context.cancel).await;
    match (counted, left) {
        (Err(interrupted), left) => Err(interrupted.with_teardown(left.into_iter().collect())),
        (Ok(_), Some(left)) => {
            Err(Failure::environment("count the bytes of a volume").with_teardown(vec![left]))
        }
        (Ok(counted), None) => {
            let counted = counted.and_then(Result::ok);
            Ok(counted.and_then(|(_, lines)| kibibytes(&lines)))
        }
    }
}

/// What `du -sk` said: a number, a tab, the directory.
fn kibibytes(lines: &[String]) -> Option<u64> {
    let number = lines.last()?.split_whitespace().next()?;
    number.parse::<u64>().ok()?.checked_mul(1024)
}

/// What people call the image.
pub(super) fn title(image: &ImageInfo) -> String {
    image.tags.first().unwrap_or(&image.id).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_read_and_nothing_else() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(kibibytes(&lines("12\t/volume")), Some(12 * 1024));
        assert_eq!(kibibytes(&lines("du: no such thing")), None);
        assert_eq!(kibibytes(&[]), None);
    }
}
