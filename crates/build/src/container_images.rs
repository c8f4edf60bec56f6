//! Step: the engine holds the container images that the run needs.

use std::collections::HashSet;
use std::path::Path;

use futures_util::future::join_all;

use crate::builder::BuilderImage;
use crate::clients;
use crate::plan::{BuilderPlan, Plan, check_foreign};
use crate::request::Common;
use crate::run_context::RunContext;
use sdbuild_core::context::Context;
use sdbuild_core::counted::counted;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::Failure;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::system::Architecture;
use sdbuild_core::text::listed;
use sdbuild_engine::artifact::{Cache, Fetcher};
use sdbuild_engine::binfmt::RegistrarImage;
use sdbuild_engine::oci::{Definition, Images};
use sdbuild_engine::{Engine, ImageInfo};

/// What is fetched and assembled, and what Nix will run in.
pub(super) fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let missing = &plan.engine_plan.missing;
    let size = human_bytes(missing.to_fetch);
    let fetch = match missing.packages {
        0 => "nothing, because no package is missing".to_owned(),
        n => format!("{}, {size}", counted(n, "package", "packages")),
    };
    let assemble = match missing.images.as_slice() {
        [] => "nothing, because the engine has all container images".to_owned(),
        images => images.join(", "),
    };
    let builder = match &plan.engine_plan.builder {
        BuilderPlan::Own(_) => "sdbuild's own".to_owned(),
        BuilderPlan::Foreign {
            reference,
            id: None,
        } => format!("{reference}, to be pulled"),
        BuilderPlan::Foreign {
            reference,
            id: Some(_),
        } => reference.clone(),
    };
    vec![
        ("fetch", fetch),
        ("assemble", assemble),
        ("builder image", builder),
    ]
}

/// The container images of a run; the engine holds them.
#[derive(Debug)]
pub(crate) struct ContainerImages {
    /// The registrar's image, when something is emulated.
    pub(crate) registrar: Option<RegistrarImage>,
    /// The image that Nix runs in.
    pub(crate) builder: BuilderImage,
}

/// Makes sure that the engine holds every image that the plan needs.
pub(crate) async fn provide(run: &RunContext<'_>) -> Result<ContainerImages, Failure> {
    let plan = &run.plan.engine_plan;
    let (registrar, own) = (&plan.registrar, plan.builder.own());
    // Before anything else is fetched: only a pull may show that the image cannot be used.
    let builder = match &plan.builder {
        BuilderPlan::Own(definition) => BuilderImage::ours(definition.reference()),
        BuilderPlan::Foreign { reference, .. } => foreign(run, reference).await?,
    };
    let needed: Vec<&Definition> = registrar.iter().chain(own).collect();
    let mirrors = &run.plan.request.common.mirrors;
    ensure(&plan.engine, &run.fetcher, mirrors, &needed, run.context).await?;
    Ok(ContainerImages {
        registrar: registrar
            .as_ref()
            .map(|image| RegistrarImage::new(image.reference(), image.architecture)),
        builder,
    })
}

/// The reference of our image that `define` gives for the engine's machine, which the engine holds from then on.
pub(crate) async fn provide_ours(
    engine: &Engine,
    settings: &Common,
    define: fn(Architecture, Option<&Path>) -> Result<Definition, Failure>,
    context: &Context,
) -> Result<String, Failure> {
    let architecture = engine.facts().architecture.supported()?;
    let definition = define(architecture, settings.locks.as_deref())?;
    let fetcher = clients::fetcher(settings, &context.events)?;
    ensure(engine, &fetcher, &settings.mirrors, &[&definition], context).await?;
    Ok(definition.reference())
}

/// Fetches, assembles and loads those of `needed` that the engine lacks.
async fn ensure(
    engine: &Engine,
    fetcher: &Fetcher,
    mirrors: &[String],
    needed: &[&Definition],
    context: &Context,
) -> Result<(), Failure> {
    let Context { cancel, events } = context;
    let images = Images::new(fetcher.clone(), mirrors.to_vec(), events.clone());
    let mut missing = Vec::new();
    for definition in needed {
        let held = cancel.race(images.held(engine, definition)).await??;
        if held.is_none() {
            missing.push(*definition);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let fetch = async {
        let (programs, bytes) = to_download(&missing, fetcher.cache());
        let tell = |text| events.detail(Phase::Fetch, text);
        if bytes > 0 {
            tell(format!("{programs}, from Debian"));
        }
        images.fetch(&missing, cancel).await?;
        if bytes > 0 {
            let size = human_bytes(bytes);
            tell(format!("{size} of {programs}, from Debian"));
        }
        Ok(())
    };
    context.phase(Phase::Fetch, fetch).await?;
    let load = async {
        let provide = |definition| images.provide(engine, definition, cancel);
        let provided = join_all(missing.into_iter().map(provide)).await;
        provided.into_iter().try_for_each(|image| image.map(drop))
    };
    context.phase(Phase::ContainerImages, load).await
}

/// The programs of `images` that `cache` lacks packages of, in words, and how many bytes these have.
fn to_download(images: &[&Definition], cache: &Cache) -> (String, u64) {
    let (mut programs, mut all) = (Vec::new(), 0);
    let mut seen = HashSet::new();
    for image in images {
        let packages = image.lock.packages.iter();
        let others = packages.filter(|pin| seen.insert(pin.sha256));
        let bytes: u64 = others.map(|pin| cache.missing_bytes(pin)).sum();
        if bytes > 0 {
            programs.push(image.program());
        }
        all += bytes;
    }
    (listed(&programs), all)
}

/// The image that the user named, pulled when the engine lacks it.
async fn foreign(run: &RunContext<'_>, reference: &str) -> Result<BuilderImage, Failure> {
    let (engine, Context { cancel, events }) = (run.plan.engine(), run.context);
    let find = || async { Ok::<_, Failure>(cancel.race(engine.image(reference)).await??) };
    if let Some(image) = find().await? {
        return accept(run, reference, &image);
    }
    if run.plan.request.common.offline {
        let text = format!(
            "the engine does not have {reference}, and --offline does not allow pulling it"
        );
        return Err(Failure::environment(text).hint("run it once without --offline"));
    }
    let sink = events.clone();
    let report = move |done, total| sink.bytes(Phase::Pull, done, total);
    let pull = async { Ok(cancel.race(engine.pull_image(reference, report)).await??) };
    run.context.phase(Phase::Pull, pull).await?;
    let image = find().await?.ok_or_else(|| {
        Failure::environment(format!(
            "the engine pulled {reference} but does not hold it"
        ))
    })?;
    accept(run, reference, &image)
}

fn accept(
    run: &RunContext<'_>,
    reference: &str,
    image: &ImageInfo,
) -> Result<BuilderImage, Failure> {
    let emulation = run.plan.engine_plan.emulation;
    let request = &run.plan.request;
    check_foreign(image, reference, run.plan.engine(), emulation, request)?;
    Ok(BuilderImage::foreign(image, &run.context.events))
}
