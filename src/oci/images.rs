//! Sees to it that an engine holds our container images, and fetches or builds only what it lacks.
//!
//! An image is recognised by its labels and by the digests of its layers, never by its id (which
//! differs between image stores) and never by its name alone (which anybody can give).

use std::collections::HashSet;
use std::path::PathBuf;

use super::assemble::{AssembleError, ContainerImage, Parts};
use super::definition::Definition;
use super::layer::LayerError;
use crate::artifact::{Cache, Fetcher, Pin};
use crate::common::cancel::Cancel;
use crate::common::event::{Events, Phase};
use crate::common::failure::{Class, Failure, OrFail};
use crate::engine::{Engine, ImageInfo};

/// The way from definitions to images in an engine.
#[derive(Debug)]
pub struct Images {
    fetcher: Fetcher,
    mirrors: Vec<String>,
    events: Events,
    /// An engine writes to one disk, and what is told of the bytes is about one image.
    loading: tokio::sync::Mutex<()>,
}

impl Images {
    /// Images out of packages that `fetcher` gets from `mirrors` or, last, from the snapshot archive.
    pub fn new(fetcher: Fetcher, mirrors: Vec<String>, events: Events) -> Self {
        Self {
            fetcher,
            mirrors,
            events,
            loading: tokio::sync::Mutex::default(),
        }
    }

    /// The image of `definition` if the engine holds it and we know that it is what we would make.
    pub async fn held(
        &self,
        engine: &Engine,
        definition: &Definition,
    ) -> Result<Option<ImageInfo>, Failure> {
        held(self.fetcher.cache(), engine, definition).await
    }

    /// What [`Images::fetch`] has to get at most.
    fn packages<'a>(definitions: &'a [&Definition]) -> Vec<&'a Pin> {
        let mut seen = HashSet::new();
        let all = definitions
            .iter()
            .flat_map(|definition| &definition.lock.packages);
        all.filter(|pin| seen.insert(pin.sha256)).collect()
    }

    /// Fetches the packages of all `definitions`.
    pub async fn fetch(&self, definitions: &[&Definition], cancel: &Cancel) -> Result<(), Failure> {
        let pins = Self::packages(definitions);
        if pins.is_empty() {
            return Ok(());
        }
        // Each lock's own moment of the snapshot archive: another one may lack its versions.
        let mut mirrors = self.mirrors.clone();
        for mirror in definitions.iter().flat_map(|d| d.lock.mirrors(&[])) {
            if !mirrors.contains(&mirror) {
                mirrors.push(mirror);
            }
        }
        self.fetcher.pins(&pins, &mirrors, cancel).await?;
        Ok(())
    }

    /// Puts the image together and loads it, unless the engine turns out to hold just that. Several may be
    /// put together at a time, one is loaded.
    pub async fn provide(
        &self,
        engine: &Engine,
        definition: &Definition,
        cancel: &Cancel,
    ) -> Result<ImageInfo, Failure> {
        let reference = definition.reference();
        let image = self.assemble(definition, cancel).await?;
        let diff_ids = image.diff_ids.clone();
        let holds = || async {
            let held = cancel.race(engine.image(&reference)).await??;
            Ok::<_, Failure>(held.filter(|held| is(held, definition, &diff_ids)))
        };
        if let Some(held) = holds().await? {
            return Ok(held);
        }
        let _one_at_a_time = cancel.race(self.loading.lock()).await?;
        let (events, total) = (self.events.clone(), image.size);
        let tell = move |sent| events.bytes(Phase::ContainerImages, sent, Some(total));
        let archive = tokio::fs::File::from_std(image.archive);
        cancel.race(engine.load_image(archive, tell)).await??;
        holds().await?.ok_or_else(|| {
            Failure::environment(format_args!(
                "the engine took container image {reference} but does not hold it as it was sent"
            ))
        })
    }

    /// Puts the image together and notes what came out.
    pub async fn assemble(
        &self,
        definition: &Definition,
        cancel: &Cancel,
    ) -> Result<ContainerImage, Failure> {
        let what = format!("assemble container image {}", definition.reference());
        let packages: Vec<&Pin> = definition.lock.packages.iter().collect();
        let mirrors = definition.lock.mirrors(&self.mirrors);
        let packages: Vec<PathBuf> = self.fetcher.pins(&packages, &mirrors, cancel).await?;
        let (cache, token) = (self.fetcher.cache().clone(), cancel.token().clone());
        let owned = definition.clone();
        let work = tokio::task::spawn_blocking(move || {
            let parts = Parts {
                definition: &owned,
                packages: &packages,
                cache: &cache,
            };
            parts.assemble(&|| token.is_cancelled())
        });
        let image = match work.await.or_internal(&what)? {
            Ok(image) => image,
            Err(_) if cancel.is_cancelled() => return Err(Failure::interrupted()),
            Err(error) => return Err(failure(error, self.fetcher.cache()).context(what)),
        };
        let note = image.diff_ids.join("\n");
        if let Err(error) = self.fetcher.cache().set_note(&note_name(definition), &note) {
            // The next run assembles again; this one has what it needs.
            self.events.warn(format_args!(
                "the next run will assemble this image again: {error}"
            ));
        }
        Ok(image)
    }
}

/// The image of `definition` if the engine holds it and `cache` has a note that it is what we would make.
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
    Ok(image.filter(|image| is(image, definition, &diff_ids)))
}

fn note_name(definition: &Definition) -> String {
    format!("image-{}", definition.digest())
}

/// Whether an engine's image is what we would make of `definition`.
fn is(image: &ImageInfo, definition: &Definition, diff_ids: &[String]) -> bool {
    let labelled = definition
        .labels()
        .iter()
        .all(|(key, value)| image.labels.get(*key) == Some(value));
    labelled && !diff_ids.is_empty() && image.layers == diff_ids
}

fn failure(error: AssembleError, cache: &Cache) -> Failure {
    let from_disk = match &error {
        AssembleError::Io(_) | AssembleError::Cache(_) => true,
        AssembleError::Package { cause, .. } | AssembleError::Layer(cause) => {
            matches!(cause, LayerError::Io(_))
        }
        AssembleError::Changed { .. } => {
            return Failure::new(Class::Environment, error)
                .hint("run it again: what is damaged in the cache is fetched again");
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
