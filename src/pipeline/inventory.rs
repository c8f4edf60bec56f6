//! What sdbuild left on this machine, for `clean`: all that carries our labels or our prefix, and all
//! that we keep in folders.

use std::path::PathBuf;

use crate::artifact::Cache;
use crate::binfmt::{Registrar, RegistrarImage, RegistrarOptions};
use crate::engine::labels::ROLE;
use crate::engine::{ContainerGuard, ContainerSpec, Engine, ImageInfo, Role, RunId, VolumeInfo};
use crate::failure::{Failure, Leftover, OrFail as _};
use crate::oci::Definition;
use crate::pipeline::beacon::Beacons;
use crate::pipeline::sweep::{Found, Sweep};
use crate::pipeline::{Context, connection, images, logs};
use crate::settings::Common;

/// The kernel's table on this machine: a hint, for the engine's may be another's.
const TABLE: &str = "/proc/sys/fs/binfmt_misc";

/// One thing that can be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `handler`, `container`, `volume`, `image`, `downloads` or `logs`.
    pub kind: &'static str,
    /// Its name or folder.
    pub name: String,
    /// Bytes, where they are known.
    pub size: Option<u64>,
}

/// What there is, and the means to remove it. Release it: a registrar may be running.
#[derive(Debug)]
pub struct Inventory {
    engine: Engine,
    run: RunId,
    beacons: Beacons,
    registrar: Option<Registrar>,
    found: Found,
    volumes: Vec<(VolumeInfo, Option<u64>)>,
    images: Vec<ImageInfo>,
    cache: (PathBuf, u64),
    logs: (PathBuf, u64),
}

impl Inventory {
    /// Looks at the engine, the kernel's table and our folders. Changes nothing but for a registrar
    /// that reads the table.
    pub async fn take(settings: &Common, context: &Context) -> Result<Self, Failure> {
        let engine = connection::connect(settings, &context.cancel).await?;
        let run = RunId::random()
            .map_err(|e| Failure::environment(format!("read the system's random source: {e}")))?;
        let beacons = Beacons::new(&settings.state_dir);
        let images = engine.our_images().await?;
        let mut registrar = registrar(&engine, &run, (settings, &images), context).await?;
        let sweep = Sweep {
            engine: &engine,
            beacons: &beacons,
            own: &run,
        };
        let found = match sweep.find(registrar.as_mut()).await {
            Ok(found) => found,
            Err(failure) => return Err(failure.with_teardown(end(registrar, context).await)),
        };
        Ok(Self {
            volumes: sizes(&engine, (&run, registrar_image(&images)), context).await?,
            cache: cache(settings)?,
            logs: logs::usage(&settings.state_dir),
            engine,
            run,
            beacons,
            registrar,
            found,
            images,
        })
    }

    /// Runs that live: what they use is left alone.
    pub fn live(&self) -> impl Iterator<Item = &RunId> {
        self.found.live.iter()
    }

    /// All that [`Inventory::remove`] would remove, in its order.
    pub fn items(&self) -> Vec<Item> {
        let named = |kind, name: &str| Item {
            kind,
            name: name.to_owned(),
            size: None,
        };
        let sized = |kind, name: String, size| Item { kind, name, size };
        let folder = |kind, (path, size): &(PathBuf, u64)| {
            (*size > 0).then(|| sized(kind, path.display().to_string(), Some(*size)))
        };
        let containers = self.found.containers.iter();
        let handlers = self.found.handlers.iter();
        (containers.map(|container| named("container", &container.name)))
            .chain(handlers.map(|(_, entry)| named("handler", &entry.name)))
            .chain(
                self.free_volumes()
                    .map(|(v, size)| sized("volume", v.name.clone(), *size)),
            )
            .chain(
                self.free_images()
                    .map(|i| sized("image", title(i), Some(i.size))),
            )
            .chain(folder("downloads", &self.cache))
            .chain(folder("logs", &self.logs))
            .collect()
    }

    /// Volumes that no container uses but those that go as well.
    fn free_volumes(&self) -> impl Iterator<Item = &(VolumeInfo, Option<u64>)> {
        let going: Vec<&str> = self
            .found
            .containers
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        self.volumes.iter().filter(move |(volume, _)| {
            volume
                .users
                .iter()
                .all(|user| going.contains(&user.as_str()))
        })
    }

    /// A live run may be about to use any image.
    fn free_images(&self) -> impl Iterator<Item = &ImageInfo> {
        self.images.iter().filter(|_| self.found.live.is_empty())
    }

    /// Removes every item; what could not be removed.
    pub async fn remove(&mut self) -> Vec<Leftover> {
        let sweep = Sweep {
            engine: &self.engine,
            beacons: &self.beacons,
            own: &self.run,
        };
        let (_, mut left) = sweep.remove(&self.found, self.registrar.as_mut()).await;
        // It was only there to look and to sweep, and it holds its own image.
        if let Some(registrar) = self.registrar.take() {
            left.extend(registrar.release(&crate::cancel::Cancel::new()).await);
        }
        for (volume, _) in self.free_volumes() {
            let removed = self.engine.remove_volume(&volume.name).await;
            left.extend(leftover(removed, "volume", &volume.name, &self.engine));
        }
        for image in self.free_images() {
            let removed = self.engine.remove_image(&image.id).await;
            left.extend(leftover(removed, "image", &title(image), &self.engine));
        }
        left.extend(self.remove_files());
        left
    }

    fn remove_files(&self) -> Vec<Leftover> {
        let cache = Cache::remove_all(&self.cache.0).map(drop);
        let cache = cache.map_err(|error| (self.cache.0.display().to_string(), error.to_string()));
        let logs = logs::remove_all(&self.logs.0);
        let logs = logs.map_err(|(path, error)| (path.display().to_string(), error.to_string()));
        self.beacons.forget(|_| true);
        let failed = [cache, logs].into_iter().filter_map(Result::err);
        failed
            .map(|(what, why)| Leftover {
                remedy: format!("rm -r '{what}'"),
                what,
                why,
            })
            .collect()
    }

    /// Ends the registrar that looked.
    pub async fn release(self, context: &Context) -> Vec<Leftover> {
        end(self.registrar, context).await
    }
}

async fn end(registrar: Option<Registrar>, context: &Context) -> Vec<Leftover> {
    match registrar {
        Some(registrar) => registrar.release(&context.cancel).await,
        None => Vec::new(),
    }
}

/// A registrar to look at the kernel's table: there is one when an image of it is loaded, or when this
/// machine's own table shows that it is needed.
async fn registrar(
    engine: &Engine,
    run: &RunId,
    (settings, loaded): (&Common, &[ImageInfo]),
    context: &Context,
) -> Result<Option<Registrar>, Failure> {
    let reference = match registrar_image(loaded) {
        Some(image) => image.id.clone(),
        None if shows_ours() => {
            let images = images::images(settings, context)?;
            let locks = settings.locks.as_deref();
            let definition = Definition::registrar(engine.facts().architecture.parse()?, locks)?;
            images::ensure(engine, &images, (&[&definition], context)).await?;
            definition.reference()
        }
        None => return Ok(None),
    };
    let options = RegistrarOptions::new(engine, &RegistrarImage { reference }, run);
    let started = Registrar::start(options, &context.cancel, &context.events).await;
    match started {
        Ok(registrar) => Ok(Some(registrar)),
        // Without the table there is nothing of ours in it.
        Err(failure) if failure.teardown.is_empty() && !shows_ours() => {
            context
                .events
                .warn(format!("cannot look at the kernel's handlers: {failure}"));
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn registrar_image(loaded: &[ImageInfo]) -> Option<&ImageInfo> {
    let role = Role::Registrar.as_str();
    loaded
        .iter()
        .find(|image| image.labels.get(ROLE).map(String::as_str) == Some(role))
}

/// Our volumes with their sizes, which the registrar's busybox counts: engines tell them in ways that
/// differ by version, or not at all.
async fn sizes(
    engine: &Engine,
    (run, image): (&RunId, Option<&ImageInfo>),
    context: &Context,
) -> Result<Vec<(VolumeInfo, Option<u64>)>, Failure> {
    let mut volumes = Vec::new();
    for volume in engine.our_volumes().await? {
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
    let command = ["/bin/busybox", "du", "-sk", "/volume"].map(str::to_owned);
    let mut spec = ContainerSpec::new(Role::Probe, run, &image.id, command.into());
    spec.read_only = true;
    spec.volumes = vec![(volume.to_owned(), "/volume".to_owned())];
    let mut guard = ContainerGuard::arm(engine, &spec.name).grace(0);
    let counted = context.cancel.race(guard.output(&spec, 100)).await;
    let left = guard.remove(&context.cancel).await;
    match (counted, left) {
        (Err(interrupted), left) => Err(interrupted.with_teardown(left.into_iter().collect())),
        (Ok(_), Some(left)) => {
            Err(Failure::environment("count the bytes of a volume").with_teardown(vec![left]))
        }
        (Ok(counted), None) => Ok(counted.ok().and_then(|(_, lines)| kibibytes(&lines))),
    }
}

/// What `du -sk` said: a number, a tab, the folder; after lines about what it may not read.
fn kibibytes(lines: &[String]) -> Option<u64> {
    let number = lines.last()?.split_whitespace().next()?;
    number.parse::<u64>().ok()?.checked_mul(1024)
}

fn shows_ours() -> bool {
    let entries = std::fs::read_dir(TABLE).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| name.as_encoded_bytes().starts_with(b"sdbuild-"))
}

fn cache(settings: &Common) -> Result<(PathBuf, u64), Failure> {
    let size = Cache::usage(&settings.cache_dir).or_environment("look into the cache folder")?;
    Ok((settings.cache_dir.clone(), size))
}

fn title(image: &ImageInfo) -> String {
    image.tags.first().unwrap_or(&image.id).clone()
}

fn leftover(
    removed: Result<(), crate::engine::EngineError>,
    kind: &str,
    name: &str,
    engine: &Engine,
) -> Option<Leftover> {
    let error = removed.err()?;
    Some(Leftover {
        what: format!("{kind} {name}"),
        why: error.to_string(),
        remedy: format!("{} {kind} rm {name}", engine.facts().client()),
    })
}
