//! Provides an engine with our container images; downloads and assembles only those that it does not have.
//!
//! An image is recognised by its labels and the digests of its layers: its id differs between image stores, and
//! anybody can use its name.

use std::collections::HashSet;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Class, Failure, OrFail};

use super::assemble::{AssembleError, Assembler, ContainerImage};
use super::definition::Definition;
use super::layer::LayerError;
use super::progress::{ImageProgress, Progress};
use crate::artifact::{Cache, Fetcher, Pin};
use crate::{Engine, ImageInfo};

/// Makes images of definitions and loads them into an engine.
#[derive(Debug)]
pub struct Images {
    fetcher: Fetcher,
    mirrors: Vec<String>,
    events: Events,
    progress: Progress,
    /// Held while an image is loaded: an engine writes to one disk, and progress is that of one image.
    loading: tokio::sync::Mutex<()>,
}

impl Images {
    /// Images of packages that `fetcher` downloads from `mirrors` or, if those fail, from the snapshot archive.
    pub fn new(fetcher: Fetcher, mirrors: Vec<String>, events: Events) -> Self {
        Self {
            fetcher,
            mirrors,
            progress: Progress::new(events.clone()),
            events,
            loading: tokio::sync::Mutex::default(),
        }
    }

    /// The image of `definition` if the engine has it and it is known to have the right content.
    pub async fn held(
        &self,
        engine: &Engine,
        definition: &Definition,
    ) -> Result<Option<ImageInfo>, Failure> {
        held(self.fetcher.cache(), engine, definition).await
    }

    /// The packages of all `definitions`, each once.
    fn packages<'a>(definitions: &'a [&Definition]) -> Vec<&'a Pin> {
        let mut seen = HashSet::new();
        let all = definitions
            .iter()
            .flat_map(|definition| &definition.lock.packages);
        all.filter(|pin| seen.insert(pin.sha256)).collect()
    }

    /// Downloads those packages of all `definitions` that the cache does not have.
    pub async fn fetch(&self, definitions: &[&Definition], cancel: &Cancel) -> Result<(), Failure> {
        let pins = Self::packages(definitions);
        if pins.is_empty() {
            return Ok(());
        }
        // Each lock has its own snapshot in the archive: another one may not have its versions.
        let mut mirrors = self.mirrors.clone();
        for mirror in definitions.iter().flat_map(|d| d.lock.mirrors(&[])) {
            if !mirrors.contains(&mirror) {
                mirrors.push(mirror);
            }
        }
        self.fetcher.pins(&pins, &mirrors, cancel).await?;
        Ok(())
    }

    /// Assembles the image and loads it, unless it turns out that the engine has it. Several images may be assembled at a
    /// time; one is loaded at a time.
    pub async fn provide(
        &self,
        engine: &Engine,
        definition: &Definition,
        cancel: &Cancel,
    ) -> Result<ImageInfo, Failure> {
        let reference = definition.reference();
        let progress = self.progress.of(definition, Some(engine.facts()));
        // Another cache may have been used when it was loaded. Whether it has the right content shows when it is assembled here.
        let found = cancel.race(engine.image(&reference)).await??;
        if found.is_some_and(|image| is_labelled(&image, definition)) {
            progress.is_held();
        }
        let image = self.assemble_with(definition, &progress, cancel).await?;
        let diff_ids = image.diff_ids.clone();
        let loaded = || async {
            let held = cancel.race(engine.image(&reference)).await??;
            Ok::<_, Failure>(held.filter(|held| matches(held, definition, &diff_ids)))
        };
        if let Some(held) = loaded().await? {
            progress.is_loaded();
            return Ok(held);
        }
        let _one_at_a_time = cancel.race(self.loading.lock()).await?;
        let archive = tokio::fs::File::from_std(image.archive);
        let (report, size) = (progress.clone(), image.size);
        let load = engine.load_image(archive, move |loading| report.loading(loading, size));
        cancel.race(load).await??;
        progress.is_loaded();
        loaded().await?.ok_or_else(|| {
            Failure::environment(format_args!(
                "the engine loaded container image {reference} but does not have it with the content that was sent"
            ))
        })
    }

    /// Assembles the image, and notes its layers in the cache.
    pub async fn assemble(
        &self,
        definition: &Definition,
        cancel: &Cancel,
    ) -> Result<ContainerImage, Failure> {
        // It is loaded nowhere.
        let progress = self.progress.of(definition, None);
        self.assemble_with(definition, &progress, cancel).await
    }

    async fn assemble_with(
        &self,
        definition: &Definition,
        progress: &ImageProgress,
        cancel: &Cancel,
    ) -> Result<ContainerImage, Failure> {
        let what = format!("assemble container image {}", definition.reference());
        let pins: Vec<&Pin> = definition.lock.packages.iter().collect();
        let mirrors = definition.lock.mirrors(&self.mirrors);
        let packages = self.fetcher.pins(&pins, &mirrors, cancel).await?;
        let (cache, token) = (self.fetcher.cache().clone(), cancel.token().clone());
        let (owned, progress) = (definition.clone(), progress.clone());
        let work = tokio::task::spawn_blocking(move || {
            let assembler = Assembler {
                definition: &owned,
                packages: &packages,
                cache: &cache,
                progress: &|bytes| progress.read(bytes),
            };
            assembler.assemble(&token)
        });
        let image = match work.await.or_internal(&what)? {
            Ok(image) => image,
            Err(_) if cancel.is_cancelled() => return Err(Failure::interrupted()),
            Err(error) => return Err(failure(error, self.fetcher.cache()).context(what)),
        };
        let note = image.diff_ids.join("\n");
        if let Err(error) = self.fetcher.cache().set_note(&note_name(definition), &note) {
            // This run has what it needs.
            self.events.warn(format_args!(
                "the next run will assemble container image {} again: {error}",
                definition.reference()
            ));
        }
        Ok(image)
    }
}

/// The image of `definition` if the engine has it, with the layers that a note in `cache` lists.
pub(super) async fn held(
    cache: &Cache,
    engine: &Engine,
    definition: &Definition,
) -> Result<Option<ImageInfo>, Failure> {
    let Some(note) = cache.note(&note_name(definition)) else {
        return Ok(None);
    };
    let diff_ids: Vec<String> = note.lines().map(str::to_owned).collect();
    let image = engine.image(&definition.reference()).await?;
    Ok(image.filter(|image| matches(image, definition, &diff_ids)))
}

fn note_name(definition: &Definition) -> String {
    format!("image-{}", definition.digest())
}

/// Whether an engine's image has the labels of `definition` and the layers `diff_ids`.
fn matches(image: &ImageInfo, definition: &Definition, diff_ids: &[String]) -> bool {
    is_labelled(image, definition) && !diff_ids.is_empty() && image.layers == diff_ids
}

/// Whether an engine's image has the labels of `definition`.
fn is_labelled(image: &ImageInfo, definition: &Definition) -> bool {
    let labels = definition.labels();
    let mut labels = labels.iter();
    labels.all(|(key, value)| image.labels.get(*key) == Some(value))
}

fn failure(error: AssembleError, cache: &Cache) -> Failure {
    let from_disk = match &error {
        AssembleError::Io(_) | AssembleError::Cache(_) => true,
        AssembleError::Package { cause, .. } | AssembleError::Layer(cause) => {
            matches!(cause, LayerError::Io(_))
        }
        AssembleError::Changed { .. } => {
            return Failure::new(Class::Environment, error)
                .hint("run it again; damaged files in the cache are downloaded again");
        }
    };
    let failure = Failure::new(Class::Environment, error);
    if from_disk {
        let dir = cache.root().display();
        failure.hint(format_args!(
            "check free space and permissions of the cache directory {dir}"
        ))
    } else {
        failure
    }
}

/// What has to be downloaded and assembled before the engine has some images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingImages {
    /// References of the images that the engine does not have, or may not have.
    pub images: Vec<String>,
    /// How many of their packages the cache does not have completely.
    pub packages: usize,
    /// How many bytes of those are still to be downloaded.
    pub to_fetch: u64,
    /// How many bytes all packages of those images have, downloaded or not.
    pub packed: u64,
}

impl MissingImages {
    /// Asks the `engine`, and looks into the `cache` if there is one. Only the lengths of packages are compared: a damaged
    /// one is not noticed.
    pub async fn of(
        definitions: &[&Definition],
        engine: &Engine,
        cache: Option<&Cache>,
    ) -> Result<Self, Failure> {
        let mut missing = Self::default();
        let mut seen = HashSet::new();
        for definition in definitions {
            let held = match cache {
                Some(cache) => held(cache, engine, definition).await?,
                None => None,
            };
            if held.is_some() {
                continue;
            }
            missing.images.push(definition.reference());
            let packages = definition.lock.packages.iter();
            for pin in packages.filter(|pin| seen.insert(pin.sha256)) {
                let bytes = cache.map_or(pin.size, |cache| cache.missing_bytes(pin));
                missing.packages += usize::from(bytes > 0);
                missing.to_fetch += bytes;
                missing.packed += pin.size;
            }
        }
        Ok(missing)
    }
}
