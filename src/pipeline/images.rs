//! The container images of a run: which ones, and that the engine holds them.

use futures_util::future::join_all;

use crate::artifact::{Cache, Fetcher, Network};
use crate::binfmt::RegistrarImage;
use crate::engine::Engine;
use crate::event::Phase;
use crate::failure::{Failure, OrFail as _};
use crate::nixos::builder::BuilderImage;
use crate::oci::{Definition, Images};
use crate::pipeline::origin::Containers;
use crate::pipeline::{Context, Plan};
use crate::settings::{self, Common};

/// What the steps of a run stand on.
#[derive(Debug)]
pub(super) struct Provided {
    /// The registrar's image, when something is emulated.
    pub(super) registrar: Option<RegistrarImage>,
    /// What Nix runs in.
    pub(super) builder: BuilderImage,
    /// Both, for the manifest.
    pub(super) containers: Containers,
    /// For further downloads.
    pub(super) images: Images,
}

/// The way to container images for these settings.
pub(super) fn images(settings: &Common, context: &Context) -> Result<Images, Failure> {
    let cache = Cache::open(&settings.cache_dir).or_environment("open the cache folder")?;
    let usual = Network::default();
    let network = Network {
        connect: usual.connect.min(settings.stall_timeout),
        idle: settings.stall_timeout,
        ..usual
    };
    let fetcher = Fetcher::new(cache, network, context.events.clone())?;
    Ok(Images::new(
        fetcher,
        settings.mirrors.clone(),
        context.events.clone(),
    ))
}

/// Sees to it that the engine holds every image that `plan` needs.
pub(super) async fn provide(plan: &Plan, context: &Context) -> Result<Provided, Failure> {
    let settings = &plan.settings;
    let images = images(&settings.common, context)?;
    let (registrar, own) = (&plan.base.registrar, &plan.base.builder);
    let wanted: Vec<&Definition> = registrar.iter().chain(own).collect();
    ensure(&plan.base.engine, &images, (&wanted, context)).await?;
    let builder = match &settings.builder_image {
        Some(reference) => foreign(plan, reference, context).await?,
        None => BuilderImage::ours(own.as_ref().map(Definition::reference).unwrap_or_default()),
    };
    let containers = Containers::new(registrar.as_ref(), own.as_ref(), builder.reference());
    let registrar = registrar.as_ref().map(|image| RegistrarImage {
        reference: image.reference(),
    });
    Ok(Provided {
        registrar,
        builder,
        containers,
        images,
    })
}

/// Fetches, assembles and loads those of `wanted` that the engine lacks.
pub(super) async fn ensure(
    engine: &Engine,
    images: &Images,
    (wanted, context): (&[&Definition], &Context),
) -> Result<(), Failure> {
    let cancel = &context.cancel;
    let mut lacking = Vec::new();
    for definition in wanted {
        let held = cancel.race(images.held(engine, definition)).await??;
        if held.is_none() {
            lacking.push(*definition);
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    context
        .phase(Phase::Fetch, images.fetch(&lacking, cancel))
        .await?;
    let load = async {
        let provide = |definition| images.provide(engine, definition, cancel);
        let provided = join_all(lacking.into_iter().map(provide)).await;
        provided.into_iter().try_for_each(|image| image.map(drop))
    };
    context.phase(Phase::ContainerImages, load).await
}

/// The volume behind the builder's `/nix`. A foreign image brings its own Nix in it, which another
/// image's volume would hide: so it has one of its own.
pub(super) fn store_volume(settings: &settings::Build, image: &BuilderImage) -> String {
    if !image.is_foreign() {
        return settings.store.clone();
    }
    let id = image.reference().rsplit(':').next().unwrap_or_default();
    format!("{}-{}", settings.store, id.get(..12).unwrap_or(id))
}

/// The foreign image, pulled when the engine lacks it.
async fn foreign(plan: &Plan, reference: &str, context: &Context) -> Result<BuilderImage, Failure> {
    let engine = &plan.base.engine;
    let find = || async { Ok::<_, Failure>(context.cancel.race(engine.image(reference)).await??) };
    if let Some(image) = find().await? {
        return Ok(BuilderImage::foreign(&image, &context.events));
    }
    let events = context.events.clone();
    let tell = move |done, total| events.bytes(Phase::Pull, done, total);
    let pull = async {
        Ok(context
            .cancel
            .race(engine.pull_image(reference, None, tell))
            .await??)
    };
    context.phase(Phase::Pull, pull).await?;
    match find().await? {
        Some(image) => Ok(BuilderImage::foreign(&image, &context.events)),
        None => Err(Failure::environment(format!(
            "the engine pulled {reference} but does not hold it"
        ))),
    }
}
