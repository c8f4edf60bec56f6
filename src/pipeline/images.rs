//! The container images of a run: which ones, and that the engine holds them.

use futures_util::future::join_all;

use crate::artifact::{Cache, Fetcher, Network};
use crate::binfmt::RegistrarImage;
use crate::common::build_mode::EmulationChoice;
use crate::common::event::{Events, Phase};
use crate::common::failure::{Failure, OrFail as _};
use crate::common::shell_word::quoted;
use crate::common::system::{Architecture, ReportedArchitecture};
use crate::engine::{Engine, EngineAddress, EngineFacts, ImageInfo};
use crate::nixos::builder::BuilderImage;
use crate::oci::{Definition, Images};
use crate::pipeline::emulation::Emulation;
use crate::pipeline::provenance::Containers;
use crate::pipeline::{Context, Plan};
use crate::settings::{self, Common};

/// What the steps of a run stand on.
#[derive(Debug)]
pub(super) struct ContainerImages {
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
    let cache = Cache::open(&settings.cache_dir).or_environment("open the cache directory")?;
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
pub(super) async fn provide(plan: &Plan, context: &Context) -> Result<ContainerImages, Failure> {
    let settings = &plan.settings;
    let images = images(&settings.common, context)?;
    let (registrar, own) = (&plan.base.registrar, &plan.base.builder);
    // Before anything else is fetched: only a pull may show that it is of no use.
    let builder = match &settings.builder_image {
        Some(reference) => foreign(plan, reference, context).await?,
        None => BuilderImage::ours(own.as_ref().map(Definition::reference).unwrap_or_default()),
    };
    let wanted: Vec<&Definition> = registrar.iter().chain(own).collect();
    ensure(&plan.base.engine, &images, (&wanted, context)).await?;
    let containers = Containers::new(registrar.as_ref(), own.as_ref(), builder.reference());
    let registrar = registrar.as_ref().map(|image| RegistrarImage {
        reference: image.reference(),
    });
    Ok(ContainerImages {
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
    let take = |image: &ImageInfo| {
        let emulation = plan.base.emulation;
        let there = (engine.facts(), &engine.address());
        suits(image, &plan.settings, there, emulation)?;
        Ok(BuilderImage::foreign(image, &context.events))
    };
    if let Some(image) = find().await? {
        return take(&image);
    }
    let events = context.events.clone();
    let tell = move |done, total| events.bytes(Phase::Pull, done, total);
    let pull = async {
        Ok(context
            .cancel
            .race(engine.pull_image(reference, tell))
            .await??)
    };
    context.phase(Phase::Pull, pull).await?;
    match find().await? {
        Some(image) => take(&image),
        None => Err(Failure::environment(format!(
            "the engine pulled {reference} but does not hold it"
        ))),
    }
}

/// Whether Nix can run in `image`, the user's own, on this engine and as they want it.
pub(super) fn suits(
    image: &ImageInfo,
    settings: &settings::Build,
    (engine, place): (&EngineFacts, &EngineAddress),
    emulation: Emulation,
) -> Result<(), Failure> {
    let name = settings.builder_image.as_deref().unwrap_or(&image.id);
    if let Some(other) = of_another_machine(image, engine) {
        let machine = &engine.architecture;
        let failure = Failure::usage(format!(
            "the builder image {name} is for {other}, the engine's machine is {machine}: Nix itself \
             would be emulated there, if it ran at all"
        ));
        let platform = machine.supported().map_or("", Architecture::debian_name);
        return Err(failure
            .hint(format!(
                "pull it for that machine: `{} pull --platform linux/{platform} {}`",
                place.client(),
                quoted(name)
            ))
            .hint("or name another one with --builder-image"));
    }
    let is_root = BuilderImage::foreign(image, &Events::none()).is_root();
    match (emulation, settings.emulation) {
        (Emulation::Private, choice @ EmulationChoice::Private) if is_root => {
            Err(Emulation::refused_to_root(choice))
        }
        _ => Ok(()),
    }
}

/// The machine that `image` is for, when it is certainly not the engine's.
fn of_another_machine<'a>(
    image: &'a ImageInfo,
    engine: &EngineFacts,
) -> Option<&'a ReportedArchitecture> {
    let architecture = image.architecture.as_ref();
    architecture.filter(|its| **its != engine.architecture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::failure::Class;

    fn settings(emulation: EmulationChoice) -> settings::Build {
        let env = settings::Environment {
            home: Some("/nonexistent".into()),
            ..settings::Environment::default()
        };
        let settings = settings::Build::resolve(&crate::cli::Build::default(), &env).unwrap();
        settings::Build {
            builder_image: Some("nixos/nix".into()),
            emulation,
            ..settings
        }
    }

    fn image(architecture: Option<&str>, user: Option<&str>) -> ImageInfo {
        ImageInfo {
            architecture: architecture.map(ReportedArchitecture::from),
            ..ImageInfo::of_user(user)
        }
    }

    #[test]
    fn an_image_of_another_machine_is_refused_whatever_is_emulated() {
        let engine = EngineFacts::sound();
        let judge = |architecture, emulation| {
            let image = image(architecture, Some("1000"));
            suits(
                &image,
                &settings(EmulationChoice::Auto),
                (&engine, &EngineAddress::local_docker()),
                emulation,
            )
        };
        for emulation in [Emulation::Native, Emulation::Register, Emulation::Host] {
            judge(Some("x86_64"), emulation).unwrap();
            judge(None, emulation).unwrap();
            let failure = judge(Some("aarch64"), emulation).unwrap_err();
            assert_eq!(failure.class, Class::Usage);
            let text = failure.to_string();
            assert!(
                text.contains("nixos/nix is for aarch64, the engine's machine is x86_64"),
                "{text}"
            );
            let hint = "`docker pull --platform linux/amd64 nixos/nix`";
            assert!(failure.hints[0].contains(hint), "{failure:?}");
        }
    }

    #[test]
    fn an_image_of_roots_is_refused_only_to_those_who_ask_for_private_emulation() {
        let engine = EngineFacts::sound();
        let judge = |user, choice, emulation| {
            let image = image(Some("x86_64"), user);
            suits(
                &image,
                &settings(choice),
                (&engine, &EngineAddress::local_docker()),
                emulation,
            )
        };
        let (asked, auto) = (EmulationChoice::Private, EmulationChoice::Auto);
        let failure = judge(None, asked, Emulation::Private).unwrap_err();
        assert_eq!(failure.class, Class::Usage);
        assert!(!failure.hints.join(" ").contains("private"), "{failure:?}");
        judge(Some("1000"), asked, Emulation::Private).unwrap();
        judge(None, auto, Emulation::Private).unwrap();
        // Where there is nothing to emulate.
        judge(None, asked, Emulation::Native).unwrap();
        let failure = Emulation::refused_to_root(auto);
        assert!(failure.try_next_mode && failure.class == Class::Environment);
        assert!(
            !failure.hints.join(" ").contains("--emulation"),
            "{failure:?}"
        );
    }
}
